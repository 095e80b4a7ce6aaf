/**
 * The little of SVG that the plots need: axes, colours for light and dark pages, and text that does
 * not collide. No dependency.
 *
 * @module
 */

/**
 * What a colour stands for. Blue and orange can be told apart by everybody; grey is what waits or
 * was refused.
 */
export type Ink = "good" | "bad" | "idle" | "line"

const style = `
svg{color-scheme:light dark;--page:#fff;--text:#1c2630;--dim:#57636e;--rule:#dfe4e8;--good:#0072b2;--bad:#d55e00;--idle:#b9c1c9;--line:#1c2630}
@media (prefers-color-scheme:dark){svg{--page:#11161b;--text:#e6ebf0;--dim:#a3afba;--rule:#2b343d;--good:#56b4e9;--bad:#f0913a;--idle:#596570;--line:#e6ebf0}}
text{font:12px system-ui,-apple-system,"Segoe UI",sans-serif;fill:var(--text)}
.dim{fill:var(--dim);font-size:11px}.title{font-weight:600;font-size:13px}
.page{fill:var(--page)}.rule{stroke:var(--rule);fill:none}.axis{stroke:var(--dim);fill:none}
.good{fill:var(--good)}.bad{fill:var(--bad)}.idle{fill:var(--idle)}.line{fill:var(--line)}
.s-good{stroke:var(--good)}.s-bad{stroke:var(--bad)}.s-idle{stroke:var(--idle)}.s-line{stroke:var(--line)}
.curve{fill:none;stroke-width:2;stroke-linejoin:round}.dash{stroke-dasharray:5 3}.on{fill:var(--page);font-size:11px;font-weight:600}.on-idle{fill:var(--text);font-size:11px;font-weight:600}`

/** All plots are that wide, in units in which text is 12 high: readable on a telephone too. */
export const width = 420

/** Where curves may be drawn. */
export const frame = { left: 40, right: 14, top: 50, bottom: 36 } as const

export const round = (value: number): number => Math.round(value * 10) / 10

export const escape = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;")

export const text = (
  x: number,
  y: number,
  content: string,
  { anchor = "start", kind = "" }: { anchor?: "start" | "middle" | "end"; kind?: string } = {},
): string =>
  `<text x="${round(x)}" y="${round(y)}"${anchor === "start" ? "" : ` text-anchor="${anchor}"`}${
    kind === "" ? "" : ` class="${kind}"`
  }>${escape(content)}</text>`

export const rect = (x: number, y: number, w: number, h: number, ink: Ink): string =>
  w <= 0 || h <= 0
    ? ""
    : `<rect class="${ink}" x="${round(x)}" y="${round(y)}" width="${round(w)}" height="${
      round(h)
    }"/>`

export interface Key {
  readonly ink: Ink
  readonly name: string
  readonly dashed?: boolean
}

/** A whole picture: title, what the colours mean, and the rest. */
export const picture = (
  { body, height, keys, title }: {
    readonly title: string
    readonly height: number
    readonly keys: ReadonlyArray<Key>
    readonly body: ReadonlyArray<string>
  },
): string => {
  let x = 12
  const legend = keys.flatMap(({ dashed, ink, name }) => {
    const mark = dashed
      ? `<path class="curve dash s-${ink}" d="M${x} 32h14"/>`
      : `<rect class="${ink}" x="${x}" y="28" width="14" height="8" rx="2"/>`
    const label = text(x + 19, 36, name, { kind: "dim" })
    x += 19 + name.length * 6.1 + 14
    return [mark, label]
  })
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 ${width} ${
      round(height)
    }" width="${width * 1.5}" height="${round(height * 1.5)}">`,
    `<title>${escape(title)}</title>`,
    `<style>${style}\n</style>`,
    `<rect class="page" width="100%" height="100%"/>`,
    text(12, 18, title, { kind: "title" }),
    ...legend,
    ...body.filter((line) => line !== ""),
    "</svg>",
  ].join("\n") + "\n"
}

/** 1, 2 or 5 times a power of ten, not below the value. */
export const nice = (value: number): number => {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1e-6)))
  return [1, 2, 5, 10].map((it) => it * power).find((it) => it >= value * (1 - 1e-9))!
}

/** Round numbers from 0 to the value, about so many. */
export const ticks = (top: number, about: number): ReadonlyArray<number> => {
  const step = nice(top / about)
  return Array.from({ length: Math.floor(top / step + 1e-9) + 1 }, (_, i) => i * step)
}

/** A scale from milliseconds to x, with its axis below. */
export const timeAxis = (until: number, bottom: number, left: number = frame.left) => {
  const x = (ms: number) => left + ms / until * (width - left - frame.right)
  const marks = ticks(until, 5)
  const body = marks.flatMap((at, i) => [
    `<path class="rule" d="M${round(x(at))} ${frame.top}V${round(bottom)}"/>`,
    text(x(at), bottom + 15, `${at}${i === marks.length - 1 ? " ms" : ""}`, {
      // The last one may stand at the edge.
      anchor: i === 0 ? "start" : at > until * 0.97 ? "end" : "middle",
      kind: "dim",
    }),
  ])
  return {
    x,
    body: [...body, `<path class="axis" d="M${left} ${round(bottom)}H${width - frame.right}"/>`],
  }
}

/** A scale from a number to y, with its axis at the left. */
export const valueAxis = (top: number, bottom: number) => {
  const y = (value: number) => bottom - value / top * (bottom - frame.top)
  const body = ticks(top, 4).flatMap((at) => [
    `<path class="rule" d="M${frame.left} ${round(y(at))}H${width - frame.right}"/>`,
    text(frame.left - 5, y(at) + 4, String(at), { anchor: "end", kind: "dim" }),
  ])
  return { y, body }
}

/** The highest value of an axis that holds the value. */
export const topOf = (value: number): number => {
  const step = nice(Math.max(1, value) / 4)
  return step * Math.ceil(Math.max(1, value) / step)
}
