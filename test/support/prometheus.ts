/** A strict reader of the Prometheus text format 0.0.4; throws on everything a scraper may reject. */

export interface Series {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

export interface ParsedFamily {
  readonly name: string
  readonly type: string
  readonly help: string | undefined
  readonly series: ReadonlyArray<Series>
}

const wrong = (line: string, why: string): never => {
  throw new Error(`${why}: ${JSON.stringify(line)}`)
}

const unescape = (text: string): string =>
  text.replaceAll(
    /\\(.)/g,
    (all, c) => c === "n" ? "\n" : '\\"'.includes(c) ? c : wrong(all, "escape"),
  )

const number = (text: string, line: string): number => {
  if (text === "+Inf") return Infinity
  if (text === "-Inf") return -Infinity
  if (text === "NaN") return NaN
  return /^-?\d+(\.\d+)?(e[+-]?\d+)?$/.test(text) ? Number(text) : wrong(line, "no number")
}

const parseLabels = (text: string, line: string): Record<string, string> => {
  const found: Record<string, string> = {}
  let rest = text
  while (rest !== "") {
    const match = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"(,(?=.)|$)/s.exec(rest)
    if (match === null) return wrong(line, "labels")
    const [all, name = "", value = ""] = match
    if (name in found) wrong(line, "label twice")
    found[name] = unescape(value)
    rest = rest.slice(all.length)
  }
  return found
}

const parseSeries = (line: string): Series => {
  const match = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/s.exec(line)
  if (match === null) return wrong(line, "no sample")
  const [, name = "", labels = "", value = ""] = match
  return { name, labels: parseLabels(labels, line), value: number(value, line) }
}

const keyOf = ({ name, labels }: Series): string =>
  JSON.stringify([name, ...Object.entries(labels).sort(([a], [b]) => a < b ? -1 : 1)])

const suffixes: Readonly<Record<string, ReadonlyArray<string>>> = {
  histogram: ["_bucket", "_sum", "_count"],
  summary: ["", "_sum", "_count"],
}

/** Buckets grow, end with +Inf, and agree with the count. */
const checkHistogram = ({ name, series }: ParsedFamily): void => {
  const groups = new Map<string, Array<Series>>()
  for (const one of series) {
    const { le: _, ...labels } = one.labels
    const key = keyOf({ ...one, name: "", labels })
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [one])
    else group.push(one)
  }
  for (const [key, group] of groups) {
    const buckets = group.filter((one) => one.name === `${name}_bucket`)
    const bounds = buckets.map((one) => number(one.labels["le"] ?? "", key))
    const counts = buckets.map(({ value }) => value)
    const rising = (values: ReadonlyArray<number>) =>
      values.every((value, i) => i === 0 || value >= values[i - 1]!)
    if (!rising(bounds) || bounds.at(-1) !== Infinity) wrong(key, "bounds")
    if (!rising(counts)) wrong(key, "buckets shrink")
    const single = (suffix: string) => group.filter((one) => one.name === name + suffix)
    if (single("_sum").length !== 1 || single("_count").length !== 1) wrong(key, "sum or count")
    if (single("_count")[0]!.value !== counts.at(-1)) wrong(key, "count differs")
  }
}

/** The families of a scrape, in their order. */
export const parse = (text: string): ReadonlyArray<ParsedFamily> => {
  if (text !== "" && !text.endsWith("\n")) wrong(text.slice(-20), "no newline at the end")
  const families = new Map<string, ParsedFamily & { series: Array<Series> }>()
  const seen = new Set<string>()
  let help: { readonly name: string; readonly text: string } | undefined
  let open: (ParsedFamily & { series: Array<Series> }) | undefined
  for (const line of text.split("\n").slice(0, -1)) {
    const meta = /^# (HELP|TYPE) (\S+) (.*)$/s.exec(line)
    if (meta?.[1] === "HELP") {
      if (help !== undefined) wrong(line, "HELP without TYPE")
      help = { name: meta[2]!, text: meta[3]!.replaceAll("\\n", "\n").replaceAll("\\\\", "\\") }
    } else if (meta?.[1] === "TYPE") {
      const [, , name = "", type = ""] = meta
      if (families.has(name)) wrong(line, "family twice")
      if (help !== undefined && help.name !== name) wrong(line, "HELP of another metric")
      if (!["counter", "gauge", "histogram", "summary"].includes(type)) wrong(line, "type")
      open = { name, type, help: help?.text, series: [] }
      families.set(name, open)
      help = undefined
    } else {
      const series = parseSeries(line)
      const family = open ?? wrong(line, "sample before TYPE")
      const allowed = (suffixes[family.type] ?? [""]).map((suffix) => family.name + suffix)
      if (!allowed.includes(series.name)) wrong(line, "sample of another family")
      if (family.type === "counter" && !(series.value >= 0)) wrong(line, "negative counter")
      if (seen.has(keyOf(series))) wrong(line, "series twice")
      seen.add(keyOf(series))
      family.series.push(series)
    }
  }
  const all = Array.from(families.values())
  for (const family of all) if (family.type === "histogram") checkHistogram(family)
  return all
}

/** A test asks one page many questions. */
let last: { readonly text: string; readonly families: ReadonlyArray<ParsedFamily> } | undefined

const parsed = (text: string): ReadonlyArray<ParsedFamily> => {
  if (last?.text !== text) last = { text, families: parse(text) }
  return last.families
}

/** Sum of all series of that name whose labels include these; `undefined` when there is none. */
export const valueOf = (
  text: string,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number | undefined => {
  const found = parsed(text).flatMap(({ series }) => series).filter((one) =>
    one.name === name && Object.entries(labels).every(([key, value]) => one.labels[key] === value)
  )
  return found.length === 0 ? undefined : found.reduce((sum, { value }) => sum + value, 0)
}
