import { describe, expect, it } from "@effect/vitest"
import { Schema } from "effect"
import { type Step, stepOf } from "../../src/admission/guard.ts"
import { Lag } from "../../src/admission/lag.ts"

const ms = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))

describe("the lag of the event loop", () => {
  it("is 0 while every probe is on time", () => {
    const lag = new Lag(250, 25, 0)
    for (let now = 25; now <= 1000; now += 25) lag.observe(now)
    expect(lag.at(1000)).toBe(0)
  })

  it("counts a block as all the probes that were due in it, and is forgotten after a window", () => {
    const lag = new Lag(250, 25, 0)
    for (let now = 25; now <= 500; now += 25) lag.observe(now)
    lag.observe(700)
    // Eight probes, 0 to 175 ms late.
    expect(lag.at(700)).toBeGreaterThan(100)
    for (let now = 725; now <= 950; now += 25) lag.observe(now)
    expect(lag.at(950)).toBeGreaterThan(100)
    lag.observe(975)
    expect(lag.at(975)).toBe(0)
  })

  it("does not take one late probe among many on time for a trend", () => {
    const lag = new Lag(250, 25, 0)
    for (let now = 25; now <= 500; now += 25) lag.observe(now)
    lag.observe(540)
    expect(lag.at(540)).toBeLessThan(20)
  })

  it("is over a block of an hour as quickly as over one of a second", () => {
    const lag = new Lag(250, 25, 0)
    lag.observe(3_600_000)
    expect(lag.at(3_600_000)).toBeGreaterThan(200)
    for (let i = 1; i <= 11; i++) lag.observe(3_600_000 + i * 25)
    expect(lag.at(3_600_000 + 11 * 25)).toBe(0)
  })

  it.prop(
    "is never negative, never above the longest pause, and 0 once all was on time for a window",
    { pauses: Schema.Array(ms(400)) },
    ({ pauses }) => {
      const lag = new Lag(250, 25, 0)
      let now = 0
      let longest = 0
      for (const pause of pauses) {
        // A probe wakes when it is due, or late.
        const wake = Math.max(lag.due, now + pause)
        longest = Math.max(longest, wake - lag.due)
        now = wake
        lag.observe(now)
        expect(lag.due).toBeGreaterThan(now)
        expect(lag.at(now)).toBeGreaterThanOrEqual(0)
        expect(lag.at(now)).toBeLessThanOrEqual(longest)
      }
      for (let i = 0; i < 12; i++) lag.observe(now = lag.due)
      expect(lag.at(now)).toBe(0)
    },
  )
})

describe("the steps of a guard", () => {
  const steps: ReadonlyArray<Step> = [{ above: 20, rank: 3 }, { above: 100, rank: 2 }]

  it("are reached above their threshold and left below half of it", () => {
    const seen: Array<number> = []
    let step = 0
    for (const value of [20, 21, 12, 10, 9, 101, 60, 50, 49, 15, 9]) {
      seen.push(step = stepOf(steps, step, value, 0.5))
    }
    expect(seen).toEqual([0, 1, 1, 1, 0, 2, 2, 2, 1, 1, 0])
  })

  it.prop(
    "do not change while the value swings between half a threshold and the threshold",
    { values: Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 10, maximum: 20 }))) },
    ({ values }) => {
      for (const before of [0, 1]) {
        let step = before
        for (const value of values) expect(step = stepOf(steps, step, value, 0.5)).toBe(before)
      }
    },
  )

  it.prop(
    "refuse more for more, and never less than the threshold asks for",
    { value: ms(300), more: ms(300), before: ms(2) },
    ({ before, more, value }) => {
      const step = stepOf(steps, before, value, 0.5)
      expect(stepOf(steps, before, value + more, 0.5)).toBeGreaterThanOrEqual(step)
      expect(step).toBeGreaterThanOrEqual(stepOf(steps, 0, value, 0.5))
      expect(step).toBeLessThanOrEqual(Math.max(before, stepOf(steps, 0, value, 0.5)))
    },
  )
})
