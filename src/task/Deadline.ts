/**
 * One absolute instant by which work must be done, inherited by everything below it.
 *
 * @module
 */
import {
  Cause,
  Clock,
  Context,
  Duration,
  Effect,
  type Exit,
  type Fiber,
  Option,
  Schema,
} from "effect"
import * as CancelReason from "./CancelReason.ts"
import { interrupt } from "./commit.ts"
import { type CancelScope, CurrentScope, frameOf } from "./scope.ts"
import { timersOf } from "./timers.ts"
import { fork, inTurn, shallow } from "./turn.ts"

const Fields = { deadline: Schema.Number, name: Schema.String } as const

const DeadlineExceededBase: Schema.Class<
  DeadlineExceeded,
  Schema.TaggedStruct<"DeadlineExceeded", typeof Fields>,
  Cause.YieldableError
> = Schema.TaggedError<DeadlineExceeded>()("DeadlineExceeded", Fields)

/**
 * The deadline passed before the work was done; `deadline` in absolute milliseconds, `name` is the
 * task or region that owned it.
 *
 * **Details** – over HTTP it becomes a 504 problem.
 *
 * @category errors
 * @since 0.1.0
 */
export class DeadlineExceeded extends DeadlineExceededBase {
  /** One sentence. */
  override get message(): string {
    return `"${this.name}" was not done by its deadline and has been cancelled.`
  }
}

/**
 * The deadline in force, in absolute milliseconds of Effect's Clock.
 *
 * **Details** – in the cleanup of cancelled work it is the end of the cleanup budget: a release that
 * needs a connection is not refused because the work was late.
 *
 * **Fails with** – nothing; `None` when there is no deadline.
 *
 * **Interruption** – does not wait.
 *
 * @category accessors
 * @since 0.1.0
 */
export const current: Effect.Effect<Option.Option<number>> = Effect.withFiber((fiber) => {
  const deadline = fiber.getRef(CurrentScope).deadline
  return Effect.succeed(deadline === Infinity ? Option.none() : Option.some(deadline))
})

/**
 * The time left until the deadline in force: never negative, infinite when there is none.
 *
 * **Fails with** – nothing.
 *
 * **Interruption** – does not wait.
 *
 * @category accessors
 * @since 0.1.0
 */
export const remaining: Effect.Effect<Duration.Duration> = Effect.withFiber((fiber) => {
  const deadline = fiber.getRef(CurrentScope).deadline
  if (deadline === Infinity) return Effect.succeed(Duration.infinity)
  const now = fiber.getRef(Clock.Clock).currentTimeMillisUnsafe()
  return Effect.succeed(Duration.millis(Math.max(0, deadline - now)))
})

/**
 * Runs the effect with at most that much time, and never more than the deadline above allows.
 *
 * **Details** – a region longer than what is left above costs no timer and no fiber: the earlier
 * deadline decides. Otherwise the effect runs in a fiber of its own in a child cancel scope, whose
 * reason becomes `DeadlineExceeded`. The timer is armed only when the effect suspends. A region of
 * no time fails without running its effect.
 *
 * **Fails with** – {@link DeadlineExceeded} when the time is up, after the cleanup of the effect,
 * whose defects stand beside it in the cause. An effect that ends with a `Task.commit` which has
 * begun keeps its result.
 *
 * **Interruption** – interrupts the effect and waits for its cleanup, which counts into the cleanup
 * budget of the task around it. In an uninterruptible region the deadline still holds.
 *
 * **Gotchas** – what the effect forks with plain `Effect.forkChild` ends with the region.
 *
 * @example Half a second for the whole of it
 * ```ts
 * import { Effect } from "effect"
 * import { Deadline } from "@weir/runtime"
 * import { strictEqual } from "node:assert/strict"
 *
 * const result = await Effect.runPromise(
 *   Effect.sleep("1 minute").pipe(Deadline.within("20 millis"), Effect.flip),
 * )
 * strictEqual(result._tag, "DeadlineExceeded")
 * ```
 *
 * @see `context.WithTimeout` of Go and `move_on_after` of Trio, which nest the same way
 * @category combinators
 * @since 0.1.0
 */
export const within = (duration: Duration.Input, name = "Deadline.within"): <A, E, R>(
  self: Effect.Effect<A, E, R>,
) => Effect.Effect<A, E | DeadlineExceeded, R> => {
  const millis = Duration.toMillis(Duration.fromInputUnsafe(duration))
  return <A, E, R>(self: Effect.Effect<A, E, R>) =>
    Effect.withFiber<A, E | DeadlineExceeded, R>((fiber) => {
      const clock = fiber.getRef(Clock.Clock)
      const outer = frameOf(fiber)
      const now = clock.currentTimeMillisUnsafe()
      const deadline = now + millis
      if (deadline >= outer.deadline) return self
      if (millis <= 0) return Effect.fail(new DeadlineExceeded({ deadline, name }))
      const scope = outer.withDeadline(deadline)
      return Effect.callback<A, E | DeadlineExceeded, R>((resume) => {
        const child = fork(
          Context.add(fiber.context, CurrentScope, scope),
          shallow(self) as Effect.Effect<A, E>,
        )
        const finish = (exit: Exit.Exit<A, E>) => {
          scope.end()
          resume(outcome(exit, scope, deadline, name))
        }
        const done = child.pollUnsafe()
        if (done !== undefined) return finish(done)
        const timers = timersOf(clock)
        const timer = timers.schedule(deadline, () => {
          const reason = CancelReason.DeadlineExceeded(deadline)
          scope.cancel(reason)
          interrupt(child, fiber.id, CancelReason.annotations(reason))
        })
        child.addObserver((exit) => {
          timers.cancel(timer)
          inTurn(() => finish(exit))
        })
        return Effect.suspend(() => {
          timers.cancel(timer)
          return interrupted(child, fiber.id, outer.effectiveReason())
        })
      })
    })
}

/** Interrupts and waits for the end; what the cleanup dies of stays in the cause of the waiter. */
const interrupted = <A, E>(
  child: Fiber.Fiber<A, E>,
  by: number,
  reason: CancelReason.CancelReason | undefined,
): Effect.Effect<void> =>
  Effect.callback((resume) => {
    interrupt(child, by, reason === undefined ? undefined : CancelReason.annotations(reason))
    child.addObserver((exit) => {
      const dies = exit._tag === "Failure"
        ? exit.cause.reasons.filter((reason) => reason._tag === "Die")
        : []
      inTurn(() =>
        resume(dies.length === 0 ? Effect.void : Effect.failCause(Cause.fromReasons(dies)))
      )
    })
  })

/** Turns "interrupted because the time was up" into the typed failure; defects of cleanup stay. */
const outcome = <A, E>(
  exit: Exit.Exit<A, E>,
  scope: CancelScope,
  deadline: number,
  name: string,
): Effect.Effect<A, E | DeadlineExceeded> => {
  if (
    exit._tag === "Success" || scope.reason?._tag !== "DeadlineExceeded" ||
    !Cause.hasInterrupts(exit.cause)
  ) return exit
  return Effect.failCause(
    Cause.fromReasons<E | DeadlineExceeded>([
      Cause.makeFailReason(new DeadlineExceeded({ deadline, name })),
      ...exit.cause.reasons.filter((reason) => reason._tag !== "Interrupt"),
    ]),
  )
}
