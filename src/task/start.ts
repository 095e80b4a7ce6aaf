import { Cause, Clock, Context, Duration, Effect, Exit, type Fiber, Scope } from "effect"
import * as CancelReason from "./CancelReason.ts"
import { DeadlineExceeded } from "./Deadline.ts"
import type { Outcome } from "./events.ts"
import { TaskRecord } from "./record.ts"
import { CancelScope, CurrentScope, frameOf, root } from "./scope.ts"
import { TaskTree } from "./TaskTree.ts"
import { fork, shallow } from "./turn.ts"

/** Options of every constructor of tasks, with the durations already in milliseconds. */
export interface StartOptions {
  readonly kind: string
  readonly deadlineMs: number
  readonly cleanupMs: number
  readonly detached: boolean
}

/** How long a cancelled task may clean up before it is reported as abandoned. */
export const defaultCleanupMs = 5000

export const millis = (input: Duration.Input | undefined, otherwise: number): number =>
  input === undefined ? otherwise : Duration.toMillis(Duration.fromInputUnsafe(input))

/** A started task: its record, and its exit once its fiber is done. */
export interface Started<A, E> {
  readonly record: TaskRecord
  readonly name: string
  readonly exit: () => Exit.Exit<A, E> | undefined
}

/**
 * Starts an effect as an observed root fiber of its own, which is what makes a bounded wait for its
 * cleanup possible: a plain `forkChild` makes its parent wait without limit. It runs on the
 * caller's stack until it first suspends. With `refused`, and when its deadline has passed, the task
 * is listed and cancelled, and the effect never runs.
 *
 * `owner` is the frame that its owner cancels; without one it is that of the fiber, and `enforced`
 * the deadline that the owner enforces.
 */
export const startUnsafe = <A, E, R>(
  fiber: Fiber.Fiber<unknown, unknown>,
  name: string,
  effect: Effect.Effect<A, E, R>,
  options: StartOptions,
  owner?: CancelScope,
  refused?: CancelReason.CancelReason,
  enforced?: number,
): Started<A, E> => {
  const clock = fiber.getRef(Clock.Clock)
  const tree = fiber.getRef(TaskTree).unsafe
  const outer = options.detached ? root : owner ?? frameOf(fiber)
  const now = clock.currentTimeMillisUnsafe()
  const record = new TaskRecord(
    tree,
    clock,
    name,
    options.kind,
    outer.task as TaskRecord | undefined,
    now,
    options.cleanupMs,
  )
  const deadline = Math.min(outer.deadline, now + options.deadlineMs)
  const scope = new CancelScope(
    outer,
    deadline,
    record,
    options.detached ? undefined : outer.tickets,
    undefined,
  )
  record.scope = scope
  record.background = record.parent?.background ?? !options.detached
  tree.add(record)
  let result: Exit.Exit<A, E> | undefined
  const started = { record, name, exit: () => result }
  const finish = (exit: Exit.Exit<A, E>) => {
    result = exit
    record.end(outcomeOf(exit))
  }
  // A listener of the tree may have cancelled it already.
  if (refused !== undefined) record.cancel(refused)
  else if (deadline <= now) record.cancel(CancelReason.DeadlineExceeded(deadline))
  if (record.cancelledAt >= 0) {
    finish(Exit.failCause(Cause.interrupt()))
    return started
  }
  const resources = Scope.makeUnsafe()
  record.resources = resources
  const child = fork(
    Context.add(Context.add(fiber.context, CurrentScope, scope), Scope.Scope, resources),
    Effect.withFiber((self) => {
      record.fiber = self
      return Effect.onExitPrimitive(
        shallow(effect) as Effect.Effect<A, E>,
        (exit) => release(record, resources, exit),
      )
    }),
  )
  const done = child.pollUnsafe()
  if (done !== undefined) finish(done)
  else {
    child.addObserver(finish)
    record.armDeadline(enforced)
  }
  return started
}

/** Stops what it started into longer-lived scopes, the youngest first, then its own resources. */
const release = (
  record: TaskRecord,
  resources: Scope.Closeable,
  exit: Exit.Exit<unknown, unknown>,
): Effect.Effect<void> | undefined => {
  const children = record.children
  if (children === undefined || children.size === 0) return Scope.closeUnsafe(resources, exit)
  return Effect.flatMap(
    Effect.forEach(
      Array.from(children).reverse(),
      (child) => stop(child, record.name),
      { discard: true },
    ),
    () => Scope.close(resources, exit),
  )
}

export const outcomeOf = (exit: Exit.Exit<unknown, unknown>): Outcome =>
  exit._tag === "Success" ? "completed" : Cause.hasInterrupts(exit.cause) ? "cancelled" : "failed"

/** Waits for the end, or for the cleanup to be abandoned; interruption only stops the waiting. */
export const settled = (record: TaskRecord): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    const callback = () => resume(Effect.void)
    record.onSettled(callback)
    return Effect.sync(() => record.offSettled(callback))
  })

/** Cancels on behalf of an owner that ends, and waits at most the cleanup budget. */
export const stop = (record: TaskRecord, owner: string): Effect.Effect<void> =>
  Effect.suspend(() => {
    record.cancelByOwner(owner)
    return record.outcome === undefined && !record.abandoned ? settled(record) : Effect.void
  })

/** Fails with the defects of a task whose owner is interrupted and will not read its exit. */
export const defects = (started: Started<unknown, unknown>): Effect.Effect<void> =>
  Effect.suspend(() => {
    const exit = started.exit()
    const dies = exit?._tag === "Failure" ? diesOf(exit.cause) : []
    return dies.length === 0 ? Effect.void : Effect.failCause(Cause.fromReasons<never>(dies))
  })

export const diesOf = (cause: Cause.Cause<unknown>): ReadonlyArray<Cause.Die> =>
  cause.reasons.filter((reason) => reason._tag === "Die")

/** Whether the task ended because it was cancelled. */
export const wasCancelled = (record: TaskRecord, exit: Exit.Exit<unknown, unknown>): boolean =>
  record.cancelledAt >= 0 && exit._tag === "Failure" && Cause.hasInterrupts(exit.cause)

/** The exit as its readers see it: a cancel is a typed failure that says why. */
export const result = <A, E>(
  started: Started<A, E>,
  cancelled: (record: TaskRecord, reason: CancelReason.CancelReason) => E,
  abandoned: (record: TaskRecord) => E,
): Exit.Exit<A, E | DeadlineExceeded> => {
  const { record } = started
  const exit = started.exit()
  if (exit === undefined) return Exit.fail(abandoned(record))
  if (exit._tag === "Success" || !wasCancelled(record, exit)) return exit
  const reason = record.scope.effectiveReason()!
  return Exit.failCause(Cause.fromReasons<E | DeadlineExceeded>([
    Cause.makeFailReason<E | DeadlineExceeded>(
      reason._tag === "DeadlineExceeded"
        ? new DeadlineExceeded({ deadline: reason.deadline, name: record.name })
        : cancelled(record, reason),
    ),
    ...exit.cause.reasons.filter((other) => other._tag !== "Interrupt"),
  ]))
}
