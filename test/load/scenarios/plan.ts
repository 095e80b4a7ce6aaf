/**
 * From a scenario of the simulator to a service and a job for the generator. Pure.
 */
import type { Client, Load, Phase, Scenario, Work } from "../../sim/scenario.ts"
import { lengthOf, loadsOf, meanOf, rateOf } from "../../sim/scenario.ts"
import type { Job, Phase as Stretch, Retry, Stream } from "../job.ts"

/** What is wrong with queries. */
export type Wrong = "nothing" | NonNullable<Phase["fault"]>

/** How the service is started. */
export interface Setup {
  readonly controlPort: number
  readonly capacity: number
  readonly deadlineMs: number
  readonly work: Work
  readonly otherMs: Work
  readonly expectedMs?: number | undefined
}

/** What the service says of itself. */
export interface Seen {
  readonly answered: number
  readonly pools: ReadonlyArray<{
    readonly name: string
    readonly inUse: number
    readonly waiting: number
    readonly highWater: number
    readonly started: number
  }>
}

/**
 * The same scenario with its long phases `pace` times as long. What lasts 5 s or less has a reason to:
 * a stall, a burst, the time after a change.
 */
export const paced = (scenario: Scenario, pace: number): Scenario => {
  const phases = scenario.phases.map((phase) =>
    phase.seconds <= 5 ? phase : { ...phase, seconds: phase.seconds * pace }
  )
  const changed = { ...scenario, phases }
  if (scenario.stopAtMs === undefined) return changed
  const left = lengthOf(scenario) - scenario.stopAtMs
  return { ...changed, stopAtMs: lengthOf(changed) - left * pace }
}

export const setupOf = (scenario: Scenario, controlPort: number): Setup => ({
  controlPort,
  capacity: scenario.pool.capacity,
  deadlineMs: scenario.deadlineMs,
  work: workOf(scenario, scenario.phases[0]!),
  otherMs: scenario.pools?.["other"]?.serviceMs ?? 50,
  expectedMs: scenario.routes?.["main"]?.expectedMs,
})

/** Its work in that phase: of the same shape around another mean. */
export const workOf = ({ pool }: Scenario, { serviceMs }: Phase): Work => {
  if (serviceMs === undefined) return pool.serviceMs
  const ratio = serviceMs / meanOf(pool.serviceMs)
  if (typeof pool.serviceMs === "number") return serviceMs
  if ("lognormal" in pool.serviceMs) {
    return { lognormal: { ...pool.serviceMs.lognormal, meanMs: serviceMs } }
  }
  if ("pareto" in pool.serviceMs) return { pareto: { ...pool.serviceMs.pareto, meanMs: serviceMs } }
  const { fastMs, slowMs, slowShare } = pool.serviceMs.bimodal
  return { bimodal: { fastMs: fastMs * ratio, slowMs: slowMs * ratio, slowShare } }
}

export const jobOf = (
  scenario: Scenario,
  port: number,
  controlPort: number,
  seed: number,
): Job => {
  const clients = scenario.clients ?? { default: {} }
  let at = 0
  const controls = scenario.phases.map((phase) => {
    const control = {
      atMs: at,
      port: controlPort,
      path: `/?work=${encodeURIComponent(JSON.stringify(workOf(scenario, phase)))}` +
        `&wrong=${encodeURIComponent(JSON.stringify(phase.fault ?? "nothing"))}`,
    }
    at += phase.seconds * 1000
    return control
  })
  return {
    port,
    seed,
    arrivals: "poisson",
    streams: Object.entries(clients).map(([name, client]) => streamOf(scenario, name, client)),
    // The first one says what the service was started with. The last one leaves nothing wrong behind.
    controls: [...controls.slice(1), {
      atMs: at,
      port: controlPort,
      path: `/?wrong=${encodeURIComponent('"nothing"')}`,
    }],
    windowMs: 1000,
    progress: false,
  }
}

const streamOf = (scenario: Scenario, name: string, client: Client): Stream => {
  const deadlineMs = client.deadlineMs ?? scenario.deadlineMs
  const pool = client.route === "other" ? scenario.pools!["other"]! : scenario.pool
  return {
    name,
    path: client.route === "other"
      ? "/other"
      : client.class === "sheddable"
      ? "/low"
      : client.class === "critical"
      ? "/critical"
      : "/main",
    deadlineMs,
    leave: client.leaves === undefined
      ? undefined
      : { share: client.leaves, afterMs: [0, deadlineMs] },
    retry: retryOf(client),
    phases: scenario.phases.map((phase): Stretch => {
      const load: Load | undefined = loadsOf(phase)[name]
      if (load === undefined) return { name: phase.name, seconds: phase.seconds }
      return load.arrival === "burst"
        ? { name: phase.name, seconds: phase.seconds, atOnce: load.count ?? 0 }
        : { name: phase.name, seconds: phase.seconds, rate: rateOf(load, pool) }
    }),
    distinct: "query",
  }
}

/** The simulator counts attempts, the generator retries. */
const retryOf = ({ retry }: Client): Retry => {
  if (retry === undefined || retry.attempts < 2) return { kind: "none" }
  const retries = retry.attempts - 1
  if (retry.honoursRetryAfter !== undefined) {
    return { kind: "retry-after", retries, baseMs: retry.baseMs, capMs: 10_000 }
  }
  return retry.wait === "fixed"
    ? { kind: "fixed", retries, pauseMs: retry.baseMs }
    : { kind: "jitter", retries, baseMs: retry.baseMs, capMs: 10_000 }
}
