/**
 * The run that every subject gets, and what is read from it. Pure.
 */
import type { Job, Result } from "../../load/job.ts"
import type { Sample } from "../suite.ts"

export const slots = 10
export const deadlineMs = 1000
/** Requests a second at 0.8 and at 10 times what the pool can serve at 200 ms. */
const calm = 40, spike = 500

/** Phases for a spike of so many seconds: 3, 6, 8 and 6 s for 6. */
export const phasesOf = (seconds: number) =>
  [
    { name: "before", seconds: seconds / 2, rate: calm },
    { name: "10x, 200 ms", seconds, rate: spike },
    { name: "after", seconds: seconds * 8 / 6, rate: calm },
    { name: "10x, 400 ms", seconds, rate: spike },
  ] as const

export const jobOf = (port: number, controlPort: number, seconds: number, seed: number): Job => {
  const phases = phasesOf(seconds)
  const slowAtMs = phases.slice(0, 3).reduce((sum, phase) => sum + phase.seconds * 1000, 0)
  return {
    port,
    seed,
    arrivals: "poisson",
    streams: [{ name: "clients", path: "/query", deadlineMs, phases, distinct: "query" }],
    controls: [{ atMs: slowAtMs, path: "/query?ms=400", port: controlPort }],
  }
}

/** What the subject's pool says of itself. */
export interface PoolSeen {
  readonly started: number
  readonly completed: number
  readonly running: number
  readonly mostRunning: number
  readonly waiting: number
  readonly mostWaiting: number
  /** From a request's arrival in the process to its refusal, p99, in ms, where the subject says it. */
  readonly decidedMs?: number
}

/** The most that `slots` can answer in time in a phase of so many seconds, its tail included. */
export const ceiling = (seconds: number, serviceMs: number): number =>
  (seconds * 1000 + deadlineMs - serviceMs) * slots / serviceMs

export const names = {
  fast: "good at 10×, 200 ms",
  slow: "good at 10×, 400 ms",
  late: "late of admitted",
  wasted: "wasted queries",
  after: "good after the spike",
  recovery: "recovery",
  refusal50: "refusal at 200 ms, p50",
  refusal99: "refusal at 200 ms, p99",
  decided: "the same in the process, p99",
  waiting: "longest line",
  lateness: "generator late p99",
} as const

/**
 * The time until a second began in which at least 99 % of the calls that arrived ended well; the
 * length of the phase when there was none.
 */
export const recoverySeconds = (
  arrived: Result["arrived"],
  windowMs: number,
  fromMs: number,
  seconds: number,
): number => {
  const step = windowMs / 10
  const width = Math.round(1000 / step)
  const first = Math.round(fromMs / step)
  const last = Math.min(arrived.length, Math.round((fromMs + seconds * 1000) / step)) - width
  for (let at = first; at <= last; at++) {
    const second = arrived.slice(at, at + width)
    const calls = second.reduce((sum, { calls }) => sum + calls, 0)
    const good = second.reduce((sum, { good }) => sum + good, 0)
    if (good >= 0.99 * calls) return (at - first) * step / 1000
  }
  return seconds
}

export const sampleOf = (result: Result, pool: PoolSeen): Sample => {
  const [, fast, after, slow] = result.parts as [Part, Part, Part, Part]
  const admitted = (part: Part) => part.attempts - part.outcomes.refused
  const lateOf = (...parts: ReadonlyArray<Part>) => {
    const entered = parts.reduce((sum, part) => sum + admitted(part), 0)
    const good = parts.reduce((sum, { good }) => sum + good, 0)
    return entered === 0 ? 0 : 100 * (1 - good / entered)
  }
  const good = result.parts.reduce((sum, part) => sum + part.good, 0)
  const began = pool.started
  return {
    [names.fast]: 100 * fast.good / ceiling(fast.seconds, 200),
    [names.slow]: 100 * slow.good / ceiling(slow.seconds, 400),
    [names.late]: lateOf(fast, slow),
    [names.wasted]: began === 0 ? 0 : 100 * (1 - good / began),
    [names.after]: after.calls === 0 ? 0 : 100 * after.good / after.calls,
    [names.recovery]: recoverySeconds(
      result.arrived,
      result.windowMs,
      after.fromMs,
      after.seconds,
    ),
    [names.refusal50]: fast.refusal.count === 0 ? NaN : fast.refusal.p50,
    [names.refusal99]: fast.refusal.count === 0 ? NaN : fast.refusal.p99,
    [names.decided]: pool.decidedMs ?? NaN,
    [names.waiting]: pool.mostWaiting,
    [names.lateness]: result.lateness.p99,
  }
}

type Part = Result["parts"][number]

/** What cannot be, whatever the subject does: the work was not done, or not counted. */
export const contradiction = (result: Result, pool: PoolSeen): string | undefined => {
  const good = result.parts.reduce((sum, part) => sum + part.good, 0)
  const ended = result.parts.flatMap((part) => Object.values(part.outcomes))
    .reduce((sum, count) => sum + count, 0)
  const attempts = result.parts.reduce((sum, part) => sum + part.attempts, 0)
  const outcomes = (name: "wrong" | "unsent" | "unreachable") =>
    result.parts.reduce((sum, part) => sum + part.outcomes[name], 0)
  if (result.controlsFailed > 0) return result.problem ?? "a control failed"
  if (outcomes("wrong") > 0) return result.problem ?? "wrong answers"
  if (outcomes("unsent") > 0) return `${outcomes("unsent")} requests found no connection`
  if (outcomes("unreachable") > 0) return `${outcomes("unreachable")} requests reached nobody`
  if (ended !== attempts) return `${attempts} attempts, but ${ended} ended`
  if (good > pool.completed) return `${good} good answers, but ${pool.completed} queries completed`
  if (pool.mostRunning > slots) return `${pool.mostRunning} queries ran at once`
  return undefined
}
