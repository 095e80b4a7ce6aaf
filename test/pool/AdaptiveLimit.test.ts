import { describe, expect, it } from "@effect/vitest"
import { AdaptiveLimit, Refused, Saturation } from "@weir/runtime"
import { Clock, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { fork, fresh, tally, word } from "./support.ts"

/** A dependency that serves so many at once, each for so long; the rest queues there. */
const server = (places: number, ms: number) => {
  let busy = 0
  let most = 0
  const queue: Array<() => void> = []
  const release = Effect.sync(() => {
    busy--
    queue.shift()?.()
  })
  const call = Effect.gen(function* () {
    most = Math.max(most, busy + queue.length + 1)
    if (busy >= places) yield* Effect.callback<void>((go) => void queue.push(() => go(Effect.void)))
    busy++
    yield* Effect.ensuring(Effect.sleep(ms), release)
  })
  return { call, most: () => most }
}

/** Keeps the limit in force for so long. */
const load = <E>(
  limit: AdaptiveLimit.AdaptiveLimit,
  call: Effect.Effect<void, E>,
  callers: number,
  ms: number,
) =>
  Effect.gen(function* () {
    const fibers = yield* Effect.forEach(
      Array.from({ length: callers }),
      () => fork(Effect.forever(Effect.exit(limit.use(call)))),
    )
    for (let i = 0; i < ms; i += 10) yield* TestClock.adjust(10)
    yield* Effect.forEach(fibers, Fiber.interrupt)
  })

describe("AdaptiveLimit", () => {
  it.effect("grows while that adds throughput, and stops when it only queues", () =>
    fresh(Effect.gen(function* () {
      const limit = yield* AdaptiveLimit.make({ name: "prices", initial: 4 })
      const { call } = server(20, 100)
      yield* load(limit, call, 100, 20_000)
      const { baselineMs, capacity, serviceMs } = yield* limit.stats
      expect([capacity >= 18, capacity <= 40, baselineMs >= 100]).toEqual([true, true, true])
      expect(serviceMs).toBeLessThan(250)
    })))

  it.effect("learns from latencies below a millisecond, which its clock does not show", () =>
    fresh(Effect.gen(function* () {
      const clock = yield* Clock.Clock
      const whole: Clock.Clock = {
        ...clock,
        currentTimeMillisUnsafe: () => Math.floor(clock.currentTimeMillisUnsafe()),
      }
      const limit = yield* AdaptiveLimit.make({ name: "prices", initial: 8 })
      const { call } = server(4, 0.25)
      const use = Effect.provideService(limit.use(call), Clock.Clock, whole)
      // Twelve at each full millisecond, and all of them have ended before the next one.
      for (let ms = 0; ms < 500; ms++) {
        const fibers = yield* Effect.forEach(Array.from({ length: 12 }), () => fork(use))
        for (let i = 0; i < 4; i++) yield* TestClock.adjust(0.25)
        yield* Effect.forEach(fibers, Fiber.join)
      }
      const { baselineMs } = yield* limit.stats
      expect([baselineMs > 0.2, baselineMs < 0.75]).toEqual([true, true])
    })))

  it.effect("shrinks when it times out, and is not misled by failures", () =>
    fresh(Effect.gen(function* () {
      const limit = yield* AdaptiveLimit.make({ name: "prices", initial: 20 })
      yield* load(limit, Effect.fail("500"), 5, 1)
      expect((yield* limit.stats).capacity).toBe(20)
      yield* load(limit, Effect.timeout(Effect.never, 50), 40, 3000)
      expect((yield* limit.stats).capacity).toBeLessThan(5)
    })))

  it.effect("never runs more than its limit, and gives the slot back after the finalizers", () =>
    fresh(Effect.gen(function* () {
      const limit = yield* AdaptiveLimit.make({ name: "prices", initial: 2, min: 2, max: 2 })
      let running = 0
      let most = 0
      // opossum, resilience4j #1530: a timeout that frees the slot while the work goes on.
      const stubborn = Effect.suspend(() => {
        most = Math.max(most, ++running)
        return Effect.onExit(
          Effect.never,
          () => Effect.andThen(Effect.sleep(500), Effect.sync(() => running--)),
        )
      })
      const calls = yield* Effect.forEach(
        Array.from({ length: 6 }),
        () => fork(Effect.exit(limit.use(Effect.timeout(stubborn, 100)))),
      )
      yield* TestClock.adjust(5000)
      const words = yield* Effect.forEach(calls, (fiber) => Effect.map(Fiber.join(fiber), word))
      expect([most, running]).toEqual([2, 0])
      expect(tally(words)).toEqual({ TimeoutError: 6 })
      expect((yield* limit.stats).inUse).toBe(0)
    })))

  // envoy #18152: "why was this refused?"
  it.effect("is a bounded thing, and its refusals say why, with numbers", () =>
    fresh(Effect.gen(function* () {
      const registry = yield* Saturation.Saturation
      const limit = yield* AdaptiveLimit.make({ name: "prices", initial: 1, queueCapacity: 0 })
      expect(registry.get("prices")).toBe(limit.bounded)
      const running = yield* fork(limit.use(Effect.never))
      const refused = yield* Effect.flip(limit.use(Effect.void))
      expect(refused).toBeInstanceOf(Refused.Refused)
      expect(refused).toMatchObject({
        reason: "QueueFull",
        kind: "adaptive limit",
        resource: "prices",
        inUse: 1,
        capacity: 1,
        waiting: 0,
      })
      yield* Fiber.interrupt(running)
    })))

  it.effect("says what is wrong with its bounds", () =>
    fresh(Effect.gen(function* () {
      const exit = yield* Effect.exit(
        Effect.scoped(AdaptiveLimit.make({ name: "x", min: 5, max: 3 })),
      )
      expect(String(exit)).toContain("1 <= min <= initial <= max")
    })))
})
