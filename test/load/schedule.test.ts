import { describe, expect, it } from "@effect/vitest"
import { Heap } from "./heap.ts"
import type { Stream } from "./job.ts"
import { pauseBefore } from "./retry.ts"
import { arrivalsOf, schedule } from "./schedule.ts"
import { random } from "../support/random.ts"

const stream = (...phases: Stream["phases"]): Stream => ({
  name: "a",
  path: "/",
  deadlineMs: 1000,
  phases,
})

describe("the schedule", () => {
  it("is the same for the same seed, and another one for another", () => {
    const job = { streams: [stream({ seconds: 10, rate: 50 })], arrivals: "poisson" as const }
    const times = (seed: number) => [...schedule({ ...job, seed }).atMs]
    expect(times(1)).toEqual(times(1))
    expect(times(1)).not.toEqual(times(2))
  })

  it("has the rate that was asked for, in each phase, and none outside", () => {
    const phases = [{ seconds: 100, rate: 50 }, { seconds: 10 }, { seconds: 100, rate: 200 }]
    const found = arrivalsOf(stream(...phases), 0, "poisson", 7)
    const count = (phase: number) => found.filter((it) => it.phase === phase).length
    // Four standard deviations.
    expect(Math.abs(count(0) - 5000)).toBeLessThan(4 * Math.sqrt(5000))
    expect(count(1)).toBe(0)
    expect(Math.abs(count(2) - 20_000)).toBeLessThan(4 * Math.sqrt(20_000))
    for (const { atMs, phase } of found) {
      expect(atMs).toBeGreaterThanOrEqual([0, 100_000, 110_000][phase]!)
      expect(atMs).toBeLessThan([100_000, 110_000, 210_000][phase]!)
    }
  })

  it("has gaps of an exponential distribution: their deviation is their mean", () => {
    const at = arrivalsOf(stream({ seconds: 400, rate: 50 }), 0, "poisson", 3).map((it) => it.atMs)
    const gaps = at.slice(1).map((it, i) => it - at[i]!)
    const mean = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length
    const variance = gaps.reduce((sum, gap) => sum + (gap - mean) ** 2, 0) / gaps.length
    expect(mean).toBeCloseTo(20, 0)
    expect(Math.sqrt(variance) / mean).toBeCloseTo(1, 1)
  })

  it("is even when it is constant", () => {
    const at = arrivalsOf(stream({ seconds: 1, rate: 4 }), 0, "constant", 1).map((it) => it.atMs)
    expect(at).toEqual([125, 375, 625, 875])
  })

  it("puts a burst at the beginning of its phase", () => {
    const found = arrivalsOf(stream({ seconds: 1 }, { seconds: 1, atOnce: 3 }), 0, "poisson", 1)
    expect(found.map((it) => it.atMs)).toEqual([1000, 1000, 1000])
  })

  it("merges streams in order of time, and one does not move another", () => {
    const [a, b] = [stream({ seconds: 5, rate: 20 }), stream({ seconds: 5, rate: 100 })]
    const both = schedule({ streams: [a, b], arrivals: "poisson", seed: 5 })
    const alone = schedule({ streams: [a], arrivals: "poisson", seed: 5 })
    const at = [...both.atMs]
    expect(at).toEqual(at.toSorted((x, y) => x - y))
    expect(at.filter((_, i) => both.stream[i] === 0)).toEqual([...alone.atMs])
    expect(both.endMs).toBe(5000)
  })
})

describe("the heap", () => {
  it("gives back the earliest first, whatever was put in", () => {
    for (let seed = 1; seed <= 50; seed++) {
      const next = random(seed)
      const heap = new Heap()
      const times = Array.from({ length: 3000 }, () => Math.floor(next() * 1000))
      times.forEach((at, value) => heap.push(at, value))
      const out: Array<number> = []
      while (heap.size > 0) {
        const at = heap.next
        expect(times[heap.pop()], `seed ${seed}`).toBe(at)
        out.push(at)
      }
      expect(out, `seed ${seed}`).toEqual(times.toSorted((a, b) => a - b))
      expect(heap.next).toBe(Infinity)
    }
  })
})

describe("a client that tries again", () => {
  const jitter = { kind: "jitter", retries: 3, baseMs: 100, capMs: 250 } as const
  const half = () => 0.5

  it("does so after refusals, errors, silence and broken connections, and after nothing else", () => {
    const fixed = { kind: "fixed", retries: 1, pauseMs: 100 } as const
    for (
      const outcome of ["refused", "failed", "timeout", "broken", "stale", "unreachable"] as const
    ) {
      expect(pauseBefore(fixed, 0, outcome, NaN, half), outcome).toBe(100)
    }
    for (const outcome of ["good", "left", "wrong", "unsent"] as const) {
      expect(pauseBefore(fixed, 0, outcome, NaN, half), outcome).toBeUndefined()
    }
    expect(pauseBefore({ kind: "none" }, 0, "refused", NaN, half)).toBeUndefined()
  })

  it("gives up after its retries", () => {
    expect(pauseBefore(jitter, 2, "refused", NaN, half)).toBe(125)
    expect(pauseBefore(jitter, 3, "refused", NaN, half)).toBeUndefined()
  })

  it("waits anywhere below a bound that doubles up to the cap", () => {
    const almost = () => 1 - 1e-9
    expect([0, 1, 2].map((n) => Math.round(pauseBefore(jitter, n, "refused", NaN, almost)!)))
      .toEqual([100, 200, 250])
    expect(pauseBefore(jitter, 0, "refused", NaN, () => 0)).toBe(0)
  })

  it("honours Retry-After up to its cap, and falls back to jitter without one", () => {
    const honours = { ...jitter, kind: "retry-after" } as const
    expect(pauseBefore(honours, 0, "refused", 200, half)).toBe(200)
    expect(pauseBefore(honours, 0, "refused", 9000, half)).toBe(250)
    expect(pauseBefore(honours, 0, "timeout", NaN, half)).toBe(50)
  })
})
