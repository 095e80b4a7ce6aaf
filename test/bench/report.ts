/**
 * From samples to what is shown: the JSON report, the table, the table in the documentation.
 */
import { BenchError } from "./process.ts"
import { significant, summarize } from "./stats.ts"
import { perRound, type Rounds, type Skipped, type Subject, type Suite, valuesOf } from "./suite.ts"

/** What `--json` writes. */
export interface Report {
  readonly suite: string
  readonly at: string
  readonly machine: string
  readonly rounds: number
  /** What one round is, in words: `5 rounds of 2 s each`. */
  readonly method: string
  readonly results: ReadonlyArray<ResultRow>
  readonly targets: ReadonlyArray<TargetRow>
  readonly skipped: ReadonlyArray<Skipped>
}

export interface ResultRow {
  /** Only where the suite has several. */
  readonly workload?: string
  readonly subject: string
  readonly metric: string
  readonly unit: string
  readonly median: number
  readonly min: number
  readonly max: number
  /** Whether the table shows min and max with the median. */
  readonly range?: true
  /** The median over the rounds of this subject divided by that one in the same round. */
  readonly ratioTo: Readonly<Record<string, number>>
}

export interface TargetRow {
  readonly name: string
  readonly target: string
  /** `null` when a subject it needs was not run. */
  readonly measured: number | null
  readonly met: boolean | null
}

export const makeReport = (
  suite: Suite,
  subjects: ReadonlyArray<Subject>,
  rounds: Rounds,
  about: Pick<Report, "at" | "machine" | "method" | "skipped">,
): Report => {
  const first = suite.metrics[0].name
  const metricsOf = ({ workload }: Subject) =>
    suite.metrics.filter((metric) => metric.workload === workload)
  const ratioTo = (subject: Subject, metric: string): Record<string, number> => {
    const baseline = subjects.find(({ id }) => id === subject.baseline)
    if (baseline === undefined) return {}
    const ratio = perRound(rounds, metric, (read) => read(subject.id) / read(baseline.id))
    return { [baseline.name]: significant(ratio) }
  }
  return {
    suite: suite.name,
    at: about.at,
    machine: about.machine,
    rounds: rounds.length,
    method: about.method,
    results: subjects.flatMap((subject) =>
      metricsOf(subject).map(({ name, unit, range }, at) => {
        const { median, min, max } = summarize(valuesOf(rounds, subject.id, name))
        return {
          ...(subject.workload === undefined ? {} : { workload: subject.workload }),
          subject: subject.name,
          metric: name,
          unit,
          median: significant(median),
          min: significant(min),
          max: significant(max),
          ...(range === true && at > 0 ? { range } : {}),
          ratioTo: at === 0 ? ratioTo(subject, name) : {},
        }
      })
    ),
    targets: suite.targets.map(({ name, limit: [op, bound], value }) => {
      const measured = perRound(rounds, first, value)
      const known = Number.isFinite(measured)
      return {
        name,
        target: `${op} ${bound}`,
        measured: known ? significant(measured) : null,
        met: known ? holds(measured, op, bound) : null,
      }
    }),
    skipped: about.skipped,
  }
}

const holds = (measured: number, op: "<=" | "<" | ">=" | ">", bound: number): boolean =>
  op === "<="
    ? measured <= bound
    : op === "<"
    ? measured < bound
    : op === ">="
    ? measured >= bound
    : measured > bound

/** The report as Markdown that is also readable in a terminal. */
export const toMarkdown = (report: Report): string => {
  const workloads = [...new Set(report.results.map(({ workload }) => workload))]
  const compared = report.results.some(({ ratioTo }) => Object.keys(ratioTo).length > 0)
  const targets = table(
    ["target", "limit", "measured", ""],
    report.targets.map((row) => [
      row.name,
      row.target,
      row.measured === null ? "–" : String(row.measured),
      row.met === null ? "not measured" : row.met ? "met" : "**missed**",
    ]),
  )
  return [
    `${report.at.slice(0, 10)}; ${report.machine}; ${report.method}.`,
    ...workloads.flatMap((workload) => [
      ...(workload === undefined ? [] : [`**${workload}**`]),
      resultsTable(report.results.filter((row) => row.workload === workload), compared),
    ]),
    ...(report.targets.length === 0 ? [] : [targets]),
    ...report.skipped.map(({ name, why }) => `Not run: ${name} – ${why}`),
  ].join("\n\n")
}

const resultsTable = (results: ReadonlyArray<ResultRow>, compared: boolean): string => {
  const metrics = [...new Map(results.map((row) => [row.metric, row.unit]))]
  const [[first, unit] = ["", ""], ...others] = metrics
  const rowsOf = (metric: string) => results.filter((row) => row.metric === metric)
  return table(
    [
      ...["subject", `${column([first, unit])}: median`, "min", "max"],
      ...(compared ? ["ratio"] : []),
      ...others.map(column),
    ],
    rowsOf(first).map((row) => [
      row.subject,
      String(row.median),
      String(row.min),
      String(row.max),
      ...(compared
        ? [Object.entries(row.ratioTo).map(([to, ratio]) => `${ratio} × ${to}`).join(", ") || "–"]
        : []),
      ...others.map(([metric]) =>
        cell(rowsOf(metric).find(({ subject }) => subject === row.subject))
      ),
    ]),
  )
}

const cell = (row: ResultRow | undefined): string => {
  if (row === undefined || Number.isNaN(row.median)) return "–"
  const { median, min, max } = row
  return row.range === true && min !== max ? `${median} (${min}–${max})` : String(median)
}

const column = ([metric, unit]: readonly [string, string]): string =>
  unit === "" ? metric : `${metric}, ${unit === "us" ? "µs" : unit}`

/** A Markdown table with aligned columns; all but the first and the last are for numbers. */
export const table = (
  header: ReadonlyArray<string>,
  rows: ReadonlyArray<ReadonlyArray<string>>,
): string => {
  const numeric = header.map((_, at) => at > 0 && rows.every((row) => /^[\d.–-]+$/.test(row[at]!)))
  const widths = header.map((cell, at) =>
    Math.max(3, ...[cell, ...rows.map((r) => r[at]!)].map(len))
  )
  const line = (cells: ReadonlyArray<string>): string =>
    `| ${
      cells.map((cell, at) => numeric[at] ? cell.padStart(widths[at]!) : cell.padEnd(widths[at]!))
        .join(" | ")
    } |`
  const rule = widths.map((width, at) =>
    numeric[at] ? `${"-".repeat(width - 1)}:` : "-".repeat(width)
  )
  return [line(header), line(rule), ...rows.map(line)].join("\n")
}

const len = (text: string): number => text.length

/** Replaces what stands between the markers of a suite in a Markdown document. */
export const refreshDocs = (document: string, suite: string, content: string): string => {
  const [begin, end] = [`<!-- bench:${suite} -->`, `<!-- /bench:${suite} -->`]
  const from = document.indexOf(begin)
  const to = document.indexOf(end, from)
  if (from < 0 || to < 0) {
    throw new BenchError(
      `docs/benchmarks.md has no place for it – add the lines ${begin} and ${end}.`,
    )
  }
  return `${document.slice(0, from + begin.length)}\n\n${content}\n\n${document.slice(to)}`
}
