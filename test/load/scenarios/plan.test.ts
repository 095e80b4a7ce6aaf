import { describe, expect, it } from "@effect/vitest"
import { type Scenario, scenarios, select } from "../../sim/scenarios.ts"
import type { Part, Result } from "../job.ts"
import { measuresOf, possible, recovery, verdict } from "./measures.ts"
import { jobOf, paced, setupOf, workOf } from "./plan.ts"

const one = (id: string): Scenario => select(id)[0]!

const step: Scenario = {
  ...one("S2"),
  phases: [
    { name: "before", seconds: 10, times: 0.8 },
    { name: "spike", seconds: 10, times: 10 },
    { name: "after", seconds: 30, times: 0.8 },
  ],
}

describe("a scenario over real sockets", () => {
  it("sends what the simulator sends: the same clients, phases and rates", () => {
    const job = jobOf(one("S11"), 1, 2, 1)
    expect(job.streams.map(({ name, path, phases }) => [name, path, phases.map((it) => it.rate)]))
      .toEqual([["default", "/main", [25, 500]], ["other", "/other", [100, 100]]])
    expect(jobOf(one("S0/500ms"), 1, 2, 1).streams[0]).toMatchObject({
      deadlineMs: 500,
      phases: [{ atOnce: 100 }],
    })
    expect(jobOf(one("S13"), 1, 2, 1).streams[0]!.leave).toEqual({ share: 0.9, afterMs: [0, 200] })
  })

  it("changes queries when a phase begins, and leaves nothing wrong behind", () => {
    const slower: Scenario = {
      ...one("S2"),
      phases: [
        { name: "a", seconds: 10, times: 1 },
        { name: "b", seconds: 5, times: 1, serviceMs: 400 },
        { name: "c", seconds: 5, times: 1 },
      ],
    }
    const controls = jobOf(slower, 1, 2, 1).controls!
    expect(controls.map(({ atMs, port }) => [atMs, port]))
      .toEqual([[10_000, 2], [15_000, 2], [20_000, 2]])
    const asked = controls.map(({ path }) => new URL(path, "http://a").searchParams)
    expect(asked.map((it) => it.get("work"))).toEqual(["400", "200", null])
    expect(asked.at(-1)!.get("wrong")).toBe('"nothing"')
    const outage = jobOf(one("S4/errors"), 1, 2, 1).controls!
    expect(new URL(outage[0]!.path, "http://a").searchParams.get("wrong")).toBe('{"errors":0.5}')
  })

  it("counts retries where the simulator counts attempts", () => {
    const retry = (id: string) => jobOf(one(id), 1, 2, 1).streams[0]!.retry
    expect(retry("S5/fixed")).toEqual({ kind: "fixed", retries: 2, pauseMs: 100 })
    expect(retry("S5/jitter")).toMatchObject({ kind: "jitter", retries: 2, baseMs: 100 })
    expect(retry("S5/retry-after")).toMatchObject({ kind: "retry-after", retries: 2 })
    expect(retry("S2")).toEqual({ kind: "none" })
  })

  it("can be shorter, but for what is short already", () => {
    const short = paced({ ...step, stopAtMs: 45_000 }, 0.5)
    expect(short.phases.map(({ seconds }) => seconds)).toEqual([5, 5, 15])
    expect(short.stopAtMs).toBe(22_500)
    expect(paced(one("S0/300ms"), 0.1)).toEqual(one("S0/300ms"))
  })

  it("keeps the shape of the work around another mean", () => {
    const phase = { name: "slow", seconds: 1, serviceMs: 40 }
    expect(workOf(one("S13"), phase)).toEqual({ lognormal: { meanMs: 40, cv: 1 } })
    expect(setupOf(one("S0/300ms"), 5)).toMatchObject({ capacity: 10, work: 200, expectedMs: 200 })
  })
})

const noCounts = {
  ...{ good: 0, refused: 0, failed: 0, timeout: 0, left: 0 },
  ...{ broken: 0, stale: 0, unreachable: 0, wrong: 0, unsent: 0 },
}
const none = { count: 0, p50: 0, p90: 0, p99: 0, p999: 0, max: 0 }

/** A result in which each phase had so many calls and so many good ones. */
const resultOf = (scenario: Scenario, good: (phase: number, calls: number) => number): Result => {
  const job = jobOf(scenario, 1, 2, 1)
  const most = possible(scenario, job)
  const parts = scenario.phases.map((phase, at): Part => ({
    stream: "default",
    phase: phase.name,
    fromMs: 0,
    seconds: phase.seconds,
    calls: most[at]!,
    good: good(at, most[at]!),
    attempts: most[at]!,
    outcomes: { ...noCounts, good: good(at, most[at]!) },
    latency: none,
    refusal: none,
    refusals: {},
    statuses: {},
    histogram: "",
  }))
  return {
    ...{ at: "", seed: 1, arrivals: "poisson", seconds: 1, parts, windowMs: 1000, series: [] },
    ...{ arrived: [], lateness: none, valid: true, connections: { opened: 1, most: 1 } },
    ...{ problem: null, controlsFailed: 0 },
  }
}

describe("what a scenario is judged by", () => {
  it("knows what is possible: of 100 at once 10, 20, 50 and 100", () => {
    const most = ["300ms", "500ms", "1100ms", "3000ms"].map((id) => {
      const scenario = one(`S0/${id}`)
      return possible(scenario, jobOf(scenario, 1, 2, 1))[0]
    })
    expect(most).toEqual([10, 20, 50, 100])
  })

  it("knows what is possible over time: load and capacity, whichever is less, and the tail", () => {
    const [before, spike] = possible(step, jobOf(step, 1, 2, 1))
    expect(Math.abs(before! - 400)).toBeLessThan(80)
    // 10 s at 50/s, and what was in line at the end.
    expect(spike).toBeGreaterThan(530)
    expect(spike).toBeLessThanOrEqual(540)
  })

  it("takes the goodput of a ramp when answers come, so that no phase has the tail of another", () => {
    const ramp: Scenario = {
      ...one("S1"),
      phases: [1, 2, 5].map((times) => ({ name: `${times}x`, seconds: 2, times })),
    }
    const window = { offered: 0, sent: 0, timeout: 0, other: 0, refusals: {}, p50: 0, p99: 0 }
    const series = [40, 50, 50, 50, 45, 50, 40].map((good, i) => ({
      ...window,
      atMs: i * 1000,
      good,
    }))
    const found = measuresOf(
      ramp,
      jobOf(ramp, 1, 2, 1),
      { ...resultOf(ramp, () => 1), series },
      { seen: undefined },
    )
    expect(found.filter(({ name }) => name.includes("own peak")).map(({ value }) => value))
      .toEqual([100, 95])
  })

  it("does not judge the moments around a change, nor work that nobody could do in time", () => {
    const regime: Scenario = {
      ...one("S3/10x"),
      phases: [
        { name: "400 ms, change", seconds: 1, times: 1, serviceMs: 400 },
        { name: "400 ms", seconds: 5, times: 1, serviceMs: 400 },
        { name: "400 ms, end", seconds: 1, times: 1, serviceMs: 400 },
        { name: "2000 ms", seconds: 9, times: 1, serviceMs: 2000 },
      ],
    }
    const found = measuresOf(
      regime,
      jobOf(regime, 1, 2, 1),
      resultOf(regime, (_, calls) => calls),
      { seen: undefined },
    )
    expect(found.map(({ name }) => name).filter((name) => name.includes("possible")))
      .toEqual(["400 ms: good, of what is possible"])
  })

  it("says lead, pass or missed", () => {
    const scenario = one("S0/1100ms")
    const judged = (share: number) =>
      verdict(
        measuresOf(scenario, jobOf(scenario, 1, 2, 1), resultOf(scenario, () => share), {
          seen: undefined,
        })[0]!,
      )
    expect([50, 46, 40].map(judged)).toEqual(["lead", "pass", "missed"])
  })

  it("counts slots that nobody gave back, and queries that nobody got an answer from", () => {
    const scenario = one("S0/1100ms")
    const pool = { name: "database", inUse: 1, waiting: 2, highWater: 40, started: 100 }
    const found = measuresOf(scenario, jobOf(scenario, 1, 2, 1), resultOf(scenario, () => 50), {
      seen: { answered: 50, pools: [pool] },
    })
    const value = (name: string) => found.find((it) => it.name === name)!.value
    expect(value("queries run for nobody")).toBe(50)
    expect(value("slots and places held afterwards")).toBe(3)
  })

  it("takes a whole 504 for an answer, and what is cut or another failure for none", () => {
    const scenario = one("S13")
    const cut = (outcomes: Partial<Part["outcomes"]>, statuses: Part["statuses"]) => {
      const result = resultOf(scenario, () => 1)
      const [part] = result.parts
      const parts = [{ ...part!, outcomes: { ...part!.outcomes, ...outcomes }, statuses }]
      const job = jobOf(scenario, 1, 2, 1)
      return measuresOf(scenario, job, { ...result, parts }, { seen: undefined })
        .find(({ name }) => name === "answers cut by the server")
    }
    expect(cut({ failed: 2 }, { 504: 2 })).toMatchObject({ value: 0 })
    expect(cut({ failed: 3, broken: 4 }, { 504: 1, 500: 2 })).toMatchObject({ value: 6 })
  })

  it("finds the first good second after a phase began", () => {
    const bad = { calls: 4, good: 0 }
    const fine = { calls: 4, good: 4 }
    const arrived = [
      ...Array.from({ length: 200 }, () => bad),
      ...Array.from({ length: 7 }, () => bad),
      ...Array.from({ length: 293 }, () => fine),
    ]
    const result = { ...resultOf(step, () => 0), arrived }
    expect(recovery(step, result, 2)).toBeCloseTo(0.7)
    expect(recovery(step, { ...result, arrived: arrived.map(() => bad) }, 2)).toBe(30)
  })

  it("has something to say about every scenario that runs over sockets", () => {
    for (const scenario of scenarios.filter(({ id }) => /^S([0-6]|8|11|13|15)(\/|$)/.test(id))) {
      const job = jobOf(scenario, 1, 2, 1)
      const parts = job.streams.flatMap((stream) =>
        scenario.phases.map((phase): Part => ({
          ...resultOf(one("S0/300ms"), () => 1).parts[0]!,
          stream: stream.name,
          phase: phase.name,
        }))
      )
      const stop = { readyOffMs: 1, exitMs: 1, exitCode: 0, atMs: 1 }
      const measures = measuresOf(
        scenario,
        job,
        { ...resultOf(one("S0/300ms"), () => 1), parts },
        { seen: undefined, stop },
      )
      expect(measures.filter(({ limits }) => limits !== undefined).length, scenario.id)
        .toBeGreaterThan(0)
    }
  })
})
