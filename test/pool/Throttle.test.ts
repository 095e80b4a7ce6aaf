import { describe, expect, it } from "@effect/vitest"
import { type Refused, Throttle } from "@weir/runtime"
import { Effect, type Exit, Fiber } from "effect"
import { Share } from "../../src/pool/share.ts"
import { random } from "../support/random.ts"
import { fork, fresh, repeat, tally, word } from "./support.ts"

const isNo = (exit: Exit.Exit<unknown, unknown>) => word(exit) === "no"

const share = () => new Share({ k: 2, windowMs: 120_000, minimumCalls: 20, cap: 0.9 })

describe("the share of refusals", () => {
  it("is that of the SRE book", () => {
    const counts = share()
    for (let i = 0; i < 100; i++) counts.ended(0, i < 30)
    expect(counts.chance(0)).toBeCloseTo((100 - 2 * 30) / 101)
    for (let i = 0; i < 40; i++) counts.ended(0, true)
    expect(counts.chance(0)).toBe(0)
  })

  it("is 0 below its number of calls, and never above its cap", () => {
    const counts = share()
    for (let i = 0; i < 19; i++) counts.ended(0, false)
    expect(counts.chance(0)).toBe(0)
    for (let i = 0; i < 1000; i++) counts.ended(0, false)
    expect(counts.chance(0)).toBe(0.9)
  })

  it("counts what is refused here, and forgets after its window", () => {
    const counts = share()
    for (let i = 0; i < 40; i++) counts.ended(0, i < 15)
    const before = counts.chance(0)
    expect(counts.admit(0, 0)).toBe(false)
    expect([counts.chance(0) > before, counts.refusals]).toEqual([true, 1])
    expect(counts.chance(119_999)).toBeGreaterThan(0)
    expect(counts.chance(125_000)).toBe(0)
  })

  it("sends a dependency at most so many calls per accepted one, and comes back", () => {
    for (let seed = 1; seed <= 10; seed++) {
      const u = random(seed)
      const counts = share()
      let [sent, accepted] = [0, 0]
      // 50 calls a second; of those sent, the other side takes 10 a second.
      for (let now = 0; now < 600_000; now += 20) {
        if (!counts.admit(now, u())) continue
        if (now >= 300_000) sent++
        const taken = u() < 0.2
        if (taken && now >= 300_000) accepted++
        counts.ended(now, taken)
      }
      expect([seed, sent / accepted < 6, accepted > 0]).toEqual([seed, true, true])
      for (let now = 600_000; now < 900_000; now += 20) {
        if (counts.admit(now, u())) counts.ended(now, true)
      }
      expect([seed, counts.chance(900_000)]).toEqual([seed, 0])
    }
  })
})

describe("Throttle", () => {
  it.effect("refuses locally, with a reason, and lets a tenth through", () =>
    fresh(Effect.gen(function* () {
      const throttle = yield* Throttle.make({ name: "prices" })
      let sent = 0
      const call = throttle.use(Effect.suspend(() => {
        sent++
        return Effect.fail("429")
      }))
      const words = tally(yield* repeat(1000, call))
      expect(words["429"]).toBe(sent)
      expect(sent).toBeGreaterThan(80)
      expect(sent).toBeLessThan(200)
      const stats = yield* throttle.stats
      expect(stats).toEqual({ chance: 0.9, refused: 1000 - sent })
      const refused = yield* Effect.flip(Effect.forever(Effect.catch(
        call,
        (error) => error === "429" ? Effect.void : Effect.fail(error as Refused.Refused),
      )))
      expect(refused).toMatchObject({ reason: "Throttled", kind: "throttle", resource: "prices" })
    })))

  it.effect("counts neither cancelled calls nor refusals of ours", () =>
    fresh(Effect.gen(function* () {
      const throttle = yield* Throttle.make({ name: "prices" })
      for (let i = 0; i < 50; i++) yield* Fiber.interrupt(yield* fork(throttle.use(Effect.never)))
      const own = yield* Throttle.make({ name: "other", minimumCalls: 0 })
      yield* repeat(5, own.use(Effect.fail("no")))
      // Of these, nine in ten are refused by the other one, and the rest is said to be accepted.
      const words = yield* repeat(200, throttle.use(own.use(Effect.fail("no")), isNo))
      expect(tally(words)["Throttled"]).toBeGreaterThan(100)
      expect(yield* throttle.stats).toEqual({ chance: 0, refused: 0 })
    })))

  it.effect("asks what counts as accepted", () =>
    fresh(Effect.gen(function* () {
      const throttle = yield* Throttle.make({ name: "prices" })
      yield* repeat(100, throttle.use(Effect.fail("not found"), () => true))
      expect(yield* throttle.stats).toEqual({ chance: 0, refused: 0 })
      yield* repeat(400, throttle.use(Effect.succeed("busy"), () => false))
      expect((yield* throttle.stats).refused).toBeGreaterThan(100)
    })))
})
