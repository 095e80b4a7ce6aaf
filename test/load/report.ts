/**
 * A result as text and as a picture.
 */
import { table } from "../bench/report.ts"
import { significant } from "../bench/stats.ts"
import { latenessLimitMs, outcomes, type Part, type Result } from "./job.ts"
import { type Curve, type Panel, plot } from "./svg.ts"

const ms = (value: number): string => String(significant(value))

/** What a run did, for a terminal. */
export const toText = (result: Result, allowLate = false): string => {
  const rows = result.parts.map((part) => [
    part.stream,
    part.phase,
    ms(part.calls / part.seconds),
    ms(part.good / part.seconds),
    part.calls === 0 ? "–" : `${(100 * part.good / part.calls).toFixed(1)} %`,
    ...(["p50", "p90", "p99", "p999", "max"] as const)
      .map((name) => part.latency.count === 0 ? "–" : ms(part.latency[name])),
    part.refusal.count === 0 ? "–" : `${ms(part.refusal.p50)} / ${ms(part.refusal.p99)}`,
    endings(part),
  ])
  const { lateness } = result
  return [
    table([
      ...["clients", "phase", "calls/s", "good/s", "good", "p50, ms", "p90", "p99", "p99.9", "max"],
      ...["refusal p50 / p99, ms", "how the others ended"],
    ], rows),
    `Generator: ${ms(lateness.p50)} ms late at p50, ${ms(lateness.p99)} at p99, ` +
    `${ms(lateness.max)} at most; ${result.connections.opened} connections, ` +
    `${result.connections.most} at once; seed ${result.seed}, ${result.arrivals}.`,
    ...(invalid(result, allowLate) === undefined ? [] : [invalid(result, allowLate)!]),
  ].join("\n\n")
}

/** Why a run means little, in a sentence; `undefined` when it does mean something. */
export const invalid = (result: Result, allowLate = false): string | undefined => {
  const unsent = result.parts.reduce((sum, { outcomes }) => sum + outcomes.unsent, 0)
  if (unsent > 0) {
    return `Not valid: ${unsent} requests found no connection. Raise --connections.`
  }
  if (result.valid) return undefined
  const late = `the generator was ${ms(result.lateness.p99)} ms late at p99, and more than ` +
    `${latenessLimitMs} outside of bursts`
  return allowLate
    ? `Accepted with --allow-late: ${late}. Compare no times with those of other runs.`
    : `Not valid: ${late}. Use a quieter machine or a lower rate, or accept it with --allow-late.`
}

const endings = (part: Part): string => {
  const others = outcomes.filter((name) => name !== "good" && name !== "refused")
    .filter((name) => part.outcomes[name] > 0).map((name) => `${name} ${part.outcomes[name]}`)
  const counts = (of: Readonly<Record<string, number>>) =>
    Object.entries(of).sort(([, a], [, b]) => b - a).map(([name, count]) => `${name} ${count}`)
  return [...counts(part.refusals), ...others, ...counts(part.statuses).map((it) => `HTTP ${it}`)]
    .join(", ") || "–"
}

const inks = ["refused", "third", "second", "other", "limit"] as const

/** Goodput, latency, and why not, over time. */
export const toSvg = (result: Result, title: string): string => {
  const { series, windowMs } = result
  const step = windowMs / 1000
  const perSecond = (values: ReadonlyArray<number>) => values.map((value) => value / step)
  const first = result.parts.filter(({ stream }) => stream === result.parts[0]?.stream)
  const marks = first.length < 2
    ? []
    : first.map(({ fromMs, phase }) => ({ atSeconds: fromMs / 1000, name: phase }))
  const common = { stepSeconds: step, marks }
  const reasons = [...new Set(series.flatMap(({ refusals }) => Object.keys(refusals)))].sort()
  const refused: ReadonlyArray<Curve> = reasons.map((reason, at) => ({
    name: reason,
    ink: inks[at % inks.length]!,
    kind: "stack",
    values: perSecond(series.map(({ refusals }) => refusals[reason] ?? 0)),
  }))
  const other: Curve = {
    name: "other",
    ink: "offered",
    kind: "stack",
    values: perSecond(series.map((it) => it.other)),
  }
  const panels: ReadonlyArray<Panel> = [
    {
      ...common,
      title: "Goodput",
      unit: "calls per second; good: 2xx within the client's deadline",
      curves: [
        { name: "offered", ink: "offered", values: perSecond(series.map((it) => it.offered)) },
        { name: "good", ink: "good", kind: "area", values: perSecond(series.map((it) => it.good)) },
        { name: "good", ink: "good", values: perSecond(series.map((it) => it.good)) },
      ],
    },
    {
      ...common,
      title: "Latency of good answers",
      unit: "ms, from the moment at which the request was due",
      curves: [
        { name: "p50", ink: "second", values: series.map((it) => it.good === 0 ? null : it.p50) },
        { name: "p99", ink: "third", values: series.map((it) => it.good === 0 ? null : it.p99) },
      ],
    },
    {
      ...common,
      title: "Why not",
      unit: "answers per second: refusals by reason, and what was not answered in time",
      curves: [
        ...refused,
        {
          name: "not answered in time",
          ink: "bad",
          kind: "stack",
          values: perSecond(series.map((it) => it.timeout)),
        },
        ...(series.some((it) => it.other > 0) ? [other] : []),
      ],
    },
  ]
  return plot(title, panels)
}
