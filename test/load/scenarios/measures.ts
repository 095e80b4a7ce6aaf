/**
 * What is read from a run of a scenario, and how good it must be. Pure.
 *
 * The limits are the columns *pass* and *lead* of the project's table of targets.
 */
import { Fleet } from "../../sim/oracle.ts"
import { capacityOf, loadsOf, meanOf, rateOf, type Scenario } from "../../sim/scenario.ts"
import { Speed } from "../../sim/speed.ts"
import type { Job, Part, Result } from "../job.ts"
import { schedule } from "../schedule.ts"
import { type Seen, workOf } from "./plan.ts"

/** What else was seen, beside what the clients got. */
export interface Around {
  readonly seen: Seen | undefined
  readonly stop?: Stopped | undefined
}

/** How a process that was told to stop ended. */
export interface Stopped {
  /** From the signal to the first answer of `/health/ready` that is no 200, or none. */
  readonly readyOffMs: number
  readonly exitMs: number
  readonly exitCode: number
  readonly atMs: number
}

export interface Measure {
  readonly name: string
  readonly unit: string
  readonly value: number
  /** At least or at most so much; none where the number is for information. */
  readonly limits?: { readonly op: ">=" | "<="; readonly pass: number; readonly lead: number }
}

/** `lead`, `pass` or `missed`; `undefined` without limits. */
export const verdict = ({ value, limits }: Measure): "lead" | "pass" | "missed" | undefined => {
  if (limits === undefined) return undefined
  const holds = (bound: number) => limits.op === ">=" ? value >= bound : value <= bound
  return holds(limits.lead) ? "lead" : holds(limits.pass) ? "pass" : "missed"
}

type Limits = NonNullable<Measure["limits"]>
const atLeast = (pass: number, lead: number): Limits => ({ op: ">=", pass, lead })
const atMost = (pass: number, lead: number): Limits => ({ op: "<=", pass, lead })

/** Everything that a scenario is judged by. */
export const measuresOf = (
  scenario: Scenario,
  job: Job,
  result: Result,
  around: Around,
): ReadonlyArray<Measure> => {
  const [group] = scenario.id.split("/")
  const all = [
    ...(ceilings.has(group!) ? ofCeiling(scenario, job, result, group!) : []),
    ...(own[group!]?.(scenario, result, around) ?? []),
    ...(around.seen === undefined || !thrifty.has(group!)
      ? []
      : [wasted(result, around.seen, group === "S6" ? undefined : atMost(2, 0.5))]),
    ...(around.seen === undefined ? [] : [leaks(around.seen)]),
  ]
  return all
}

/** Where nothing but load and service time change, so that the most that is possible is known. */
const ceilings: ReadonlySet<string> = new Set(["S0", "S1", "S2", "S3"])

/**
 * Where no query fails and no client leaves for reasons of its own. A stall (S6) catches queries that
 * nobody could know about, so there it is for information.
 */
const thrifty: ReadonlySet<string> = new Set(["S0", "S1", "S2", "S3", "S6", "S8", "S11"])

/** Good answers by phase, as a part of what perfect knowledge of the same arrivals would have served. */
export const possible = (scenario: Scenario, job: Job): ReadonlyArray<number> => {
  const plan = schedule(job)
  const fleet = new Fleet(scenario.pool.capacity, Speed.of(scenario))
  const work = meanOf(scenario.pool.serviceMs)
  const served = scenario.phases.map(() => 0)
  for (let call = 0; call < plan.length; call++) {
    const at = plan.atMs[call]!
    if (fleet.serves(at, work, at + scenario.deadlineMs)) served[plan.phase[call]!]!++
  }
  return served
}

const ofCeiling = (
  scenario: Scenario,
  job: Job,
  result: Result,
  group: string,
): ReadonlyArray<Measure> => {
  const most = possible(scenario, job)
  const share = result.parts.flatMap((part, at): ReadonlyArray<Measure> =>
    most[at]! === 0 || !settled(scenario, at) ? [] : [{
      name: `${part.phase}: good, of what is possible`,
      unit: "%",
      value: 100 * part.good / most[at]!,
      limits: atLeast(90, 97),
    }]
  )
  const admitted = sum(result.parts.map(({ attempts, outcomes }) => attempts - outcomes.refused))
  const good = sum(result.parts.map(({ good }) => good))
  const late: Measure = {
    name: "admitted, but not answered in time",
    unit: "%",
    value: admitted === 0 ? 0 : 100 * (1 - good / admitted),
    limits: atMost(1, 0.1),
  }
  const busiest = result.parts.reduce((a, b) => b.refusal.count > a.refusal.count ? b : a)
  const refusal: ReadonlyArray<Measure> = group === "S3" || busiest.refusal.count === 0 ? [] : [{
    name: `${busiest.phase}: refusal as the client sees it, p99`,
    unit: "ms",
    value: busiest.refusal.p99,
    limits: atMost(20, 5),
  }]
  return [...share, late, ...refusal]
}

/** Nothing has just changed or is about to, and a query takes less time than there is. */
const settled = (scenario: Scenario, phase: number): boolean => {
  const { name } = scenario.phases[phase]!
  const work = meanOf(workOf(scenario, scenario.phases[phase]!))
  return !/, (change|end)$/.test(name) && work <= scenario.deadlineMs
}

/** Of the queries that ran, those that nobody got an answer from. */
const wasted = (result: Result, seen: Seen, limits: Limits | undefined): Measure => {
  const started = sum(seen.pools.filter(({ name }) => name !== "service").map((it) => it.started))
  const good = sum(result.parts.map(({ good }) => good))
  return {
    name: "queries run for nobody",
    unit: "%",
    value: started === 0 ? 0 : Math.max(0, 100 * (1 - good / started)),
    ...(limits === undefined ? {} : { limits }),
  }
}

const leaks = (seen: Seen): Measure => ({
  name: "slots and places held afterwards",
  unit: "",
  value: sum(seen.pools.map(({ inUse, waiting }) => inUse + waiting)),
  limits: atMost(0, 0),
})

const sum = (values: ReadonlyArray<number>): number => values.reduce((all, it) => all + it, 0)
const phaseOf = (scenario: Scenario, at: number) =>
  sum(scenario.phases.slice(0, at).map(({ seconds }) => seconds * 1000))

/** Seconds from the beginning of a phase until a second began in which 99 % of the calls ended well. */
export const recovery = (scenario: Scenario, result: Result, phase: number): number => {
  const step = result.windowMs / 10
  const width = Math.round(1000 / step)
  const first = Math.round(phaseOf(scenario, phase) / step)
  const end = Math.round(phaseOf(scenario, phase + 1) / step)
  for (let at = first; at + width <= end; at++) {
    const second = result.arrived.slice(at, at + width)
    const calls = sum(second.map(({ calls }) => calls))
    if (sum(second.map(({ good }) => good)) >= 0.99 * calls) return (at - first) * step / 1000
  }
  return scenario.phases[phase]!.seconds
}

const recovered = (
  name: string,
  scenario: Scenario,
  result: Result,
  phase: number,
  limits: Limits,
): Measure => ({ name, unit: "s", value: recovery(scenario, result, phase), limits })

const part = (result: Result, phase: string, stream = "default"): Part =>
  result.parts.find((it) => it.phase === phase && it.stream === stream)!

const own: Readonly<
  Record<string, (scenario: Scenario, result: Result, around: Around) => ReadonlyArray<Measure>>
> = {
  S1: (scenario, result) => {
    // By the moment of the answer: by that of the call, the first full phase also has what it left in
    // line to the next one.
    const rates = scenario.phases.map(({ seconds }, at) => {
      const from = phaseOf(scenario, at)
      const windows = result.series.filter(({ atMs }) =>
        atMs >= from && atMs + result.windowMs <= from + seconds * 1000
      )
      return sum(windows.map(({ good }) => good)) / windows.length * 1000 / result.windowMs
    })
    const peak = Math.max(...rates)
    const limits: Record<string, Limits> = {
      "2x": atLeast(95, 99),
      "5x": atLeast(95, 98),
      "10x": atLeast(95, 97),
      "20x": atLeast(90, 95),
    }
    return scenario.phases.flatMap(({ name }, at) =>
      limits[name] === undefined ? [] : [{
        name: `${name}: goodput, of the own peak`,
        unit: "%",
        value: 100 * rates[at]! / peak,
        limits: limits[name],
      }]
    )
  },
  S2: (scenario, result) => [
    recovered("recovery after the spike", scenario, result, 2, atMost(1, 0.2)),
  ],
  S4: (scenario, result) => [
    recovered("recovery after the outage", scenario, result, 2, atMost(2, 0.5)),
  ],
  S5: (scenario, result) => {
    const outage = part(result, "outage")
    return [
      {
        name: "attempts per call while all fails (the clients' doing)",
        unit: "",
        value: outage.attempts / Math.max(1, outage.calls),
      },
      recovered("recovery after the outage", scenario, result, 2, atMost(2, 0.5)),
    ]
  },
  S6: (scenario, result) => {
    const stall = part(result, "stall")
    return [
      recovered("comes back by itself", scenario, result, 2, atMost(5, 2)),
      {
        name: "attempts per call during the stall (the clients' doing)",
        unit: "",
        value: stall.attempts / Math.max(1, stall.calls),
      },
    ]
  },
  S8: (scenario, result) => {
    const phase = scenario.phases[1]!.name
    const critical = part(result, phase, "critical")
    const low = part(result, phase, "low")
    const capacity = capacityOf(scenario.pool) -
      rateOf(loadsOf(scenario.phases[1]!)["critical"]!, scenario.pool)
    return [
      {
        name: "critical calls that end well",
        unit: "%",
        value: 100 * critical.good / Math.max(1, critical.calls),
        limits: atLeast(99.5, 99.9),
      },
      {
        name: "low: goodput, of what the critical ones leave",
        unit: "%",
        value: 100 * low.good / low.seconds / capacity,
      },
    ]
  },
  S11: (scenario, result) => {
    const [before, after] = scenario.phases.map(({ name }) => part(result, name, "other"))
    return [
      {
        name: "p99 of the other route, more than before",
        unit: "%",
        value: 100 * (after!.latency.p99 / before!.latency.p99 - 1),
        limits: atMost(10, 3),
      },
      {
        name: "calls of the other route that end well",
        unit: "%",
        value: 100 * after!.good / Math.max(1, after!.calls),
        limits: atLeast(99.9, 100),
      },
    ]
  },
  S13: (_scenario, result) => {
    const it = result.parts[0]!
    return [
      { name: "clients that left early", unit: "", value: it.outcomes.left },
      {
        name: "answers cut by the server",
        unit: "",
        // A whole 504 is an answer: ours, of the same deadline as the client's, may come a moment
        // before the client gives up, because our clock counts whole milliseconds.
        value: it.outcomes.broken + it.outcomes.failed - (it.statuses["504"] ?? 0),
        limits: atMost(0, 0),
      },
    ]
  },
  S15: (scenario, result, { stop }) => {
    if (stop === undefined) return []
    const broken = sum(result.parts.map(({ outcomes }) => outcomes.broken + outcomes.failed))
    return [
      {
        name: "from the signal to readiness off",
        unit: "ms",
        value: stop.readyOffMs,
        limits: atMost(100, 10),
      },
      {
        name: "requests in flight that were dropped",
        unit: "",
        value: broken,
        limits: atMost(0, 0),
      },
      {
        name: "from the signal to the exit",
        unit: "ms",
        value: stop.exitMs,
        limits: atMost(scenario.deadlineMs + 1000, scenario.deadlineMs + 250),
      },
      { name: "exit code", unit: "", value: stop.exitCode, limits: atMost(0, 0) },
    ]
  },
}
