/**
 * From rows to what is shown.
 */
import * as hdr from "hdr-histogram-js"
import type { Raw } from "./engine.ts"
import {
  type Job,
  latenessLimitMs,
  type Outcome,
  outcomes,
  type Part,
  type Percentiles,
  type Result,
  type Window,
} from "./job.ts"
import type { Records } from "./records.ts"

/** Microseconds from 1 to an hour, three digits. Without WebAssembly: recording takes 50 ns. */
export const histogram = (): hdr.Histogram =>
  hdr.build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: 3.6e9,
    numberOfSignificantValueDigits: 3,
    bitBucketSize: 32,
    useWebAssembly: false,
  })

/** Adds a time in milliseconds. */
export const record = (into: hdr.Histogram, ms: number): void =>
  into.recordValue(Math.min(3.6e9, Math.max(1, Math.round(ms * 1000))))

/** Percentiles in milliseconds; all 0 when nothing was recorded. */
export const percentiles = (of: hdr.Histogram): Percentiles => {
  const at = (percentile: number) =>
    of.totalCount === 0 ? 0 : of.getValueAtPercentile(percentile) / 1000
  return {
    count: of.totalCount,
    p50: at(50),
    p90: at(90),
    p99: at(99),
    p999: at(99.9),
    max: of.totalCount === 0 ? 0 : of.maxValue / 1000,
  }
}

export const summarize = (job: Job, raw: Raw, at: string): Result => {
  const { records, schedule } = raw
  const late = histogram()
  const judged = histogram()
  const bursts = job.streams.map(burstsOf)
  let ended = 0
  for (let row = 0; row < records.length; row++) {
    const [at, by] = [records.intendedMs[row]!, records.sentMs[row]!]
    record(late, by - at)
    if (!bursts[records.stream[row]!]!.has(at)) record(judged, by - at)
    ended = Math.max(ended, records.endedMs[row]!)
  }
  const lateness = percentiles(late)
  const windowMs = job.windowMs ?? 1000
  return {
    at,
    seed: job.seed,
    arrivals: job.arrivals,
    seconds: Math.max(schedule.endMs, ended) / 1000,
    parts: job.streams.flatMap((stream, s) => {
      let fromMs = 0
      return stream.phases.map((phase, p) => {
        const part = partOf(raw, s, p)
        const whole: Part = {
          stream: stream.name,
          phase: phase.name ?? String(p + 1),
          fromMs,
          seconds: phase.seconds,
          ...part,
        }
        fromMs += phase.seconds * 1000
        return whole
      })
    }),
    windowMs,
    series: seriesOf(raw, windowMs, Math.max(schedule.endMs, ended)),
    arrived: arrivedOf(raw, windowMs / 10),
    lateness,
    valid: percentiles(judged).p99 <= latenessLimitMs && !hasUnsent(records),
    connections: { opened: raw.opened, most: raw.most },
    problem: raw.problem,
    controlsFailed: raw.controlsFailed,
  }
}

/** The moments at which many are due at once: there all but the first are late by nature. */
const burstsOf = (stream: Job["streams"][number]): ReadonlySet<number> => {
  const moments = new Set<number>()
  let at = 0
  for (const { atOnce = 0, seconds } of stream.phases) {
    if (atOnce > 0) moments.add(at)
    at += seconds * 1000
  }
  return moments
}

const hasUnsent = (records: Records): boolean => {
  for (let row = 0; row < records.length; row++) {
    if (records.outcomeOf(row) === "unsent") return true
  }
  return false
}

const partOf = (
  { records, schedule }: Raw,
  stream: number,
  phase: number,
): Omit<Part, "stream" | "phase" | "fromMs" | "seconds"> => {
  const counts = Object.fromEntries(outcomes.map((name) => [name, 0])) as Record<Outcome, number>
  const latency = histogram()
  const refusal = histogram()
  const refusals: Record<string, number> = {}
  const statuses: Record<string, number> = {}
  let calls = 0, attempts = 0
  for (let call = 0; call < schedule.length; call++) {
    if (schedule.stream[call] === stream && schedule.phase[call] === phase) calls++
  }
  for (let row = 0; row < records.length; row++) {
    if (records.stream[row] !== stream || records.phase[row] !== phase) continue
    attempts++
    const outcome = records.outcomeOf(row)
    counts[outcome]++
    const ms = records.endedMs[row]! - records.intendedMs[row]!
    if (outcome === "good") record(latency, ms)
    if (outcome === "refused") {
      record(refusal, ms)
      const reason = records.reasons[records.reason[row]!]!
      refusals[reason] = (refusals[reason] ?? 0) + 1
    }
    if (outcome === "failed") {
      const status = String(records.status[row])
      statuses[status] = (statuses[status] ?? 0) + 1
    }
  }
  return {
    calls,
    good: counts.good, // a call has at most one good attempt: it is its last
    attempts,
    outcomes: counts,
    latency: percentiles(latency),
    refusal: percentiles(refusal),
    refusals,
    statuses,
    histogram: hdr.encodeIntoCompressedBase64(latency),
  }
}

const seriesOf = ({ records, schedule }: Raw, windowMs: number, endMs: number) => {
  const count = Math.max(1, Math.ceil(endMs / windowMs))
  const at = (ms: number) => Math.min(count - 1, Math.max(0, Math.floor(ms / windowMs)))
  const windows = Array.from({ length: count }, (_, i) => ({
    atMs: i * windowMs,
    offered: 0,
    sent: 0,
    good: 0,
    timeout: 0,
    other: 0,
    refusals: {} as Record<string, number>,
    latencies: histogram(),
  }))
  for (let call = 0; call < schedule.length; call++) windows[at(schedule.atMs[call]!)]!.offered++
  for (let row = 0; row < records.length; row++) {
    windows[at(records.sentMs[row]!)]!.sent++
    const ended = records.endedMs[row]!
    const window = windows[at(ended)]!
    const outcome = records.outcomeOf(row)
    if (outcome === "good") {
      window.good++
      record(window.latencies, ended - records.intendedMs[row]!)
    } else if (outcome === "refused") {
      const reason = records.reasons[records.reason[row]!]!
      window.refusals[reason] = (window.refusals[reason] ?? 0) + 1
    } else if (outcome === "timeout") window.timeout++
    else window.other++
  }
  return windows.map(({ latencies, ...window }): Window => {
    const { p50, p99 } = percentiles(latencies)
    return { ...window, p50, p99 }
  })
}

const arrivedOf = ({ records, schedule }: Raw, windowMs: number) => {
  const count = Math.max(1, Math.ceil(schedule.endMs / windowMs))
  const windows = Array.from({ length: count }, () => ({ calls: 0, good: 0 }))
  const of = (call: number) =>
    windows[Math.min(count - 1, Math.floor(schedule.atMs[call]! / windowMs))]!
  for (let call = 0; call < schedule.length; call++) of(call).calls++
  for (let row = 0; row < records.length; row++) {
    if (records.outcomeOf(row) === "good") of(records.call[row]!).good++
  }
  return windows
}
