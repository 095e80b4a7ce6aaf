import { Effect, Exit, type Fiber } from "effect"
import { defectsOf } from "../internal/defects.ts"
import { rooted } from "../internal/rooted.ts"
import * as CancelReason from "./CancelReason.ts"
import { interrupt } from "./commit.ts"
import { frameOf } from "./scope.ts"
import { fork } from "./turn.ts"

/**
 * Runs an effect again and again: a poller, a probe.
 *
 * **When to use** – instead of `Effect.forever` and `Effect.repeat` for what goes on for as long as the
 * service does. Deno 2.9.6 keeps some 450 bytes for each suspension of a fiber until the fiber ends: a
 * loop that sleeps once a second would grow by 40 MB a day. Here each round is a fiber of its own.
 *
 * **Details** – one round at a time, in the caller's context; the next begins when one has ended with
 * its cleanup. A round that does not suspend gives way to others before the next.
 *
 * **Fails with** – what a round fails with, which ends the loop.
 *
 * **Interruption** – interrupts the round and waits for its cleanup.
 *
 * @example Three rounds
 * ```ts
 * import { Effect } from "effect"
 * import { Task } from "@weir/runtime"
 * import { strictEqual } from "node:assert/strict"
 *
 * let rounds = 0
 * const poll = Effect.suspend(() => ++rounds < 3 ? Effect.sleep("1 millis") : Effect.fail("enough"))
 * strictEqual(await Effect.runPromise(Effect.flip(Task.forever(poll))), "enough")
 * strictEqual(rounds, 3)
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const forever = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<never, E, R> =>
  Effect.withFiber((owner) =>
    Effect.callback<never, E>((resume) => {
      const round = self as Effect.Effect<A, E>
      const turn = owner.currentDispatcher
      let current: Fiber.Fiber<A, E> | undefined
      let stopped = false
      const begin = (): void => {
        if (stopped) return
        const fiber = rooted(() => fork(owner.context, round))
        current = fiber
        const exit = fiber.pollUnsafe()
        if (exit === undefined) fiber.addObserver(ended)
        else if (Exit.isFailure(exit)) resume(Effect.failCause(exit.cause))
        // A round that does not suspend must not hold the thread.
        else turn.scheduleTask(begin, 0)
      }
      const ended = (exit: Exit.Exit<A, E>): void => {
        if (Exit.isFailure(exit)) resume(Effect.failCause(exit.cause))
        else begin()
      }
      begin()
      return Effect.callback<void>((done) => {
        stopped = true
        if (current === undefined || current.pollUnsafe() !== undefined) return done(Effect.void)
        const reason = frameOf(owner).effectiveReason()
        interrupt(
          current,
          owner.id,
          reason === undefined ? undefined : CancelReason.annotations(reason),
        )
        current.addObserver((exit) => done(defectsOf(exit)))
      })
    })
  )
