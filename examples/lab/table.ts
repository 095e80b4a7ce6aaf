/**
 * The tables: what was predicted, what virtual time gave, what a real PostgreSQL gave.
 *
 * @module
 */
import type { Figures } from "./figures.ts"
import { capacity, type Goodput } from "./load.ts"
import type { Results } from "./results.ts"
import { percent } from "./say.ts"
import { slower, type Storm } from "./storm.ts"
import { grouped } from "./words.ts"

export interface Table {
  readonly title: string
  readonly head: ReadonlyArray<string>
  readonly rows: ReadonlyArray<ReadonlyArray<string>>
  /** How many columns, from the left, hold words. */
  readonly words: number
}

const some = (value: number | undefined): string => value === undefined ? "–" : grouped(value)

const cells = (it: Figures): ReadonlyArray<string> => [
  grouped(it.ok),
  grouped(it.timedOut),
  grouped(it.refused),
  grouped(it.makespan),
  some(it.meanWait),
  some(it.meanTotal),
  some(it.p50),
  some(it.p95),
  some(it.p99),
  it.wastedQueries === 0 ? "0" : `${it.wastedQueries} / ${grouped(it.wastedMs)}`,
]

/** The bursts. */
export const burstTable = (results: Results): Table => ({
  title: "The burst: all requests at once. Times in ms, of those that were answered",
  head: [
    "",
    "variant",
    "",
    "ok",
    "timed out",
    "refused",
    "until all left",
    "mean wait",
    "mean total",
    "p50",
    "p95",
    "p99",
    "thrown away: queries / ms",
    ...(results.way === undefined ? [] : ["later than predicted"]),
  ],
  rows: results.bursts.flatMap(({ predicted, real, variant, virtual }) => [
    [variant.letter, variant.title, "predicted", ...cells(predicted), ""],
    ["", "", "virtual", ...cells(virtual.figures), ""],
    ...(real === undefined ? [] : [[
      "",
      "",
      "real",
      ...cells(real.figures),
      real.verdict.slower === undefined
        ? "–"
        : `${(100 * real.verdict.slower).toFixed(1)}\u00a0% ${
          { within: "", stalled: "(stalled)", slower: "(slow)", impossible: "(bug)" }[
            real.verdict.kind
          ]
        }`.trim(),
    ]]),
  ]),
  words: 3,
})

/** Goodput against offered load. */
export const loadTable = ({ loads, parameters }: Results): Table => {
  const rate = (found: ReadonlyArray<Goodput>, times: number, admission: boolean) =>
    found.find((it) => it.times === times && it.admission === admission)
  const shown = (it: Goodput | undefined) => it === undefined ? "–" : it.perSecond.toFixed(1)
  const full = capacity(parameters)
  // A run in virtual time alone has no column for the other.
  const real = (cell: string) => loads.real.length === 0 ? [] : [cell]
  const times = [...new Set(loads.virtual.map((it) => it.times))]
  return {
    title: "Answers in time per second, against offered load (1 × is what the pool can do)",
    head: [
      "offered",
      "possible",
      "without admission: virtual",
      ...real("real"),
      "thrown away",
      "with admission: virtual",
      ...real("real"),
      "thrown away",
    ],
    rows: times.map((it) => {
      const [bare, kept] = [rate(loads.virtual, it, false), rate(loads.virtual, it, true)]
      return [
        `${it}\u00a0×`,
        Math.min(full, it * full).toFixed(1),
        shown(bare),
        ...real(shown(rate(loads.real, it, false))),
        percent(bare?.wasted ?? 0),
        shown(kept),
        ...real(shown(rate(loads.real, it, true))),
        percent(kept?.wasted ?? 0),
      ]
    }),
    words: 0,
  }
}

/** The retry storm. */
export const stormTable = ({ storms }: Results): Table => {
  const row = (world: string) => (it: Storm) => [
    it.habit,
    world,
    grouped(it.calls),
    grouped(it.answered),
    grouped(it.attempts),
    it.amplification.toFixed(2),
    percent(it.atTheEnd),
  ]
  const real = storms.real.map(row("real"))
  return {
    title: `The retry storm: queries ${slower} times slower for a while`,
    head: [
      "clients retry",
      "",
      "calls",
      "answered",
      "attempts",
      "attempts per call afterwards",
      "answered at the end",
    ],
    rows: storms.virtual.map(row("virtual")).flatMap((
      it,
      i,
    ) => [it, ...(real[i] ? [real[i]] : [])]),
    words: 2,
  }
}

export const tables = (results: Results): ReadonlyArray<Table> => [
  ...(results.bursts.length > 0 ? [burstTable(results)] : []),
  ...(results.loads.virtual.length > 0 ? [loadTable(results)] : []),
  ...(results.storms.virtual.length > 0 ? [stormTable(results)] : []),
]

/** A table as text. A heading takes as many lines as it has words, so that columns stay narrow. */
export const text = ({ head, rows, title, words }: Table): string => {
  const headings = head.map((it) => it.split(" "))
  const height = Math.max(...headings.map((it) => it.length))
  const lines = Array.from(
    { length: height },
    (_, n) => headings.map((it) => it[n - (height - it.length)] ?? ""),
  )
  const all = [...lines, ...rows]
  const widths = head.map((_, column) => Math.max(...all.map((row) => (row[column] ?? "").length)))
  const line = (row: ReadonlyArray<string>) =>
    row.map((cell, column) =>
      column < words ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)
    ).join("  ").trimEnd()
  return [
    title,
    "",
    ...lines.map(line),
    widths.map((width) => "─".repeat(width)).join("  "),
    ...rows.map(line),
  ].join("\n")
}
