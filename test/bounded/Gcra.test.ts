import { describe, expect, it } from "@effect/vitest"
import { Gcra } from "@weir/runtime"
import { Schema } from "effect"

const between = (minimum: number, maximum: number) =>
  Schema.Int.check(Schema.isBetween({ minimum, maximum }))

const limits = Schema.Struct({
  requests: between(1, 1000),
  seconds: between(1, 3600),
  burst: between(1, 1000),
  gaps: Schema.Array(between(0, 5000)),
})

const rateOf = (requests: number, seconds: number, burst: number) =>
  Gcra.rate("test", { requests, per: seconds * 1000, burst: Math.min(burst, requests) })

/**
 * The oracle: every admitted call is kept with the instant at which it will be paid back, one after
 * the other, in big integers. No levels, no divisors.
 */
class Naive {
  /** In units of 1/requests ms. */
  private readonly paid: Array<bigint> = []
  private readonly requests: bigint
  private readonly perMs: bigint
  private readonly burst: bigint

  constructor(rate: Gcra.Rate) {
    this.requests = BigInt(rate.requests)
    this.perMs = BigInt(rate.perMs)
    this.burst = BigInt(rate.burst)
  }

  call(nowMs: number): boolean {
    const now = BigInt(nowMs) * this.requests
    const last = this.paid.at(-1) ?? 0n
    const done = (last > now ? last : now) + this.perMs
    if (done - now > this.burst * this.perMs) return false
    this.paid.push(done)
    return true
  }
}

describe("Gcra", () => {
  it.prop("admits exactly what the textbook admits", { limits }, ({ limits }) => {
    const rate = rateOf(limits.requests, limits.seconds, limits.burst)
    const naive = new Naive(rate)
    let level = 0
    let now = 1_795_000_000_000
    let at = now
    for (const gap of limits.gaps) {
      now += gap
      level = Gcra.drained(rate, level, now - at)
      at = now
      const wait = Gcra.waitMs(rate, level)
      expect([now, wait === 0]).toEqual([now, naive.call(now)])
      if (wait === 0) level += rate.cost
    }
  })

  it.prop("the promised wait is exact to the millisecond", { limits }, ({ limits }) => {
    const rate = rateOf(limits.requests, limits.seconds, limits.burst)
    let level = 0
    for (const gap of limits.gaps) {
      level = Gcra.drained(rate, level, gap)
      const wait = Gcra.waitMs(rate, level)
      if (wait === 0) {
        level += rate.cost
      } else {
        expect(Gcra.waitMs(rate, Gcra.drained(rate, level, wait))).toBe(0)
        expect(Gcra.waitMs(rate, Gcra.drained(rate, level, wait - 1))).toBe(1)
      }
      const left = Gcra.available(rate, level)
      const more = Gcra.moreMs(rate, level)
      if (more === undefined) {
        expect([left, level]).toEqual([rate.burst, 0])
      } else {
        expect(Gcra.available(rate, Gcra.drained(rate, level, more))).toBe(left + 1)
        expect(Gcra.available(rate, Gcra.drained(rate, level, more - 1))).toBe(left)
      }
      for (let i = 0; i < left; i++) {
        expect(Gcra.waitMs(rate, level + i * rate.cost)).toBe(0)
      }
      expect(Gcra.waitMs(rate, level + left * rate.cost)).toBeGreaterThan(0)
    }
  })

  it.prop("never admits more than burst plus the time's share", { limits }, ({ limits }) => {
    const rate = rateOf(limits.requests, limits.seconds, limits.burst)
    let level = 0
    let time = 0
    let admitted = 0
    for (const gap of limits.gaps) {
      time += gap
      level = Gcra.drained(rate, level, gap)
      while (Gcra.waitMs(rate, level) === 0) {
        level += rate.cost
        admitted++
      }
      expect(admitted).toBeLessThanOrEqual(rate.burst + time * rate.requests / rate.perMs)
      expect(Number.isSafeInteger(level)).toBe(true)
    }
  })

  it("seven calls a minute are seven, at once and spread", () => {
    const rate = Gcra.rate("test", { requests: 7, per: "1 minute" })
    let level = 0
    for (let i = 0; i < 7; i++) {
      expect(Gcra.waitMs(rate, level)).toBe(0)
      level += rate.cost
    }
    expect(Gcra.waitMs(rate, level)).toBe(8572)
    expect(Gcra.available(rate, Gcra.drained(rate, level, 59_999))).toBe(6)
    expect(Gcra.available(rate, Gcra.drained(rate, level, 60_000))).toBe(7)
  })

  it("a new rate keeps the calls that were made, and no debt beyond its own burst", () => {
    const ten = Gcra.rate("test", { requests: 10, per: "1 second" })
    const hundred = Gcra.rate("test", { requests: 100, per: "1 minute" })
    const level = 8 * ten.cost
    expect(Gcra.available(hundred, Gcra.carried(ten, level, hundred))).toBe(92)
    const back = Gcra.carried(hundred, 50 * hundred.cost, ten)
    expect(Gcra.available(ten, back)).toBe(0)
    expect(Gcra.waitMs(ten, back)).toBe(100)
  })

  for (
    const [limit, message] of [
      [{ requests: 0, per: "1 second" }, "requests is 0, but"],
      [{ requests: 1.5, per: "1 second" }, "requests is 1.5, but"],
      [
        { requests: 5, per: "1 second", burst: 6 },
        "burst is 6, but it must be a whole number from 1 to 5",
      ],
      [{ requests: 5, per: "500 millis" }, "per is 500 ms, but"],
      [{ requests: 5, per: "1500 millis" }, "per is 1500 ms, but"],
      [{ requests: 5, per: "25 hours" }, "per is 90000000 ms, but"],
      [{ requests: 5, per: "soon" as never }, 'per is "soon", which is no duration'],
    ] as const
  ) {
    it(`says what is wrong with ${JSON.stringify(limit)}`, () => {
      expect(() => Gcra.rate("limits.tenant", limit)).toThrow(`limits.tenant.${message}`)
    })
  }
})
