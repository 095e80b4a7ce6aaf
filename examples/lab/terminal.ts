/**
 * The plots for a terminal: block characters, no colour.
 *
 * @module
 */
import type { Row } from "./burst.ts"
import { ranFrom, running, type Step, waiting } from "./figures.ts"
import { capacity } from "./load.ts"
import type { Burst, Measured, Results } from "./results.ts"
import { percent } from "./say.ts"
import type { World } from "./plots.ts"
import { grouped, ms } from "./words.ts"

/** How many characters a plot is wide. */
const columns = 60

const eighths = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"]

type Found = ReadonlyArray<readonly [Burst, Measured]>

const end = (rows: ReadonlyArray<Row>) => Math.max(1, ...rows.map(({ ended }) => ended))

/** The value of steps in the middle of each column. */
const sampled = (line: ReadonlyArray<Step>, until: number): ReadonlyArray<number> =>
  Array.from({ length: columns }, (_, i) => {
    const at = (i + 0.5) / columns * until
    return line.findLast((step) => step.at <= at)?.value ?? 0
  })

const spark = (values: ReadonlyArray<number>, top: number): string =>
  values.map((value) =>
    value === 0 ? eighths[0] : eighths[Math.max(1, Math.min(8, Math.round(8 * value / top)))]
  ).join("").trimEnd()

const axis = (until: number, indent: number): string => {
  const half = columns >> 1
  return `${" ".repeat(indent)}0${ms(until / 2).padStart(half)}${ms(until).padStart(half)}`
}

const waterfall = ([{ variant }, { rows }]: Found[number], world: World): string => {
  const until = end(rows)
  const every = Math.ceil(rows.length / 20)
  const lines = rows.flatMap((row, n) => {
    if (n % every !== 0) return []
    const started = ranFrom(row)
    const life = Array.from({ length: columns }, (_, i) => {
      const at = (i + 0.5) / columns * until
      if (at > Math.max(row.ended, row.stopped ?? 0)) return " "
      if (started === undefined || at < started) return "·"
      return row.outcome === "ok" ? "█" : "▒"
    }).join("").trimEnd()
    const mark = row.outcome === "refused" ? "×" : started === undefined ? "‹" : ""
    return [`${String(n + 1).padStart(6)} ${life}${mark}`]
  })
  return [
    `Waterfall of ${variant.letter}, ${world}, each ${
      every === 1 ? "" : `${every}th `
    }request: · waits  █ query  ▒ thrown away  × refused  ‹ left`,
    ...lines,
    axis(until, 7),
  ].join("\n")
}

const depth = (found: Found): string => {
  const until = Math.max(...found.map(([, { rows }]) => end(rows)))
  const lines = found.map(([{ variant }, { rows }]) => [variant.letter, waiting(rows)] as const)
  const top = Math.max(1, ...lines.flatMap(([, line]) => line.map(({ value }) => value)))
  return [
    `How many wait (a full block: ${top})`,
    ...lines.map(([letter, line]) =>
      `     ${letter} ${spark(sampled(line, until), top).padEnd(columns)} from ${
        Math.max(0, ...line.map(({ value }) => value))
      }`
    ),
    axis(until, 7),
  ].join("\n")
}

const totals = ([{ variant }, { rows }]: Found[number], world: World): string => {
  const ok = rows.filter(({ outcome }) => outcome === "ok")
  const bin = variant.queryMs / 4
  const counts = new Map<number, number>()
  for (const { arrived, ended } of ok) {
    const at = Math.floor((ended - arrived) / bin + 1e-9)
    counts.set(at, (counts.get(at) ?? 0) + 1)
  }
  const top = Math.max(1, ...counts.values())
  let seen = 0
  return [
    `How long answers of ${variant.letter} took, ${world}: how many from then on for ${
      ms(bin)
    }, and the part of all so far`,
    ...[...counts].sort(([a], [b]) => a - b).slice(0, 40).map(([at, count]) => {
      seen += count
      return `${ms(at * bin).padStart(10)} ${"█".repeat(Math.round(30 * count / top)).padEnd(30)} ${
        String(count).padStart(4)
      } ${percent(seen / ok.length).padStart(6)}`
    }),
  ].join("\n")
}

const slots = (found: Found): string => {
  const until = Math.max(...found.map(([, { rows }]) => end(rows)))
  return [
    "Slots in use (a full block: all of them)",
    ...found.map(([{ variant }, { rows }]) =>
      `     ${variant.letter} ${
        spark(sampled(running(rows), until), variant.pool).padEnd(columns)
      } /${variant.pool}`
    ),
    axis(until, 7),
  ].join("\n")
}

const outcomes = (found: Found): string =>
  [
    "What became of the requests: █ answered  ▒ timed out  ░ refused",
    ...found.map(([{ variant }, { figures: { failed, ok, refused, timedOut } }]) => {
      const part = (count: number) => Math.round(columns * count / variant.requests)
      return `     ${variant.letter} ${"█".repeat(part(ok))}${"▒".repeat(part(timedOut + failed))}${
        "░".repeat(part(refused))
      } ${grouped(ok)} / ${grouped(timedOut + failed)} / ${grouped(refused)}`
    }),
  ].join("\n")

const goodput = ({ loads, parameters }: Results): string => {
  const full = capacity(parameters)
  const bar = (value: number) => "█".repeat(Math.round(40 * value / full))
  return [
    `Answers in time per second, against offered load (${grouped(full)}/s are possible)`,
    ...loads.virtual.map((it) =>
      `${(it.admission ? "" : `${it.times}×`).padStart(6)} ${
        it.admission ? "with   " : "without"
      } ${bar(it.perSecond)} ${it.perSecond.toFixed(1)}`
    ),
  ].join("\n")
}

/** The six plots in virtual time; for real time the two that differ most. */
export const terminalPlots = (results: Results, world: World): ReadonlyArray<string> => {
  const found: Found = results.bursts.flatMap((burst) => {
    const here = burst[world]
    return here === undefined ? [] : [[burst, here] as const]
  })
  const of = (letters: string) => found.filter(([{ variant }]) => letters.includes(variant.letter))
  const or = (some: Found) => some.length > 0 ? some : found.slice(0, 1)
  return [
    ...or(of("B")).map((it) => waterfall(it, world)),
    ...(found.length === 0 ? [] : [
      ...(world === "real" ? [] : [depth(or(of("ABD")))]),
      ...or(of("A")).map((it) => totals(it, world)),
      ...(world === "real" ? [] : [slots(found), outcomes(found)]),
    ]),
    ...(results.loads.virtual.length > 0 && world === "virtual" ? [goodput(results)] : []),
  ]
}
