import { describe, expect, it } from "@effect/vitest"
import type { Call } from "./call.ts"
import type { Policy } from "./control.ts"
import type { PhaseFigures, Result } from "./ledger.ts"
import { weir, weirFull, weirMargin, weirWith } from "./ours.ts"
import type { Scenario } from "./scenario.ts"
import { burstOf100, scenarios } from "./scenarios.ts"
import { simulate } from "./simulate.ts"
import { jain } from "./stats.ts"

/** Each figure has to hold for each of these. */
const seeds = [1, 2, 3, 4, 5]

const scenarioOf = (id: string): Scenario => scenarios.find((it) => it.id === id)!

const runs = (id: string): ReadonlyArray<Result> =>
  seeds.map((seed) => simulate(scenarioOf(id), weir, { seed }))

const phaseOf = (result: Result, name: string): PhaseFigures =>
  result.phases.find((phase) => phase.name === name)!

/** What a figure belongs to, for the message of a failure. */
const of = ({ scenario, seed }: Result, what = "") => `${scenario.id} ${what}, seed ${seed}`

/** Served, of what the oracle says is possible. */
const share = ({ ok, possible }: PhaseFigures): number => ok / possible!

/** What holds in each scenario in which nothing but load changes. */
const expectNothingLost = (result: Result): void => {
  expect(result.percent, of(result)).toBeGreaterThanOrEqual(97)
  expect(result.total.lateShare, of(result, "late")).toBeLessThanOrEqual(0.001)
  expect(result.total.wastedShare, of(result, "wasted")).toBeLessThanOrEqual(0.005)
  expect(result.total.falseRefusals, of(result, "false refusals")).toBe(0)
  expect(result.total.latencyP99).toBeLessThanOrEqual(result.scenario.deadlineMs)
}

describe("S0: 100 requests in one instant", () => {
  it.each(burstOf100)("with %i ms: exactly %i are served, in waves, the rest refused", (ms, n) => {
    const times: Array<number> = []
    const result = simulate(scenarioOf(`S0/${ms}ms`), weir, {
      onAnswer: (call, now) => call.outcome === "ok" ? times.push(now) : expect(now).toBe(0),
    })
    const { admitted, heldMs, late, ok, refused, sent } = result.total
    expect([sent, admitted, ok, late]).toEqual([100, n, n, 0])
    expect(refused["Infeasible"] ?? 0).toBe(100 - n)
    expect(heldMs).toBeCloseTo(n * 200)
    expect(times).toEqual(Array.from({ length: n }, (_, i) => 200 * (1 + Math.floor(i / 10))))
    expect(result.percent).toBe(100)
  })
})

describe("S1: ramp to 20 times the capacity", () => {
  it("serves what the oracle does at each load, and all the pool can above its capacity", () => {
    for (const result of runs("S1")) {
      expectNothingLost(result)
      for (const phase of result.phases) {
        expect(share(phase), of(result, phase.name)).toBeGreaterThanOrEqual(0.97)
        if (!["0.5x", "1x"].includes(phase.name)) {
          expect(phase.goodput, of(result, phase.name)).toBeGreaterThanOrEqual(0.99 * 50)
        }
      }
    }
  })

  it("says after how long to come again, to within a fifth of what the line then takes", () => {
    for (const result of runs("S1")) {
      for (const name of ["5x", "10x", "20x"]) {
        const { promiseErrorP50, promiseErrorP90 } = phaseOf(result, name)
        expect(promiseErrorP50, of(result, name)).toBeGreaterThan(0)
        expect(promiseErrorP90, of(result, name)).toBeLessThanOrEqual(0.2)
      }
    }
  })

  it("is not misled by one lucky request in a hundred", () => {
    for (const result of runs("S1/lucky")) {
      const { goodput, lateShare, wastedShare } = phaseOf(result, "10x")
      expect(goodput, of(result)).toBeGreaterThanOrEqual(0.98 * 50)
      expect([lateShare, wastedShare], of(result)).toEqual([0, 0])
    }
  })

  it("keeps the slots busy where work is spread by half its mean", () => {
    for (const result of runs("S1/lognormal")) {
      const { heldMs, ok, seconds, wastedShare } = phaseOf(result, "10x")
      // By arrival in the phase, so what waits at its end comes on top.
      expect(heldMs, of(result)).toBeGreaterThanOrEqual(0.97 * 10_000 * seconds)
      // Nobody who cannot see how long work takes can serve more than this in the mean.
      expect(ok / seconds, of(result)).toBeGreaterThanOrEqual(0.95 * 50)
      expect(wastedShare, of(result)).toBeLessThanOrEqual(0.02)
      expect(phaseOf(result, "before").lateShare, of(result)).toBe(0)
    }
  })

  it("lets in one in a thousand there that is late, and serves as much as without a reserve", () => {
    const sum = (policy: Policy) => {
      const all = { admitted: 0, late: 0, held: 0, ok: 0, wasted: 0 }
      // One in a thousand takes many to be seen.
      for (let seed = 1; seed <= 20; seed++) {
        const { total } = simulate(scenarioOf("S1/lognormal"), policy, { seed })
        all.admitted += total.admitted
        all.late += total.late
        all.held += total.heldMs
        all.ok += total.ok
        all.wasted += total.heldMs * total.wastedShare
      }
      return all
    }
    const [ours, full] = [sum(weir), sum(weirFull)]
    expect(ours.admitted).toBeGreaterThan(35_000)
    expect(ours.late / ours.admitted).toBeLessThanOrEqual(0.0013)
    expect(ours.wasted / ours.held).toBeLessThanOrEqual(0.005)
    expect(full.late / full.admitted).toBeGreaterThan(0.09)
    expect(ours.ok / full.ok).toBeGreaterThanOrEqual(1)
  })

  it("refuses few while there is room, although work varies", () => {
    for (const result of runs("S1/lognormal")) {
      const { ok, sent } = phaseOf(result, "before")
      expect(ok / sent, of(result)).toBeGreaterThanOrEqual(0.99)
      expect(result.total.falseRefusals, of(result)).toBe(0)
    }
  })

  it("keeps the slots busy where a tail is so heavy that nobody can promise anything", () => {
    for (const result of runs("S1/pareto")) {
      const { heldMs, lateShare, seconds } = phaseOf(result, "10x")
      expect(heldMs, of(result)).toBeGreaterThanOrEqual(0.95 * 10_000 * seconds)
      // One in a hundred takes longer than a second by itself: twice that, and no more.
      expect(lateShare, of(result)).toBeLessThanOrEqual(0.03)
      const before = phaseOf(result, "before")
      expect(before.ok / before.sent, of(result)).toBeGreaterThanOrEqual(0.95)
    }
  })
})

describe("S1/lognormal with other reserves", () => {
  it("a fixed margin serves as much, but is late more often; none is late for one in ten", () => {
    for (const seed of seeds) {
      const run = (policy: Policy) =>
        phaseOf(simulate(scenarioOf("S1/lognormal"), policy, { seed }), "10x")
      const [full, fixed, ours] = [run(weirFull), run(weirMargin), run(weir)]
      expect(fixed.ok, `seed ${seed}`).toBeGreaterThanOrEqual(0.95 * full.ok)
      expect(fixed.lateShare, `seed ${seed}`).toBeLessThanOrEqual(0.03)
      expect(fixed.wastedShare, `seed ${seed}`).toBeLessThanOrEqual(0.05)
      expect(ours.ok, `seed ${seed}`).toBeGreaterThanOrEqual(0.97 * full.ok)
      expect(ours.lateShare, `seed ${seed}`).toBeLessThanOrEqual(full.lateShare / 20)
    }
  })

  it("a greater risk is taken if it is asked for", () => {
    const late = [0.001, 0.01, 0.05, 0.5].map((risk) => {
      const policy = weirWith("weir-risk", "", { risk })
      return seeds.reduce(
        (sum, seed) => sum + simulate(scenarioOf("S1/lognormal"), policy, { seed }).total.lateShare,
        0,
      ) / seeds.length
    })
    expect(late[1]! / late[0]!).toBeGreaterThan(2)
    expect(late[2]! / late[1]!).toBeGreaterThan(1.5)
    expect(late[3]! / late[2]!).toBeGreaterThan(1.2)
  })
})

describe("S2: a spike of ten times the capacity", () => {
  it("serves what the oracle does, and all is well again within a second", () => {
    for (const result of runs("S2")) {
      expectNothingLost(result)
      expect(phaseOf(result, "before").ok, of(result)).toBe(phaseOf(result, "before").sent)
      // The line that the spike left stands for some seconds more; where more come than go out of it, the
      // oracle has to refuse too.
      const { possibleRecoveryMs, recoveryMs } = phaseOf(result, "after")
      expect(recoveryMs, of(result)).toBeLessThanOrEqual(Math.max(1000, possibleRecoveryMs))
    }
  })
})

describe("S3: the query becomes slower, and quick again", () => {
  it.each(["S3/10x", "S3/20x"])("%s: serves all the pool can, without retuning", (id) => {
    for (const result of runs(id)) {
      for (const name of ["200 ms", "400 ms", "200 ms again"]) {
        const phase = phaseOf(result, name)
        expect(share(phase), of(result, name)).toBeGreaterThanOrEqual(0.97)
        expect(phase.lateShare, of(result, name)).toBeLessThanOrEqual(0.001)
        expect(phase.wastedShare, of(result, name)).toBeLessThanOrEqual(0.005)
      }
      // Nothing can be served within a second; so it is tried, and not more.
      expect(phaseOf(result, "2000 ms").admitted, of(result)).toBeLessThanOrEqual(30)
      expect(share(phaseOf(result, "200 ms again, change")), of(result)).toBeGreaterThanOrEqual(0.9)
    }
  })

  it("serves 97 % of the new capacity from three service times after the change", () => {
    const s3 = scenarioOf("S3/10x")
    const scenario: Scenario = {
      ...s3,
      phases: [
        ...s3.phases.slice(0, 3),
        { name: "change", seconds: 1.2, times: 10, serviceMs: 400 },
        { name: "then", seconds: 5, times: 10, serviceMs: 400 },
        { name: "end", seconds: 2, times: 10, serviceMs: 400 },
      ],
    }
    for (const seed of seeds) {
      const then = phaseOf(simulate(scenario, weir, { seed }), "then")
      expect(then.goodput, `seed ${seed}`).toBeGreaterThanOrEqual(0.97 * 25)
    }
  })

  it("serves 95 % of what it could from five service times after a change, where work varies", () => {
    const s3 = scenarioOf("S3/10x")
    const scenario: Scenario = {
      ...s3,
      pool: { capacity: 10, serviceMs: { lognormal: { meanMs: 200, cv: 0.5 } } },
      phases: [
        ...s3.phases.slice(0, 3),
        { name: "change", seconds: 2, times: 10, serviceMs: 400 },
        { name: "slower", seconds: 10, times: 10, serviceMs: 400 },
        { name: "change back", seconds: 1, times: 10, serviceMs: 200 },
        { name: "quicker", seconds: 10, times: 10, serviceMs: 200 },
        { name: "end", seconds: 2, times: 10, serviceMs: 200 },
      ],
    }
    let [slower, quicker] = [0, 0]
    for (const seed of seeds) {
      const result = simulate(scenario, weir, { seed })
      slower += phaseOf(result, "slower").goodput / seeds.length
      quicker += phaseOf(result, "quicker").goodput / seeds.length
      // The deadline is only two and a half times the mean: one in twenty-five takes longer.
      expect(phaseOf(result, "slower").lateShare, of(result)).toBeLessThanOrEqual(0.1)
      expect(phaseOf(result, "quicker").lateShare, of(result)).toBeLessThanOrEqual(0.005)
    }
    expect(slower).toBeGreaterThanOrEqual(0.95 * 25)
    expect(quicker).toBeGreaterThanOrEqual(0.95 * 50)
  })

  it("S3/0.4x: refuses nobody while there is room", () => {
    for (const result of runs("S3/0.4x")) {
      for (const name of ["200 ms", "400 ms", "200 ms again"]) {
        const phase = phaseOf(result, name)
        expect([phase.late, phase.falseRefusals], of(result, name)).toEqual([0, 0])
        expect(phase.ok, of(result, name)).toBe(phase.possible)
      }
    }
  })
})

describe("S4: an outage of the pool's work", () => {
  it("lets in little while all of it hangs, and is back a probe and a second after", () => {
    for (const result of runs("S4/hang")) {
      const { admitted } = phaseOf(result, "outage")
      // What could be waiting at the beginning, then two probes a second.
      expect(admitted, of(result)).toBeLessThanOrEqual(60)
      expect(phaseOf(result, "after").recoveryMs, of(result)).toBeLessThanOrEqual(2500)
      expect(result.leaked).toBe(0)
    }
  })

  it("is back at once when the work was refused, or half of it failed", () => {
    for (const result of [...runs("S4/refuse"), ...runs("S4/errors")]) {
      const after = phaseOf(result, "after")
      expect([after.ok, after.recoveryMs], of(result)).toEqual([after.sent, 0])
      expect(result.total.late, of(result)).toBe(0)
    }
    for (const result of runs("S4/errors")) {
      // Half of it succeeds. The oracle knows which half, and keeps the slots for it.
      expect(share(phaseOf(result, "outage")), of(result)).toBeGreaterThanOrEqual(0.85)
    }
  })
})

describe("S5: clients that try three times", () => {
  it.each(["S5/fixed", "S5/jitter", "S5/retry-after"])("%s: all is well within a second", (id) => {
    for (const result of runs(id)) {
      const { operations, operationsOk, recoveryMs } = phaseOf(result, "after")
      expect(recoveryMs, of(result)).toBeLessThanOrEqual(1000)
      expect(operationsOk / operations, of(result)).toBeGreaterThanOrEqual(0.99)
      // What the clients do is not ours to limit, but nothing of it is held up for long.
      expect(phaseOf(result, "outage").late, of(result)).toBe(0)
    }
  })
})

describe("S6: a stall of 5 s with clients that try again", () => {
  it("comes back by itself within two seconds", () => {
    for (const result of runs("S6")) {
      const after = phaseOf(result, "after")
      expect(after.recoveryMs, of(result)).toBeLessThanOrEqual(2000)
      expect(after.late, of(result)).toBe(0)
    }
  })
})

describe("S7: a herd of 1,000 in one tick", () => {
  it("serves what the oracle does, and those who come beside it", () => {
    for (const result of runs("S7")) {
      const { clients, lateShare, wastedShare } = phaseOf(result, "herd")
      expect(result.percent, of(result)).toBeGreaterThanOrEqual(97)
      expect([lateShare, wastedShare], of(result)).toEqual([0, 0])
      const { ok, sent } = clients["default"]!
      expect(ok / sent, of(result)).toBeGreaterThanOrEqual(0.99)
    }
  })

  it.each(["S7/return", "S7/body"])(
    "%s: serves all of it, when each has been told to come",
    (id) => {
      for (const seed of seeds) {
        let served = 0
        const came = new Map<number, number>()
        const onAnswer = (call: Call) => {
          if (call.sender.name !== "herd") return
          if (call.outcome === "ok") served++
          const tenth = Math.floor(call.sentAt / 100)
          if (call.attempt > 1) came.set(tenth, (came.get(tenth) ?? 0) + 1)
        }
        const result = simulate(scenarioOf(id), weir, { seed, onAnswer })
        const { clients } = phaseOf(result, "herd")
        expect(result.percent, of(result)).toBeGreaterThanOrEqual(97)
        expect(result.total.late, of(result)).toBe(0)
        expect(clients["default"]!.ok / clients["default"]!.sent, of(result))
          .toBeGreaterThanOrEqual(0.99)
        // In one tick 960 came back when all were told the same second, and a tenth of them was served.
        expect(served, of(result)).toBeGreaterThanOrEqual(990)
        expect(Math.max(...came.values()), of(result)).toBeLessThanOrEqual(
          id === "S7/body" ? 15 : 50,
        )
      }
    },
  )
})

describe("S8: low-priority load of twelve times the capacity", () => {
  it("serves all that is critical, and fills the rest with the other", () => {
    for (const result of runs("S8")) {
      const phase = phaseOf(result, "low x12")
      const { critical, low } = phase.clients
      expect(critical!.ok / critical!.sent, of(result)).toBeGreaterThanOrEqual(0.999)
      expect(critical!.late, of(result)).toBe(0)
      // The oracle has a longer line when the phase ends.
      expect(share(phase), of(result)).toBeGreaterThanOrEqual(0.96)
      expect(result.percent, of(result)).toBeGreaterThanOrEqual(97)
      expect(phase.wastedShare, of(result)).toBeLessThanOrEqual(0.005)
      // Who is overtaken may be late, but then costs no time of a slot.
      expect(low!.lateShare, of(result)).toBeLessThanOrEqual(0.1)
    }
  })

  it("promises little to the other that it cannot keep, once it is known who overtakes", () => {
    let [admitted, late] = [0, 0]
    for (const seed of seeds) {
      const s8 = scenarioOf("S8")
      const scenario: Scenario = {
        ...s8,
        phases: [
          s8.phases[0]!,
          { ...s8.phases[1]!, name: "first second", seconds: 1 },
          { ...s8.phases[1]!, name: "then", seconds: 19 },
        ],
      }
      const { low } = phaseOf(simulate(scenario, weir, { seed }), "then").clients
      admitted += low!.admitted
      late += low!.late
    }
    expect(admitted).toBeGreaterThan(2000)
    expect(late / admitted).toBeLessThanOrEqual(0.025)
  })
})

describe("S9: a tenant that sends ten times its share", () => {
  it("costs the other 19 nothing", () => {
    for (const result of runs("S9")) {
      const { clients, tenants } = phaseOf(result, "noisy")
      const { ok, sent } = clients["behaving"]!
      expect(ok / sent, of(result)).toBeGreaterThanOrEqual(0.99)
      const rates = tenants["behaving"]!.map((tenant) => tenant.ok / tenant.sent)
      expect(rates.length).toBe(19)
      expect(jain(rates), of(result)).toBeGreaterThanOrEqual(0.99)
      expect(result.percent, of(result)).toBeGreaterThanOrEqual(97)
      expect(clients["behaving"]!.lateShare, of(result)).toBeLessThanOrEqual(0.001)
      expect(clients["noisy"]!.lateShare, of(result)).toBeLessThanOrEqual(0.025)
    }
  })
})

describe("S10: two requests that hold a slot for 20 s", () => {
  it("take two slots, and nothing from those who use the others", () => {
    for (const result of runs("S10")) {
      const { clients, wastedShare } = phaseOf(result, "whales")
      const { late, ok, sent } = clients["default"]!
      expect(ok / sent, of(result)).toBeGreaterThanOrEqual(0.99)
      expect([late, wastedShare], of(result)).toEqual([0, 0])
      expect(clients["whale"]!.ok, of(result)).toBe(2)
      // Their samples are 100 times the others', yet they are believed for less than a second.
      expect(phaseOf(result, "after").recoveryMs, of(result)).toBeLessThanOrEqual(1000)
    }
  })
})

describe("S11: two pools, one saturated", () => {
  it("leaves the other route as it is", () => {
    const s11 = scenarioOf("S11")
    const alone: Scenario = {
      ...s11,
      phases: s11.phases.map((phase) => ({ ...phase, clients: s11.phases[0]!.clients! })),
    }
    for (const seed of seeds) {
      const phase = (scenario: Scenario) =>
        phaseOf(simulate(scenario, weir, { seed }), "one saturated").clients["other"]!
      const [quiet, beside] = [phase(alone), phase(s11)]
      expect([beside.ok, beside.sent], `seed ${seed}`).toEqual([quiet.ok, quiet.sent])
      expect(beside.latencyP99 / quiet.latencyP99, `seed ${seed}`).toBeLessThanOrEqual(1.03)
    }
  })
})

describe("S12: actors behind the pool, one of them slow", () => {
  it("refuses at the door what the slow one cannot take", () => {
    for (const result of runs("S12")) {
      const { name, seconds } = result.scenario.phases[1]!
      const middle = phaseOf(result, name)
      expect(middle.ok / seconds, of(result)).toBeGreaterThanOrEqual(0.97 * 20)
      expect([middle.late, middle.wastedShare], of(result)).toEqual([0, 0])
      expect(phaseOf(result, "after").recoveryMs, of(result)).toBeLessThanOrEqual(1000)
      expect(result.line.longest).toBeLessThanOrEqual(64)
    }
  })
})

describe("S13: 100,000 requests of which nine in ten leave", () => {
  it("leaks no permit", () => {
    const result = simulate(scenarioOf("S13"), weir, { seed: 1 })
    expect(result.total.sent).toBeGreaterThan(99_000)
    expect(result.total.left).toBeGreaterThan(10_000)
    expect(result.leaked).toBe(0)
    expect(result.line.longest).toBeLessThanOrEqual(result.line.bound)
  })
})

describe("S14: handlers that block the event loop", () => {
  it.each(["S14/50ms", "S14/200ms"])("%s: refuses those, and serves what is critical", (id) => {
    for (const result of runs(id)) {
      const { clients } = phaseOf(result, "hogs")
      const { late, ok, sent } = clients["default"]!
      // What is blocked for 200 ms takes two or three times as long, and leaves little of the second.
      expect(ok / sent, of(result)).toBeGreaterThanOrEqual(id === "S14/50ms" ? 0.99 : 0.98)
      expect(late, of(result)).toBe(0)
      expect(clients["hog"]!.refused["Overloaded"], of(result)).toBeGreaterThan(100)
      // What the blocked loop made of the service times is forgotten at once.
      const after = phaseOf(result, "after")
      expect([after.ok, after.recoveryMs], of(result)).toEqual([after.sent, 0])
    }
  })
})

describe("S15: the order to stop", () => {
  it.each(["S15/1x", "S15/10x"])("%s: drops nothing, and is done within the deadline", (id) => {
    for (const result of runs(id)) {
      expect(result.dropped, of(result)).toBe(0)
      expect(result.stopMs, of(result)).toBeGreaterThan(0)
      expect(result.stopMs, of(result)).toBeLessThanOrEqual(result.scenario.deadlineMs)
      expect(result.leaked).toBe(0)
      expect(result.percent, of(result)).toBeGreaterThanOrEqual(97)
      expect(result.total.refused["ShuttingDown"], of(result)).toBeGreaterThan(50)
    }
  })
})

describe("S17: a cold start", () => {
  it("refuses nobody at its capacity whom the oracle would serve", () => {
    for (const result of runs("S17/1x")) expectNothingLost(result)
  })

  it("knows within the first second of ten times its capacity how much it can take", () => {
    for (const result of runs("S17/10x")) {
      const start = phaseOf(result, "start")
      expect(result.percent, of(result)).toBeGreaterThanOrEqual(97)
      expect([start.late, result.total.wastedShare], of(result)).toEqual([0, 0])
      // Who came before the first sample was let in up to the bound of the line.
      expect(phaseOf(result, "first second").late, of(result)).toBeLessThanOrEqual(100)
    }
  })
})
