import { describe, expect, it } from "@effect/vitest"
import { CancelReason, Task } from "@weir/runtime"
import { Cause, Deferred, Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { causes, clean, fork, Trace } from "./support.ts"

describe("a task's handle", () => {
  it.effect("tells how it ended to everyone who waits, and a wait can be given up", () =>
    clean(() =>
      Effect.scoped(Effect.gen(function* () {
        const done = yield* Deferred.make<number>()
        const task = yield* Task.start("shared", Deferred.await(done))
        const first = yield* fork(task.join)
        const second = yield* fork(task.await)
        const third = yield* fork(task.join)
        yield* Fiber.interrupt(third)
        yield* Deferred.succeed(done, 7)
        expect(yield* Fiber.join(first)).toBe(7)
        expect(yield* Fiber.join(second)).toEqual(Exit.succeed(7))
      }))
    ))

  it.effect("cancels with the reason given, awaits the cleanup, and does nothing afterwards", () =>
    clean(() =>
      Effect.scoped(Effect.gen(function* () {
        const trace = new Trace()
        const task = yield* Task.start("x", trace.never("x"))
        yield* task.cancel(CancelReason.Requested("operator", "too slow"))
        expect(trace.steps).toEqual(["x: requested by operator: too slow"])
        yield* task.cancel(CancelReason.Shutdown)
        expect(yield* Effect.flip(task.join)).toMatchObject({
          _tag: "Cancelled",
          task: "x",
          why: "requested by operator: too slow",
        })
      }))
    ))

  it.effect("does not take a cancel back when the wait for it is interrupted", () =>
    clean(() =>
      Effect.scoped(Effect.gen(function* () {
        const task = yield* Task.start(
          "x",
          Effect.onInterrupt(Effect.never, () => Effect.sleep("1 second")),
        )
        const cancelling = yield* fork(task.cancel())
        yield* Fiber.interrupt(cancelling)
        yield* TestClock.adjust("1 second")
        expect((yield* task.info).state).toBe("ended")
      }))
    ))

  it.effect("cannot be kept alive by code that catches every cause", () =>
    clean(() =>
      Effect.scoped(Effect.gen(function* () {
        const trace = new Trace()
        const task = yield* Task.start(
          "stubborn",
          Effect.forever(Effect.catchCause(Effect.never, () => trace.add("swallowed"))),
        )
        yield* task.cancel()
        expect(trace.steps).toEqual([])
      }))
    ))

  it.effect("keeps the value of a commit that finished in spite of its cancel", () =>
    clean((tree) =>
      Effect.scoped(Effect.gen(function* () {
        const task = yield* Task.start(
          "commit",
          Task.commit(Effect.as(Effect.sleep("1 second"), "committed")),
        )
        const cancelling = yield* fork(task.cancel())
        yield* TestClock.adjust("1 second")
        yield* Fiber.join(cancelling)
        expect(yield* task.join).toBe("committed")
        expect((yield* tree.counts).ended["task"]).toMatchObject({ completed: 1, cancelled: 0 })
      }))
    ))

  it.effect("keeps the defect of a finalizer beside the typed failure", () =>
    clean(() =>
      Effect.scoped(Effect.gen(function* () {
        const trace = new Trace()
        const task = yield* Task.start(
          "x",
          Effect.gen(function* () {
            yield* Effect.addFinalizer(() => trace.add("released"))
            yield* Effect.addFinalizer(() => Effect.die("broken finalizer"))
            yield* Effect.never
          }),
        )
        yield* task.cancel()
        expect(causes(yield* task.await)).toEqual(["fail Cancelled", "die broken finalizer"])
        expect(trace.steps).toEqual(["released"])
      }))
    ))

  it.effect("annotates the interrupt itself with the reason", () =>
    clean(() =>
      Effect.scoped(Effect.gen(function* () {
        const seen: Array<unknown> = []
        const task = yield* Task.start(
          "x",
          Effect.onExit(Effect.never, (exit) =>
            Effect.sync(() => {
              if (Exit.isFailure(exit)) {
                seen.push(Cause.annotations(exit.cause).mapUnsafe.get(CancelReason.Annotation.key))
              }
            })),
        )
        yield* task.cancel(CancelReason.LeaseLost)
        expect(seen).toEqual([{ _tag: "LeaseLost" }])
      }))
    ))
})
