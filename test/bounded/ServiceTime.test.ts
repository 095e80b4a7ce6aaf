import { describe, expect, it } from "@effect/vitest"
import { ServiceTime } from "@weir/runtime"
import { Schema } from "effect"
import { random } from "../support/random.ts"

const millis = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 5000 }))

const warm = (ms: number, samples = 40) => {
  const time = ServiceTime.make()
  for (let i = 0; i < samples; i++) time.observe(ms)
  return time
}

describe("ServiceTime", () => {
  it("knows nothing before the first sample", () => {
    const time = ServiceTime.make()
    expect([time.known, time.mean, time.p90, time.estimate]).toEqual([false, 0, 0, 0])
    time.observe(200)
    expect([time.known, time.mean, time.p90, time.estimate]).toEqual([true, 200, 200, 200])
  })

  it("starts from what was expected, and believes real samples within four", () => {
    const time = ServiceTime.make({ expectedMs: 200 })
    expect([time.known, time.estimate]).toEqual([true, 200])
    for (let i = 0; i < 4; i++) time.observe(40)
    expect([time.mean, time.estimate]).toEqual([40, 40])
  })

  it("follows a slowdown from 200 to 400 ms within one wave of ten, and back", () => {
    const time = warm(200)
    for (let i = 0; i < 4; i++) time.observe(400)
    expect([time.mean, time.estimate]).toEqual([400, 400])
    for (let i = 0; i < 4; i++) time.observe(200)
    expect([time.mean, time.estimate]).toEqual([200, 200])
  })

  it("follows a gradual slowdown", () => {
    const time = warm(200)
    for (let ms = 200; ms <= 400; ms += 5) time.observe(ms)
    expect(time.estimate).toBeGreaterThan(370)
  })

  it("is moved by at most 2 % by 1 % of lucky, fast samples", () => {
    for (let seed = 1; seed <= 50; seed++) {
      const next = random(seed)
      const time = warm(200)
      let lowest = 200
      for (let i = 0; i < 2000; i++) {
        time.observe(next() < 0.01 ? 1 : 200)
        lowest = Math.min(lowest, time.mean, time.estimate)
      }
      expect(lowest).toBeGreaterThanOrEqual(196)
    }
  })

  it("stays near the mean of widely spread samples", () => {
    for (let seed = 1; seed <= 20; seed++) {
      const next = random(seed)
      const time = ServiceTime.make()
      let sum = 0
      for (let i = 0; i < 5000; i++) {
        time.observe(-100 * Math.log(1 - next()))
        sum += time.mean
      }
      expect(sum / 5000).toBeGreaterThan(90)
      expect(sum / 5000).toBeLessThan(115)
    }
  })

  it("remembers how long cancelled work took while nothing else is known", () => {
    const time = ServiceTime.make()
    time.observeCensored(300)
    time.observeCensored(100)
    expect([time.known, time.estimate]).toEqual([false, 300])
    time.observe(50)
    expect([time.known, time.estimate]).toEqual([true, 50])
  })

  it("rises when everything is cancelled later than it used to take", () => {
    const time = warm(200)
    for (let i = 0; i < 4; i++) time.observeCensored(1000)
    expect(time.mean).toBe(1000)
  })

  it("rises when all work is cancelled after just the time that it was expected to take", () => {
    // Where a line stands, admission leaves each just that time: nothing ever takes longer.
    const time = warm(200)
    for (let i = 0; i < 4; i++) time.observeCensored(204)
    expect([time.mean, time.estimate]).toEqual([300, 300])
    for (let i = 0; i < 4; i++) time.observeCensored(300)
    expect([time.mean, time.estimate]).toEqual([450, 450])
  })

  it("learns nothing from work that was cancelled earlier than it used to end", () => {
    const time = warm(200)
    for (let i = 0; i < 40; i++) time.observeCensored(190)
    expect([time.mean, time.p90, time.estimate]).toEqual([200, 200, 200])
  })

  it("starts again from one sample when it is replaced", () => {
    const time = warm(5000)
    time.replace(200)
    expect([time.mean, time.p90, time.estimate]).toEqual([200, 200, 200])
  })

  it("ignores samples that are no time", () => {
    const time = warm(200)
    for (const bad of [NaN, -1, Infinity]) time.observe(bad)
    expect([time.mean, time.p90]).toEqual([200, 200])
  })

  it.prop(
    "never goes down when work is cancelled",
    { before: Schema.Array(millis), cancelled: Schema.Array(millis) },
    ({ before, cancelled }) => {
      const time = ServiceTime.make()
      for (const ms of before) time.observe(ms)
      for (const ms of cancelled) {
        const { estimate, mean, p90 } = time
        time.observeCensored(ms)
        expect(time.estimate).toBeGreaterThanOrEqual(estimate)
        expect(time.mean).toBeGreaterThanOrEqual(mean)
        expect(time.p90).toBeGreaterThanOrEqual(p90)
      }
    },
    { arbitrary: { runs: 1000 } },
  )

  it.prop(
    "stays between the smallest and the largest sample",
    { samples: Schema.NonEmptyArray(millis) },
    ({ samples }) => {
      const time = ServiceTime.make()
      for (const ms of samples) {
        time.observe(ms)
        expect(time.p90).toBeGreaterThanOrEqual(Math.min(...samples))
      }
      for (const value of [time.mean, time.p90, time.estimate]) {
        expect(value).toBeGreaterThanOrEqual(Math.min(...samples) - 1e-9)
        expect(value).toBeLessThanOrEqual(Math.max(...samples) + 1e-9)
      }
    },
  )

  it("has no deviation, and no tail, while all work takes equally long", () => {
    const time = warm(200, 500)
    expect([time.deviation, time.tail(3.09), time.rarity(201)]).toEqual([0, 200, Infinity])
  })

  it("takes a change of the mean for no variance, sudden or gradual, up or down", () => {
    const time = warm(200, 200)
    for (let ms = 220; ms < 400; ms += 20) time.observe(ms)
    for (let i = 0; i < 200; i++) time.observe(400)
    for (let i = 0; i < 200; i++) time.observe(100)
    for (let ms = 100; ms < 300; ms++) time.observe(ms)
    for (let i = 0; i < 100; i++) time.observe(300)
    expect([time.mean, time.tail(3.09)].map(Math.round)).toEqual([300, 300])
    expect(time.deviation).toBeLessThan(3)
  })

  it("takes an outage for no variance", () => {
    const time = warm(200, 200)
    for (let i = 0; i < 10; i++) time.observeCensored(1000)
    time.replace(200)
    for (let i = 0; i < 200; i++) time.observe(200)
    expect([time.deviation, time.tail(3.09)]).toEqual([0, 200])
  })

  it("measures deviation and tail of work that varies, also while its mean changes", () => {
    const next = random(3)
    const sigma = Math.sqrt(Math.log(1.25))
    const work = (mean: number) => {
      const normal = Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next())
      return mean * Math.exp(sigma * normal - sigma * sigma / 2)
    }
    const time = ServiceTime.make()
    for (const mean of [200, 400, 200, 600]) {
      for (let i = 0; i < 300; i++) time.observe(work(mean))
      expect(time.deviation / time.mean).toBeGreaterThan(0.35)
      expect(time.deviation / time.mean).toBeLessThan(0.75)
      // 3.85 times the mean.
      expect(time.tail(3.09) / mean).toBeGreaterThan(2.7)
      expect(time.tail(3.09) / mean).toBeLessThan(5.5)
      expect(time.rarity(time.tail(2))).toBeCloseTo(2, 6)
    }
  })

  it("does not start again because of four short ones in a row, where times vary anyway", () => {
    const next = random(1)
    const time = ServiceTime.make()
    for (let i = 0; i < 300; i++) time.observe(100 + 200 * next())
    for (let i = 0; i < 4; i++) time.observe(50)
    expect(time.mean).toBeGreaterThan(120)
    for (let i = 0; i < 2; i++) time.observe(50)
    expect(time.mean).toBe(50)
  })

  it("agrees with a sorted window", () => {
    const next = random(7)
    const time = ServiceTime.make()
    const all: Array<number> = []
    for (let i = 0; i < 3000; i++) {
      // Few distinct values, so that there are many ties; extremes first, and low and high in turn,
      // so that no four in a row start the estimate again.
      const ms = i < 32 ? (i % 2) * 19 : Math.floor(next() * 10) + (i % 2) * 10
      all.push(ms)
      time.observe(ms)
      const window = all.slice(-32).sort((a, b) => a - b)
      expect(time.p90).toBe(window[Math.floor((window.length - 1) * 0.9)])
    }
  })
})
