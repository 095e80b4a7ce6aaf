import { describe, expect, it } from "@effect/vitest"
import { LoopLag, Metrics, Saturation } from "@weir/runtime"
import { Cause, Clock, Context, Effect, Exit, Layer } from "effect"
import { TestClock } from "effect/testing"

const at = (now: number, criticality?: number) => ({
  now,
  deadline: Infinity,
  service: undefined,
  criticality,
})

/** A clock that can stand still for others: sleepers wake when the loop is free again. */
const blockable = Effect.gen(function* () {
  const inner = yield* Clock.Clock
  let late = 0
  let sleeps = 0
  const clock: Clock.Clock = {
    ...inner,
    currentTimeMillisUnsafe: () => inner.currentTimeMillisUnsafe() + late,
    sleep: (duration) => Effect.suspend(() => (sleeps++, inner.sleep(duration))),
  }
  return {
    clock,
    sleeps: () => sleeps,
    now: () => clock.currentTimeMillisUnsafe(),
    /** So long nothing runs. */
    block: (ms: number) => late += ms,
  }
})

const build = (options?: LoopLag.Options) =>
  Effect.gen(function* () {
    const loop = yield* blockable
    const registry = Saturation.makeUnsafe()
    const metrics = Metrics.makeUnsafe()
    const lag = yield* Layer.build(LoopLag.layer(options)).pipe(
      Effect.map((context) => Context.get(context, LoopLag.LoopLag)),
      Effect.provideService(Clock.Clock, loop.clock),
      Effect.provideService(Saturation.Saturation, registry),
      Effect.provideService(Metrics.Metrics, metrics),
    )
    const refused = () => [0, 1, 2, 3].filter((rank) => lag.refuses(at(loop.now(), rank)))
    return { lag, loop, refused, registry, probes: loop.sleeps }
  })

describe("LoopLag", () => {
  it.effect("refuses nothing while the loop is on time", () =>
    Effect.gen(function* () {
      const { lag, loop, refused, registry } = yield* build()
      yield* TestClock.adjust("2 seconds")
      expect([lag.lagMs(loop.now()), refused()]).toEqual([0, []])
      expect(registry.get("event-loop")!.stats(loop.now())).toMatchObject({
        kind: "event-loop",
        capacity: 2,
        inUse: 0,
      })
    }))

  it.effect("refuses sheddable above 20 ms, sheddable-plus above 100 ms, and critical work never", () =>
    Effect.gen(function* () {
      const { loop, refused, registry } = yield* build()
      yield* TestClock.adjust("1 second")
      loop.block(120)
      // Nobody has run the probe yet: the first request that comes counts it.
      expect(refused()).toEqual([3])
      loop.block(400)
      expect(refused()).toEqual([2, 3])
      expect(registry.get("event-loop")!.stats(loop.now())).toMatchObject({ inUse: 2 })
    }))

  it.effect("recovers within one window, and does not flap on the way", () =>
    Effect.gen(function* () {
      const { loop, refused } = yield* build()
      yield* TestClock.adjust("1 second")
      loop.block(500)
      const seen: Array<number> = []
      for (let i = 0; i < 12; i++) {
        seen.push(refused().length)
        yield* TestClock.adjust("25 millis")
      }
      expect(seen[0]).toBe(2)
      expect(seen.at(-1)).toBe(0)
      expect(seen).toEqual([...seen].sort((a, b) => b - a))
    }))

  it.effect("probes once a window while no request comes, and as often as before once one has", () =>
    Effect.gen(function* () {
      const { lag, loop, probes } = yield* build()
      yield* TestClock.adjust("2 seconds")
      const idle = probes()
      yield* TestClock.adjust("10 seconds")
      expect(probes() - idle).toBe(40)
      lag.refuses(at(loop.now()))
      yield* TestClock.adjust("250 millis")
      const busy = probes()
      yield* TestClock.adjust("500 millis")
      expect(probes() - busy).toBe(20)
    }))

  it.effect("ends its probe with its scope", () =>
    Effect.gen(function* () {
      let sleeps = 0
      const inner = yield* Clock.Clock
      const clock: Clock.Clock = {
        ...inner,
        currentTimeMillisUnsafe: () => inner.currentTimeMillisUnsafe(),
        sleep: (duration) => Effect.suspend(() => (sleeps++, inner.sleep(duration))),
      }
      yield* Effect.scoped(
        Layer.build(LoopLag.layer()).pipe(
          Effect.andThen(TestClock.adjust("100 millis")),
          Effect.provideService(Saturation.Saturation, Saturation.makeUnsafe()),
          Effect.provideService(Clock.Clock, clock),
        ),
      )
      const before = sleeps
      expect(before).toBeGreaterThanOrEqual(4)
      yield* TestClock.adjust("1 second")
      expect(sleeps).toBe(before)
    }))

  it.effect("does not start with options that make no sense", () =>
    Effect.gen(function* () {
      const wrong: ReadonlyArray<readonly [LoopLag.Options, string]> = [
        [{ every: 0 }, 'loopLag.every is 0 ms. Use a duration above zero, such as "25 millis".'],
        [
          { noncritical: 10 },
          "loopLag.noncritical is 10 ms, less than loopLag.sheddable with 20 ms.",
        ],
        [{ window: 5 }, "loopLag.window is 5 ms, less than loopLag.every with 25 ms."],
      ]
      for (const [options, sentence] of wrong) {
        const exit = yield* Effect.exit(build(options))
        expect(Exit.isFailure(exit) && Cause.pretty(exit.cause)).toContain(sentence)
      }
    }))
})
