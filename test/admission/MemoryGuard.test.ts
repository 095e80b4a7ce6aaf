import { describe, expect, it } from "@effect/vitest"
import { MemoryGuard, Saturation } from "@weir/runtime"
import { Cause, Context, Effect, Exit, Layer } from "effect"

const build = (options: MemoryGuard.Options) =>
  Layer.build(MemoryGuard.layer(options)).pipe(
    Effect.map((context) => Context.get(context, MemoryGuard.MemoryGuard)),
    Effect.provideService(Saturation.Saturation, Saturation.makeUnsafe()),
  )

const refused = (guard: MemoryGuard.MemoryGuard, now: number) =>
  [0, 1, 2, 3].filter((criticality) =>
    guard.refuses({ now, deadline: Infinity, service: undefined, criticality })
  )

describe("MemoryGuard", () => {
  it.effect("refuses the sheddable classes first, then all but critical-plus", () =>
    Effect.gen(function* () {
      let heapUsed = 0
      const guard = yield* build({ heapLimit: 1000, read: () => ({ heapUsed, rss: 5000 }) })
      const seen = [800, 851, 820, 800, 951, 910, 890, 700].map((bytes, i) => {
        heapUsed = bytes
        return refused(guard, (i + 1) * 100).join("")
      })
      // Each step is left 5 % below its threshold.
      expect(seen).toEqual(["", "23", "23", "", "123", "123", "23", ""])
    }))

  it.effect("looks at resident memory as well, where that has a limit", () =>
    Effect.gen(function* () {
      const guard = yield* build({
        heapLimit: 1000,
        rssLimit: 10_000,
        read: () => ({ heapUsed: 100, rss: 9600 }),
      })
      expect([guard.used(100), refused(guard, 100)]).toEqual([0.96, [1, 2, 3]])
      expect(guard.bounded.stats(100)).toMatchObject({ kind: "memory", inUse: 2, capacity: 2 })
    }))

  it.effect("reads at most once in `every`", () =>
    Effect.gen(function* () {
      let reads = 0
      const guard = yield* build({
        heapLimit: 1000,
        read: () => (reads++, { heapUsed: 1, rss: 1 }),
      })
      for (let now = 1; now <= 1000; now++) refused(guard, now)
      expect(reads).toBe(11)
    }))

  it.effect("takes the real limits by default, and finds room", () =>
    Effect.gen(function* () {
      const guard = yield* build({})
      expect(guard.used(0)).toBeGreaterThan(0)
      expect(guard.used(0)).toBeLessThan(0.85)
    }))

  it.effect("does not start with options that make no sense", () =>
    Effect.gen(function* () {
      const wrong: ReadonlyArray<readonly [MemoryGuard.Options, string]> = [
        [
          { sheddable: 0 },
          "memory.sheddable is 0. Use a part of the limit above 0 and up to 1, such as 0.85.",
        ],
        [{ critical: 0.5 }, "memory.critical is 0.5, less than memory.sheddable with 0.85."],
        [{ heapLimit: 0 }, "memory.heapLimit is 0 bytes. Use a size above zero."],
      ]
      for (const [options, sentence] of wrong) {
        const exit = yield* Effect.exit(build(options))
        expect(Exit.isFailure(exit) && Cause.pretty(exit.cause)).toContain(sentence)
      }
    }))
})
