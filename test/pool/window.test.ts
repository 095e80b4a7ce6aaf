import { describe, expect, it } from "@effect/vitest"
import { Latency } from "../../src/pool/latency.ts"
import { CountWindow, TimeWindow } from "../../src/pool/window.ts"
import { random } from "../support/random.ts"

interface Call {
  readonly at: number
  readonly failed: boolean
  readonly slow: boolean
}

const sums = (calls: ReadonlyArray<Call>) => ({
  calls: calls.length,
  failures: calls.filter(({ failed }) => failed).length,
  slow: calls.filter(({ slow }) => slow).length,
})

const seen = ({ calls, failures, slow }: CountWindow | TimeWindow) => ({ calls, failures, slow })

describe("windows", () => {
  it("of calls hold the last ones", () => {
    for (let seed = 1; seed <= 20; seed++) {
      const u = random(seed)
      const window = new CountWindow(1 + Math.floor(u() * 30))
      const size = 1 + Math.floor(random(seed)() * 30)
      const all: Array<Call> = []
      for (let i = 0; i < 200; i++) {
        const call = { at: i, failed: u() < 0.4, slow: u() < 0.2 }
        all.push(call)
        window.record(call.at, call.failed, call.slow)
        expect([seed, seen(window)]).toEqual([seed, sums(all.slice(-size))])
      }
    }
  })

  it("of time hold the calls of the last ten tenths", () => {
    for (let seed = 1; seed <= 20; seed++) {
      const u = random(seed)
      const window = new TimeWindow(1000)
      const all: Array<Call> = []
      let now = 0
      for (let i = 0; i < 300; i++) {
        now += Math.floor(u() < 0.05 ? u() * 3000 : u() * 60)
        if (u() < 0.2) window.roll(now)
        else {
          const call = { at: now, failed: u() < 0.4, slow: u() < 0.2 }
          all.push(call)
          window.record(now, call.failed, call.slow)
        }
        const from = (Math.floor(now / 100) - 9) * 100
        expect([seed, seen(window)]).toEqual([seed, sums(all.filter(({ at }) => at >= from))])
      }
    }
  })
})

describe("latency", () => {
  it("gives percentiles of the last 128, at most 16 samples old", () => {
    const latency = new Latency()
    expect(latency.percentile(0.95)).toBe(0)
    for (let ms = 1; ms <= 100; ms++) latency.record(ms)
    expect(latency.count).toBe(100)
    expect(Math.abs(latency.percentile(0.5) - 50)).toBeLessThanOrEqual(8)
    for (let i = 0; i < 128; i++) latency.record(7)
    expect([latency.percentile(0.05), latency.percentile(0.95)]).toEqual([7, 7])
  })
})
