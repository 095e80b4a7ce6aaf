import { Cause, Context, Effect } from "effect"
import type { CancelReason } from "./CancelReason.ts"
import { Cancelled, CleanupAbandoned } from "./handle.ts"
import type { Restarts } from "./restarts.ts"
import type { CancelScope } from "./scope.ts"
import type { Resolved } from "./specs.ts"
import { settled, type Started, startUnsafe } from "./start.ts"

/**
 * What a child does: `starting` until it is ready, `running`, `stopping` while it cleans up,
 * `restarting` while it waits for its restart, else `stopped`.
 *
 * @category models
 * @since 0.1.0
 */
export type ChildState = "starting" | "running" | "stopping" | "restarting" | "stopped"

/** One start of a child, from there to its end. */
export class Incarnation {
  readonly child: Child
  started: Started<unknown, unknown> | undefined = undefined
  phase: "starting" | "up" | "stopping" = "starting"
  isReady: boolean
  /** It said that it does not want to run. */
  declined = false
  wake: (() => void) | undefined = undefined

  constructor(child: Child) {
    this.child = child
    this.isReady = !child.spec.signals
  }

  ready(): void {
    this.isReady = true
    this.wake?.()
  }

  /** Its task has ended, or its cleanup was abandoned. */
  get over(): boolean {
    const record = this.started?.record
    return record !== undefined && (record.ended || record.abandoned)
  }

  /** Why it ended; `undefined` when that was no failure. */
  failure(): Cause.Cause<unknown> | undefined {
    const { record, exit } = this.started!
    const done = exit()
    if (done === undefined) {
      return Cause.fail(new CleanupAbandoned({ task: record.name, afterMs: record.cleanupMs }))
    }
    if (done._tag === "Success") return undefined
    // Who cancels a supervisor by its own task cancels the child that it is.
    const harmless = (reason: Cause.Reason<unknown>): boolean =>
      reason._tag === "Interrupt" ||
      (reason._tag === "Fail" && this.child.spec.type === "supervisor" &&
        reason.error instanceof Cancelled)
    return done.cause.reasons.length > 0 && done.cause.reasons.every(harmless)
      ? undefined
      : done.cause
  }
}

/** The start of a child that the running effect belongs to. */
export const CurrentChild: Context.Reference<Incarnation | undefined> = Context.Reference<
  Incarnation | undefined
>("weir/task/CurrentChild", { defaultValue: () => undefined })

/** A child of one supervisor: what it is, and what has become of it. */
export class Child {
  readonly spec: Resolved
  state: ChildState = "stopped"
  incarnation: Incarnation | undefined = undefined
  restarts: Restarts | undefined = undefined
  /** How often it was started again. */
  restarted = 0
  lastCause: Cause.Cause<unknown> | undefined = undefined

  constructor(spec: Resolved) {
    this.spec = spec
  }

  /** Whether it has a task that lives. */
  get active(): boolean {
    return this.incarnation !== undefined && !this.incarnation.over
  }

  /** Whether nothing is kept of it once it has stopped. */
  get passing(): boolean {
    return this.spec.passing || this.spec.restart === "temporary"
  }
}

/** How a start went. */
export type StartResult =
  | { readonly _tag: "Up" }
  | { readonly _tag: "Declined" }
  | { readonly _tag: "Failed"; readonly cause: Cause.Cause<unknown> }

/** Starts it, and waits until it is ready. `exited` is told when it ends after that. */
export const start = (
  child: Child,
  owner: CancelScope,
  exited: (incarnation: Incarnation) => void,
): Effect.Effect<StartResult> => {
  const { spec } = child
  return Effect.provideContext(
    Effect.withFiber((fiber) => {
      const incarnation = new Incarnation(child)
      child.incarnation = incarnation
      child.state = "starting"
      const started = startUnsafe(
        fiber,
        spec.id,
        Effect.provideService(spec.effect, CurrentChild, incarnation),
        { kind: "child", deadlineMs: Infinity, cleanupMs: spec.cleanupMs, detached: false },
        owner,
      )
      incarnation.started = started
      started.record.watched = true
      started.record.onSettled(() => {
        if (incarnation.phase === "starting") incarnation.wake?.()
        else if (incarnation.phase === "up") exited(incarnation)
      })
      if (incarnation.isReady || incarnation.over) {
        return Effect.succeed(startedAs(incarnation, exited))
      }
      return Effect.callback<StartResult>((resume) => {
        incarnation.wake = () => resume(Effect.sync(() => startedAs(incarnation, exited)))
        return Effect.sync(() => {
          incarnation.wake = undefined
        })
      })
    }),
    spec.context,
  )
}

const startedAs = (
  incarnation: Incarnation,
  exited: (incarnation: Incarnation) => void,
): StartResult => {
  const { child } = incarnation
  incarnation.wake = undefined
  if (incarnation.over && (incarnation.declined || !incarnation.isReady)) {
    child.incarnation = undefined
    child.state = "stopped"
    return incarnation.declined
      ? { _tag: "Declined" }
      : { _tag: "Failed", cause: incarnation.failure() ?? Cause.fail(new NotReady()) }
  }
  incarnation.phase = "up"
  child.state = "running"
  if (incarnation.over) exited(incarnation)
  return { _tag: "Up" }
}

/** It ended without a failure, but also without a sign that it was ready. */
class NotReady extends Error {
  override readonly message = "it ended before it was ready"
}

/**
 * Stops it and waits for its cleanup, at most its budget. Returns the failure that came to light: of
 * its cleanup, or one that nobody had looked at yet. `why` is what it reads; without one it is the
 * reason of its supervisor.
 */
export const stop = (
  child: Child,
  owner: string,
  why: CancelReason | undefined,
): Effect.Effect<Cause.Cause<unknown> | undefined> =>
  Effect.suspend(() => {
    const incarnation = child.incarnation
    if (incarnation === undefined) {
      child.state = "stopped"
      return Effect.undefined
    }
    const { record } = incarnation.started!
    signal(child, owner, why)
    const done = (): Cause.Cause<unknown> | undefined => {
      child.incarnation = undefined
      child.state = "stopped"
      // What was abandoned has been logged, and nobody waits for what was interrupted brutally.
      return record.ended ? incarnation.failure() : undefined
    }
    return incarnation.over || child.spec.brutal
      ? Effect.sync(done)
      : Effect.map(settled(record), done)
  })

/** Only sends the interrupt. */
export const signal = (child: Child, owner: string, why: CancelReason | undefined): void => {
  const incarnation = child.incarnation
  if (incarnation === undefined) return
  incarnation.phase = "stopping"
  child.state = "stopping"
  const { record } = incarnation.started!
  if (why === undefined) record.cancelByOwner(owner)
  else if (record.cancelledAt < 0) record.cancel(why)
}
