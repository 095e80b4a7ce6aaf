/**
 * Plots as SVG text, readable on light and on dark pages. Nothing in it comes from elsewhere.
 */

/** A colour by what it stands for; the style sheet has two values for each. */
export type Ink = "good" | "offered" | "refused" | "bad" | "other" | "limit" | "second" | "third"

export interface Curve {
  readonly name: string
  readonly ink: Ink
  /** One value for each step of x; `null` is a gap. */
  readonly values: ReadonlyArray<number | null>
  /** A line (default), a filled area, a dashed line, or bars that stand on each other. */
  readonly kind?: "line" | "area" | "dashed" | "stack" | undefined
}

export interface Panel {
  readonly title: string
  /** What y counts. */
  readonly unit: string
  readonly curves: ReadonlyArray<Curve>
  /** Seconds from one value to the next. */
  readonly stepSeconds: number
  /** Where phases begin, with their names. */
  readonly marks?: ReadonlyArray<{ readonly atSeconds: number; readonly name: string }> | undefined
  /** The top of y; the largest value if left out. Larger values are cut off. */
  readonly top?: number | undefined
  /** A line under the title. */
  readonly note?: string | undefined
}

const style = `
  svg { color-scheme: light dark }
  .page { fill: #ffffff } .text { fill: #24292f } .dim { fill: #57606a } .rule { stroke: #d8dee4 }
  .axis { stroke: #8c959f }
  .good { --ink: #0969da } .offered { --ink: #8c959f } .refused { --ink: #bc6c00 }
  .bad { --ink: #cf222e } .other { --ink: #8250df } .limit { --ink: #57606a }
  .second { --ink: #1a7f37 } .third { --ink: #8250df }
  .line { fill: none; stroke: var(--ink); stroke-width: 1.6; stroke-linejoin: round }
  .dashed { fill: none; stroke: var(--ink); stroke-width: 1.2; stroke-dasharray: 4 3 }
  .area { fill: var(--ink); opacity: .22 } .stack, .key { fill: var(--ink) }
  text { font: 11px system-ui, -apple-system, "Segoe UI", sans-serif }
  .title { font-weight: 600; font-size: 12px }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117 } .text { fill: #e6edf3 } .dim { fill: #9198a1 } .rule { stroke: #2b3138 }
    .axis { stroke: #656c76 }
    .good { --ink: #58a6ff } .offered { --ink: #7d8590 } .refused { --ink: #e3a03a }
    .bad { --ink: #ff7b72 } .other { --ink: #bc8cff } .limit { --ink: #9198a1 }
    .second { --ink: #56d364 } .third { --ink: #bc8cff }
  }`

const margin = { top: 40, right: 14, bottom: 34, left: 52 }

/** Panels in a grid, left to right, top to bottom. */
export const plot = (
  title: string,
  panels: ReadonlyArray<Panel>,
  options: { readonly columns?: number; readonly width?: number; readonly height?: number } = {},
): string => {
  const { columns = 1, width = 760 / columns, height = columns === 1 ? 200 : 170 } = options
  const head = 30
  const rows = Math.ceil(panels.length / columns)
  const keys = keysOf(panels)
  const all = { width: width * columns, height: head + rows * height + 24 }
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${all.width}" height="${all.height}" ` +
    `viewBox="0 0 ${all.width} ${all.height}" role="img" aria-label="${escape(title)}">`,
    `<title>${escape(title)}</title>`,
    `<style>${style}\n</style>`,
    `<rect class="page" width="100%" height="100%"/>`,
    `<text class="text title" x="12" y="20">${escape(title)}</text>`,
    ...panels.map((panel, at) =>
      `<g transform="translate(${(at % columns) * width} ${
        head + Math.floor(at / columns) * height
      })">${panelSvg(panel, width, height)}</g>`
    ),
    keySvg(keys, all.height - 10),
    "</svg>",
  ].join("\n") + "\n"
}

const keysOf = (panels: ReadonlyArray<Panel>): ReadonlyArray<readonly [string, Ink]> => [
  ...new Map(panels.flatMap(({ curves }) => curves.map(({ name, ink }) => [name, ink] as const))),
]

const keySvg = (keys: ReadonlyArray<readonly [string, Ink]>, y: number): string => {
  let x = 12
  return keys.map(([name, ink]) => {
    const text = `<rect class="key ${ink}" x="${x}" y="${y - 8}" width="14" height="4" rx="2"/>` +
      `<text class="dim" x="${x + 19}" y="${y}">${escape(name)}</text>`
    x += 19 + name.length * 6 + 22
    return text
  }).join("")
}

const panelSvg = (panel: Panel, width: number, height: number): string => {
  const { curves, stepSeconds, marks = [] } = panel
  const inner = { w: width - margin.left - margin.right, h: height - margin.top - margin.bottom }
  const steps = Math.max(1, ...curves.map(({ values }) => values.length))
  const stacks = curves.filter(({ kind }) => kind === "stack")
  const highest = Math.max(
    ...curves.filter(({ kind }) => kind !== "stack")
      .flatMap(({ values }) => values.map((value) => value ?? 0)),
    ...Array.from({ length: steps }, (_, i) => sum(stacks.map(({ values }) => values[i] ?? 0))),
    0,
  )
  const top = panel.top ?? niceTop(highest)
  const x = (step: number) => fixed(margin.left + inner.w * step / steps)
  const y = (value: number) => fixed(margin.top + inner.h * (1 - Math.min(value, top) / top))
  const seconds = steps * stepSeconds
  const parts = [
    `<text class="text title" x="${margin.left}" y="14">${escape(panel.title)}</text>`,
    `<text class="dim" x="${margin.left}" y="28">${escape(panel.note ?? panel.unit)}</text>`,
  ]
  for (const tick of [0, top / 2, top]) {
    parts.push(
      `<line class="rule" x1="${margin.left}" x2="${width - margin.right}" y1="${y(tick)}" y2="${
        y(tick)
      }"/>`,
      `<text class="dim" text-anchor="end" x="${margin.left - 6}" y="${y(tick) + 4}">${
        label(tick)
      }</text>`,
    )
  }
  const every = niceStep(seconds / (inner.w / 60))
  for (let at = 0; at <= seconds + 1e-9; at += every) {
    parts.push(
      `<text class="dim" text-anchor="middle" x="${x(at / stepSeconds)}" y="${
        height - margin.bottom + 15
      }">${label(at)} s</text>`,
    )
  }
  for (const { atSeconds, name } of marks) {
    const at = x(atSeconds / stepSeconds)
    parts.push(
      `<line class="axis" x1="${at}" x2="${at}" y1="${margin.top - 2}" y2="${
        height - margin.bottom
      }" stroke-dasharray="1 3"/>`,
      `<text class="dim" x="${at + 3}" y="${margin.top - 3}" style="font-size:9px">${
        escape(name)
      }</text>`,
    )
  }
  const below = new Array<number>(steps).fill(0)
  for (const { kind = "line", ink, values } of curves) {
    if (kind === "stack") parts.push(bars(values, below, x, y, ink))
    else {
      parts.push(
        ...lines(values, x, y).map((points) =>
          kind === "area"
            ? `<path class="area ${ink}" d="M${points[0]!.split(",")[0]},${y(0)} L${
              points.join(" L")
            } L${points.at(-1)!.split(",")[0]},${y(0)} Z"/>`
            : `<path class="${kind} ${ink}" d="M${points.join(" L")}"/>`
        ),
      )
    }
  }
  parts.push(
    `<line class="axis" x1="${margin.left}" x2="${width - margin.right}" y1="${y(0)}" y2="${
      y(0)
    }"/>`,
  )
  return parts.join("\n")
}

/** The stretches without gaps, as points in the middle of their steps. */
const lines = (
  values: ReadonlyArray<number | null>,
  x: (step: number) => number,
  y: (value: number) => number,
): ReadonlyArray<ReadonlyArray<string>> => {
  const found: Array<Array<string>> = [[]]
  values.forEach((value, i) => {
    if (value !== null) found.at(-1)!.push(`${x(i + 0.5)},${y(value)}`)
    else if (found.at(-1)!.length > 0) found.push([])
  })
  return found.filter((points) => points.length > 0)
}

const bars = (
  values: ReadonlyArray<number | null>,
  below: Array<number>,
  x: (step: number) => number,
  y: (value: number) => number,
  ink: Ink,
): string =>
  `<path class="stack ${ink}" d="${
    values.map((value, i) => {
      if (value === null || value === 0) return ""
      const [from, to] = [y(below[i]!), y(below[i]! + value)]
      below[i]! += value
      return `M${x(i + 0.08)},${from} H${x(i + 0.92)} V${to} H${x(i + 0.08)} Z`
    }).join("")
  }"/>`

const sum = (values: ReadonlyArray<number>): number => values.reduce((all, it) => all + it, 0)
const fixed = (value: number): number => Math.round(value * 10) / 10
const label = (value: number): string =>
  value >= 10_000 ? `${fixed(value / 1000)}k` : String(Math.round(value * 100) / 100)

/** 1, 2 or 5 times a power of ten, not below the value. */
export const niceStep = (value: number): number => {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1e-6)))
  return [1, 2, 5, 10].map((it) => it * power).find((it) => it >= value * (1 - 1e-9))!
}
const niceTop = (value: number): number =>
  value <= 0 ? 1 : niceStep(value / 4) * Math.ceil(value / niceStep(value / 4))

const escape = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;")
