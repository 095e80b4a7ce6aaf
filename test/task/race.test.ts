import { describe, expect, it } from "@effect/vitest"
import { CancelReason, Deadline, Task } from "@weir/runtime"
import { Effect, Exit, Fiber, Logger } from "effect"
import { TestClock } from "effect/testing"
import { causes, clean, fork, Trace } from "./support.ts"

describe("Task.race", () => {
  it.effect("returns the first success after the losers have been cleaned up", () =>
    clean(() =>
      Effect.gen(function* () {
        const trace = new Trace()
        const fiber = yield* fork(Task.race({
          slow: Effect.onInterrupt(
            Effect.never,
            () => Effect.andThen(Effect.sleep("1 second"), trace.reason("slow")),
          ),
          failing: Effect.fail("no"),
          fast: Effect.as(Effect.sleep("1 second"), 1),
        }))
        yield* TestClock.adjust("1999 millis")
        expect(fiber.pollUnsafe()).toBeUndefined()
        yield* TestClock.adjust("1 milli")
        expect(yield* Fiber.join(fiber)).toBe(1)
        expect(trace.steps).toEqual(["slow: requested by Task.race: fast won"])
      })
    ))

  it.effect("starts no branch behind one that succeeds without suspending", () =>
    clean((tree) =>
      Effect.gen(function* () {
        const trace = new Trace()
        const value = yield* Task.race({ a: Effect.succeed("a"), b: trace.add("b") })
        expect(value).toBe("a")
        expect(trace.steps).toEqual([])
        expect((yield* tree.counts).started).toEqual({ task: 1 })
      })
    ))

  it.effect("fails with all causes when every branch fails", () =>
    clean(() =>
      Effect.gen(function* () {
        const exit = yield* Effect.exit(Task.race({
          a: Effect.andThen(Effect.yieldNow, Effect.fail("a")),
          b: Effect.fail("b"),
          c: Effect.die("c"),
        }))
        expect(causes(exit)).toEqual(["fail b", "die c", "fail a"])
        const sync = yield* Effect.exit(Task.race({ a: Effect.fail("a"), b: Effect.fail("b") }))
        expect(causes(sync)).toEqual(["fail a", "fail b"])
      })
    ))

  it.effect("keeps the winner's value when a loser's cleanup dies, and logs the defect", () =>
    clean(() =>
      Effect.gen(function* () {
        const logged: Array<unknown> = []
        const logger = Logger.make<unknown, void>(({ message }) => {
          logged.push(Array.isArray(message) ? message[0] : message)
        })
        const value = yield* Task.race({
          loser: Effect.ensuring(Effect.never, Effect.die("leak")),
          winner: Effect.as(Effect.yieldNow, "won"),
        }).pipe(Effect.provide(Logger.layer([logger])))
        expect(value).toBe("won")
        expect(logged).toEqual([`The cleanup of "loser", which lost a race, died.`])
      })
    ))

  it.effect("interrupted, cancels and awaits every branch", () =>
    clean(() =>
      Effect.gen(function* () {
        const trace = new Trace()
        const fiber = yield* fork(
          Deadline.within("1 second")(Task.race({ a: trace.never("a"), b: trace.never("b") })),
        )
        yield* TestClock.adjust("1 second")
        expect(causes(yield* Fiber.await(fiber))).toEqual(["fail DeadlineExceeded"])
        expect(trace.steps).toEqual(["b: deadline exceeded", "a: deadline exceeded"])
      })
    ))

  it.effect("says so when every branch was cancelled, and dies when there is none", () =>
    clean((tree) =>
      Effect.gen(function* () {
        const fiber = yield* fork(Effect.flip(Task.race({ a: Effect.never })))
        const [a] = yield* tree.dump
        yield* tree.cancel(a!.id, CancelReason.ClientAbort)
        expect(yield* Fiber.join(fiber)).toMatchObject({ _tag: "Cancelled", why: "client abort" })
        expect(Exit.isFailure(yield* Effect.exit(Task.race({})))).toBe(true)
      })
    ))
})
