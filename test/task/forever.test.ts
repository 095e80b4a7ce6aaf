import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { CancelReason, Task } from "@weir/runtime"
import { fork, Trace } from "./support.ts"

describe("Task.forever", () => {
  it.effect("runs one round after the other, and ends with the one that fails", () =>
    Effect.gen(function* () {
      let rounds = 0
      const looped = yield* fork(Effect.flip(Task.forever(
        Effect.suspend(() => ++rounds === 4 ? Effect.fail("enough") : Effect.sleep("1 second")),
      )))
      yield* TestClock.adjust("2500 millis")
      expect(rounds).toBe(3)
      yield* TestClock.adjust("1 second")
      expect([yield* Fiber.join(looped), rounds]).toEqual(["enough", 4])
    }))

  it.effect("gives way between rounds that do not suspend", () =>
    Effect.gen(function* () {
      let rounds = 0
      const looped = yield* fork(Task.forever(Effect.sync(() => rounds++)))
      yield* Effect.yieldNow
      yield* Effect.yieldNow
      yield* Fiber.interrupt(looped)
      expect(rounds).toBeGreaterThan(1)
      const then = rounds
      yield* Effect.yieldNow
      yield* Effect.yieldNow
      expect(rounds).toBe(then)
    }))

  it.effect("passes on the defect of a round", () =>
    Effect.gen(function* () {
      const exit = yield* Effect.exit(Task.forever(Effect.die("bug")))
      expect(exit).toEqual(Exit.die("bug"))
    }))

  it.effect("cancels the round with the task's reason, and waits for its cleanup", () =>
    Effect.gen(function* () {
      const trace = new Trace()
      const gate = yield* Deferred.make<void>()
      const round = Effect.onExit(
        Effect.never,
        () => Effect.andThen(trace.reason("round"), Deferred.await(gate)),
      )
      const task = yield* Task.start(
        "poller",
        Effect.ensuring(Task.forever(round), trace.add("loop ends")),
      )
      const cancelled = yield* fork(task.cancel(CancelReason.Requested("the test")))
      expect(trace.steps).toEqual(["round: requested by the test"])
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(cancelled)
      expect(trace.steps).toEqual(["round: requested by the test", "loop ends"])
    }).pipe(Effect.scoped))
})
