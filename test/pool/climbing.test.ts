import { describe, expect, it } from "@effect/vitest"
import { Climbing } from "../../src/pool/climbing.ts"
import {
  exponential,
  latency,
  limit,
  type Scenario,
  simulate,
  throughput,
} from "./dependency_sim.ts"

const always = (n: number) => () => n
const climbing = (initial = 10) => new Climbing({ initial, min: 1, max: 200 })
const seeds = [1, 2, 3, 4, 5]

/** The mean of a figure over the seeds, with a limit of its own for each. */
const mean = (scenario: Scenario, figure: (run: ReturnType<typeof simulate>) => number): number =>
  seeds.reduce((sum, seed) => sum + figure(simulate(climbing(), scenario, seed)), 0) / seeds.length

const tenfold: Scenario = {
  seconds: 60,
  rate: always(500),
  service: exponential(200),
  servers: always(10),
}

describe("the limit of a dependency", () => {
  it("keeps its throughput and most of its latency at ten times the load", () => {
    expect(mean(tenfold, (run) => throughput(run, 5))).toBeGreaterThan(0.95 * 50)
    expect(mean(tenfold, (run) => latency(run, 5))).toBeLessThan(2 * 200)
  })

  it("finds a capacity far above where it begins", () => {
    const fast: Scenario = {
      seconds: 20,
      rate: always(20_000),
      service: exponential(5),
      servers: always(50),
      line: 100,
    }
    expect(mean(fast, (run) => throughput(run, 3))).toBeGreaterThan(0.95 * 10_000)
    expect(mean(fast, (run) => latency(run, 3))).toBeLessThan(1.5 * 5)
  })

  // concurrency-limits #37
  it("loses nothing to one lucky sample in a hundred", () => {
    const lucky = { ...tenfold, service: (_: number, u: () => number) => u() < 0.01 ? 2 : 200 }
    const capacity = 10 / (0.99 * 0.2 + 0.01 * 0.002)
    expect(mean(lucky, (run) => throughput(run, 5))).toBeGreaterThan(0.98 * capacity)
  })

  // concurrency-limits #134: 1.2 times the load for ten minutes
  it("does not creep up under a moderate overload", () => {
    const moderate = { ...tenfold, seconds: 600, rate: always(60), service: always(200) }
    for (const seed of seeds) {
      const run = simulate(climbing(), moderate, seed)
      const [early, late] = [limit(run, 60, 120), limit(run, 540, 600)]
      expect([seed, Math.abs(late - early) / early]).toEqual([seed, expect.closeTo(0, 1)])
      expect(late).toBeLessThan(20)
    }
    const noisy = { ...moderate, service: exponential(200) }
    expect(mean(noisy, (run) => throughput(run, 60))).toBeGreaterThan(0.95 * 50)
    expect(mean(noisy, (run) => latency(run, 540))).toBeLessThan(3 * 200)
  })

  // go-concurrency-limits #117: stuck at 1 after a spike over latencies of 10 ms and 2 s
  it("is back within five seconds of a spike over mixed latencies", () => {
    const mixed: Scenario = {
      seconds: 40,
      rate: (now) => now >= 5000 && now < 15_000 ? 100 : 8,
      service: (_, u) => u() < 0.5 ? 10 : 2000,
      servers: always(10),
    }
    for (const seed of seeds) {
      const run = simulate(climbing(), mixed, seed)
      expect([seed, run.slice(20).every((second) => second.limit >= 8)]).toEqual([seed, true])
    }
    expect(mean(mixed, (run) => throughput(run, 20))).toBeGreaterThan(0.9 * 8)
  })

  // concurrency-limits #176
  it("shrinks when calls are turned away, and learns nothing from how quickly they were", () => {
    const limited = climbing()
    for (let now = 0; now < 5000; now += 10) limited.onSample(now, 200, 10, false)
    const [before, baseline] = [limited.limit, limited.baseline]
    for (let now = 5000; now < 8000; now += 10) limited.onSample(now, 1, 10, true)
    expect(limited.limit).toBeLessThan(before / 2)
    expect(limited.baseline).toBe(baseline)
  })

  it("takes up again most of what it had, once calls are no longer turned away", () => {
    const refuses: Scenario = {
      seconds: 50,
      rate: always(300),
      service: exponential(100),
      servers: always(20),
      refuses: (now) => now > 15_000 && now < 25_000,
    }
    expect(mean(refuses, (run) => throughput(run, 30))).toBeGreaterThan(0.75 * 200)
  })

  // envoy #8337
  it("refuses nothing in order to measure", () => {
    const normal = { ...tenfold, rate: always(40), line: 200 }
    expect(mean(normal, (run) => run.reduce((sum, { refused }) => sum + refused, 0))).toBe(0)
    expect(mean(normal, (run) => throughput(run, 5))).toBeGreaterThan(0.97 * 40)
  })

  // envoy #38338
  it("keeps its limit while the service is slow by itself for ten minutes", () => {
    const slow: Scenario = {
      ...tenfold,
      seconds: 720,
      rate: always(250),
      service: (now) => now < 60_000 || now >= 660_000 ? 200 : 400,
    }
    for (const seed of seeds.slice(0, 3)) {
      const run = simulate(climbing(), slow, seed)
      expect([seed, throughput(run, 65, 660)]).toEqual([seed, expect.closeTo(25, 0)])
      expect(limit(run, 600, 660)).toBeLessThan(25)
      expect(throughput(run, 665)).toBeGreaterThan(0.95 * 50)
    }
  })

  it("stays within its bounds, whatever it is told", () => {
    const narrow = new Climbing({ initial: 3, min: 2, max: 4 })
    for (let i = 0; i < 20_000; i++) {
      narrow.onSample(i * 7, (i * 7919) % 3000, 1 + i % 5, i % 11 === 0)
      if (narrow.limit < 2 || narrow.limit > 4) throw new Error(`${i}: ${narrow.limit}`)
    }
    expect(narrow.limit).toBeGreaterThanOrEqual(2)
  })
})
