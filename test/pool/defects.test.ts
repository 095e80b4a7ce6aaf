/**
 * Defects that were reproduced in other libraries (cockatiel 3, opossum 9, Effect 4.1's Semaphore),
 * as tests of ours. A waiter for several permits that single ones starve does not exist here: an
 * acquire takes one slot.
 */
import { describe, expect, it } from "@effect/vitest"
import { Bulkhead, type Refused, Saturation } from "@weir/runtime"
import { Deferred, Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { CancelScope, CurrentScope, root } from "../../src/task/scope.ts"

const fresh = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.suspend(() =>
    Effect.provideService(effect, Saturation.Saturation, Saturation.makeUnsafe())
  )

const fork = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.forkChild(effect, { startImmediately: true })

/** Work of a request of that class and tenant. */
const as = (rank: number, tenant: number) =>
  Effect.provideService(
    CurrentScope,
    new CancelScope(root, Infinity, undefined, undefined, undefined, rank, tenant),
  )

const reasonOf = (exit: Exit.Exit<unknown, Refused.Refused>) =>
  Exit.isFailure(exit)
    ? exit.cause.reasons.flatMap((it) => "error" in it ? it.error.reason : [])
    : []

for (
  const [who, first, other] of [
    ["of one class and tenant", as(1, 0), as(1, 0)],
    ["of other tenants", as(1, 1), as(1, 2)],
    ["of less critical classes", as(1, 0), as(3, 0)],
  ] as const
) {
  describe(`a bulkhead with one slot and one place, newcomers ${who}`, () => {
    it.effect("cockatiel: does not refuse a waiter for two newcomers who come as the slot is freed", () =>
      fresh(Effect.gen(function* () {
        const bulkhead = yield* Bulkhead.make({ name: "x", capacity: 1, queueCapacity: 1 })
        const gate = yield* Deferred.make<void>()
        const a = yield* fork(first(bulkhead.use(Deferred.await(gate))))
        const b = yield* fork(first(bulkhead.use(Effect.succeed("b"))))
        yield* Deferred.succeed(gate, undefined)
        const c = yield* fork(other(bulkhead.use(Effect.succeed("c"))))
        const d = yield* fork(other(bulkhead.use(Effect.succeed("d"))))
        yield* Fiber.join(a)
        expect(yield* Fiber.join(b)).toBe("b")
        const ends = yield* Effect.all([Fiber.await(c), Fiber.await(d)])
        expect(ends.filter(Exit.isSuccess).length).toBeGreaterThanOrEqual(1)
        expect(yield* bulkhead.stats).toMatchObject({ inUse: 0, waiting: 0 })
      })))

    it.effect("cockatiel: an aborted waiter frees its place in that turn", () =>
      fresh(Effect.gen(function* () {
        const bulkhead = yield* Bulkhead.make({ name: "x", capacity: 1, queueCapacity: 1 })
        yield* fork(first(bulkhead.use(Effect.never)))
        const b = yield* fork(first(bulkhead.use(Effect.never)))
        const refused = yield* Effect.exit(other(bulkhead.use(Effect.void)))
        expect(reasonOf(refused)).toEqual(["QueueFull"])
        b.interruptUnsafe()
        expect(bulkhead.bounded.stats(0).waiting).toBe(0)
        const c = yield* fork(other(bulkhead.use(Effect.never)))
        expect(bulkhead.bounded.stats(0).waiting).toBe(1)
        yield* Fiber.interrupt(c)
      })))
  })
}

describe("a bulkhead", () => {
  it.effect("opossum: frees a slot only when the work has really ended, also after a timeout", () =>
    fresh(Effect.gen(function* () {
      const bulkhead = yield* Bulkhead.make({ name: "x", capacity: 5 })
      let running = 0
      let most = 0
      // Its release takes longer than its timeout allows.
      const work = Effect.acquireUseRelease(
        Effect.sync(() => most = Math.max(most, ++running)),
        () => Effect.never,
        () => Effect.andThen(Effect.sleep("2 seconds"), Effect.sync(() => running--)),
      )
      for (let i = 0; i < 50; i++) {
        yield* fork(Effect.timeoutOption(as(i % 4, i % 3)(bulkhead.use(work)), "100 millis"))
      }
      for (let i = 0; i < 60; i++) {
        yield* TestClock.adjust("1 second")
        expect((yield* bulkhead.stats).inUse).toBe(running)
      }
      expect([most, running]).toEqual([5, 0])
    })))

  it.effect("hands a freed slot to the waiter, whatever single acquires compete for it", () =>
    fresh(Effect.gen(function* () {
      const bulkhead = yield* Bulkhead.make({ name: "x", capacity: 1 })
      const gate = yield* Deferred.make<void>()
      yield* fork(bulkhead.use(Deferred.await(gate)))
      const waiter = yield* fork(bulkhead.use(Effect.succeed("served")))
      const loop: Effect.Effect<void, Refused.Refused> = Effect.suspend(() =>
        Effect.andThen(bulkhead.use(Effect.yieldNow), loop)
      )
      const loops = yield* Effect.all([1, 2, 3].map(() => fork(loop)))
      yield* Deferred.succeed(gate, undefined)
      expect(yield* Fiber.join(waiter)).toBe("served")
      for (const it of loops) yield* Fiber.interrupt(it)
    })))

  it.effect("changes its limits while work goes on", () =>
    fresh(Effect.gen(function* () {
      const bulkhead = yield* Bulkhead.make({ name: "x", capacity: 1, queueCapacity: 1 })
      const fibers = yield* Effect.all([1, 2].map(() => fork(bulkhead.use(Effect.never))))
      expect(yield* bulkhead.stats).toMatchObject({ inUse: 1, waiting: 1 })
      yield* bulkhead.update({ capacity: 2, queueCapacity: 0 })
      expect(yield* bulkhead.stats).toMatchObject({ inUse: 2, waiting: 0, queueCapacity: 0 })
      expect(reasonOf(yield* Effect.exit(bulkhead.use(Effect.void)))).toEqual(["QueueFull"])
      yield* bulkhead.update({ capacity: 1 })
      expect(yield* bulkhead.stats).toMatchObject({ inUse: 2, capacity: 1 })
      for (const fiber of fibers) yield* Fiber.interrupt(fiber)
      for (
        const [limits, sentence] of [
          [{ capacity: 0 }, 'Cannot change the bulkhead "x": capacity is 0. Use an integer'],
          [{ queueCapacity: -1 }, "queueCapacity is -1. Use an integer of at least 0."],
          [{ margin: NaN }, "margin is NaN. Use a number of at least 0, such as 0.1."],
          [{ risk: 1 }, "risk is 1. Use a number above 0 and up to 0.5, such as 0.001."],
        ] as const
      ) {
        const exit = yield* Effect.exit(bulkhead.update(limits))
        expect(Exit.isFailure(exit) && String(exit.cause)).toContain(sentence)
      }
      expect((yield* bulkhead.stats).capacity).toBe(1)
    })))
})
