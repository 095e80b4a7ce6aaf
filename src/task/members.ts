import { Cause, Effect, type Fiber } from "effect"
import * as CancelReason from "./CancelReason.ts"
import { DeadlineExceeded } from "./Deadline.ts"
import { CleanupAbandoned, type Options, resolve } from "./handle.ts"
import { CancelScope, frameOf } from "./scope.ts"
import { diesOf, type Started, startUnsafe, wasCancelled } from "./start.ts"

/**
 * The members of one group or race, and what has become of them. It is open while one of them lives
 * or its maker still holds it, and can then never be opened again.
 */
export class Members {
  readonly scope: CancelScope
  readonly failures: Array<Cause.Cause<unknown>> = []
  /** The member to cancel first: the body, which would only see its tasks fail. */
  leader: Started<unknown, unknown> | undefined = undefined
  private readonly name: string
  private readonly live = new Set<Started<unknown, unknown>>()
  /** Members that have not settled, and the maker until it lets go. */
  private open = 1
  private ending = false
  private waiter: (() => void) | undefined

  constructor(fiber: Fiber.Fiber<unknown, unknown>, name: string) {
    const outer = frameOf(fiber)
    this.name = name
    this.scope = new CancelScope(outer, outer.deadline, outer.task, outer.tickets, undefined)
  }

  get closed(): boolean {
    return this.open === 0
  }

  /** Starts a member; `onSettled` is told before the group can close. */
  start<A, E, R>(
    fiber: Fiber.Fiber<unknown, unknown>,
    name: string,
    effect: Effect.Effect<A, E, R>,
    options: Options | undefined,
    onSettled: (started: Started<A, E>, failed: boolean) => void,
  ): Started<A, E> {
    const late = this.closed
    const refused = late || this.ending
      ? this.scope.reason ?? CancelReason.ParentEnded(this.name)
      : undefined
    if (!late) this.open++
    const started = startUnsafe(fiber, name, effect, resolve(options), this.scope, refused)
    if (late) return started
    if (!started.record.ended) {
      this.live.add(started)
      // Ended while it started, which the cancel of all members could not know.
      if (this.ending) started.record.cancelByOwner(this.name)
    }
    started.record.onSettled(() => {
      this.live.delete(started)
      const failure = failureOf(started)
      if (failure !== undefined) this.failures.push(failure)
      onSettled(started, failure !== undefined)
      this.leave()
    })
    return started
  }

  /** The maker has started what it wanted to start. */
  seal(): void {
    this.leave()
  }

  /** Cancels every member, those included that are still to come. The first reason stays. */
  cancel(reason: CancelReason.CancelReason): void {
    if (this.ending) return
    this.ending = true
    this.scope.cancel(reason)
    this.cancelAll()
  }

  /** Waits for every member; interrupted, it cancels them and waits at most their budgets. */
  drain(
    restore: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>,
  ): Effect.Effect<void> {
    return Effect.onInterrupt(restore(this.drained), () =>
      Effect.suspend(() => {
        this.ending = true
        this.cancelAll()
        return Effect.flatMap(this.drained, () => {
          const dies = this.failures.flatMap(diesOf)
          return dies.length === 0 ? Effect.void : Effect.failCause(Cause.fromReasons<never>(dies))
        })
      }))
  }

  /** The first failure leads; the causes of the others stand behind it. */
  cause(): Cause.Cause<unknown> {
    return Cause.fromReasons(this.failures.flatMap((cause) => [...cause.reasons]))
  }

  private readonly drained: Effect.Effect<void> = Effect.callback<void>((resume) => {
    if (this.closed) return resume(Effect.void)
    this.waiter = () => resume(Effect.void)
    return Effect.sync(() => {
      this.waiter = undefined
    })
  })

  private cancelAll(): void {
    this.leader?.record.cancelByOwner(this.name)
    for (const member of Array.from(this.live).reverse()) member.record.cancelByOwner(this.name)
  }

  private leave(): void {
    if (--this.open === 0) this.waiter?.()
  }
}

/**
 * A member that was cancelled, by the group itself, its owner or an operator, has not failed; but it
 * has when its own deadline passed, when its cleanup died, and when its cleanup was abandoned.
 */
const failureOf = (started: Started<unknown, unknown>): Cause.Cause<unknown> | undefined => {
  const { record } = started
  const exit = started.exit()
  if (exit === undefined) {
    return Cause.fail(new CleanupAbandoned({ task: record.name, afterMs: record.cleanupMs }))
  }
  if (exit._tag === "Success") return undefined
  const reasons: Array<Cause.Reason<unknown>> = exit.cause.reasons
    .filter((reason) => reason._tag !== "Interrupt")
  const own = record.scope.reason
  if (own?._tag === "DeadlineExceeded" && wasCancelled(record, exit)) {
    reasons.unshift(
      Cause.makeFailReason(new DeadlineExceeded({ deadline: own.deadline, name: record.name })),
    )
  }
  return reasons.length === 0 ? undefined : Cause.fromReasons(reasons)
}
