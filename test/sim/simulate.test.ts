import { describe, expect, it } from "@effect/vitest"
import { policies } from "./controls.ts"
import { meanOf, type Scenario } from "./scenario.ts"
import { scenarios } from "./scenarios.ts"
import { simulate } from "./simulate.ts"
import { workOf } from "./draw.ts"
import { random } from "../support/random.ts"
import { jain, quantile, sorted } from "./stats.ts"

/** The same shape in a fraction of the time. */
const short = (scenario: Scenario): Scenario => ({
  ...scenario,
  phases: scenario.phases.map((phase) => ({ ...phase, seconds: Math.min(phase.seconds, 3) })),
  ...(scenario.stopAtMs === undefined ? {} : { stopAtMs: 5000 }),
})

describe("the simulator", () => {
  it("gives the same bytes for the same seed, and others for another", () => {
    const s2 = scenarios.find(({ id }) => id === "S2")!
    for (const policy of policies) {
      const run = (seed: number) => JSON.stringify(simulate(short(s2), policy, { seed }))
      expect(run(3)).toBe(run(3))
      expect(run(3)).not.toBe(run(4))
    }
  })

  it("accounts for every request, and leaves nothing held, in all scenarios under all policies", () => {
    for (const scenario of scenarios) {
      for (const policy of policies) {
        const { leaked, line, phases, total } = simulate(short(scenario), policy, { seed: 5 })
        const refused = Object.values(total.refused).reduce((sum, n) => sum + n, 0)
        const { failed, late, left, ok, sent } = total
        expect([scenario.id, policy.name, ok + late + failed + left + refused])
          .toEqual([scenario.id, policy.name, sent])
        expect(phases.reduce((sum, phase) => sum + phase.sent, 0)).toBe(sent)
        // Work that hangs is given back by nobody where nobody cancels it.
        const hangs = scenario.phases.some(({ fault }) => fault === "hang")
        if (policy.cancels || !hangs) {
          expect([scenario.id, policy.name, leaked]).toEqual([scenario.id, policy.name, 0])
        }
        expect(line.longest).toBeLessThanOrEqual(line.bound)
      }
    }
  })

  it("sends every policy the same requests with the same work", () => {
    const s2 = short(scenarios.find(({ id }) => id === "S1/lognormal")!)
    const runs = policies.map((policy) => {
      const seen: Array<string> = []
      simulate(s2, policy, {
        onAnswer: (call) => seen.push(`${call.operation} ${call.sentAt} ${call.works[0]}`),
      })
      return seen.sort()
    })
    for (const run of runs) expect(run).toEqual(runs[0])
  })

  it("never serves more than the oracle says is possible", () => {
    for (const scenario of scenarios) {
      // Of the attempts of clients that try again, the oracle sees those of the run itself.
      for (const policy of policies) {
        const { possible, total } = simulate(short(scenario), policy, { seed: 7 })
        if (possible === undefined) continue
        expect(total.ok, `${scenario.id} ${policy.name}`).toBeLessThanOrEqual(possible.total)
      }
    }
  })

  it("draws work with the mean and the spread that were asked for", () => {
    const next = random(11)
    for (
      const work of [
        { lognormal: { meanMs: 200, cv: 0.5 } },
        { bimodal: { fastMs: 100, slowMs: 1100, slowShare: 0.1 } },
        { pareto: { meanMs: 200, alpha: 3 } },
      ]
    ) {
      const values = Array.from({ length: 20_000 }, () => workOf(work, next(), next()))
      const mean = values.reduce((sum, x) => sum + x, 0) / values.length
      expect(mean / meanOf(work)).toBeGreaterThan(0.98)
      expect(mean / meanOf(work)).toBeLessThan(1.02)
    }
  })
})

describe("the statistics", () => {
  it("take the nearest quantile", () => {
    const values = sorted([3, 1, 2, 5, 4])
    expect([0, 0.2, 0.21, 0.5, 0.99, 1].map((q) => quantile(values, q))).toEqual([1, 1, 2, 3, 5, 5])
    expect(quantile([], 0.5)).toBe(0)
  })

  it("know Jain's index", () => {
    expect([jain([2, 2, 2]), jain([1, 0, 0, 0]), jain([0])]).toEqual([1, 0.25, 1])
  })
})
