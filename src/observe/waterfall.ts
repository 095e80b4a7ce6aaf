import { format } from "../task/CancelReason.ts"
import type { TaskEvent } from "../task/TaskTree.ts"

/** A stretch of a row, in milliseconds since the first event. */
interface Stretch {
  readonly what: "run" | "wait" | "stop" | "step"
  readonly from: number
  readonly to: number
}

/** One line of the picture: a task, or a step of its cleanup. */
interface Row {
  readonly name: string
  readonly depth: number
  readonly stretches: ReadonlyArray<Stretch>
  /** How it ended, beside the end of it. */
  readonly note: string
}

class Life {
  readonly children: Array<Life> = []
  readonly steps: Array<{ readonly name: string; readonly from: number; to: number | undefined }> =
    []
  readonly waits: Array<{ readonly from: number; to: number | undefined }> = []
  readonly name: string
  readonly from: number
  readonly depth: number
  to: number | undefined = undefined
  stoppedAt: number | undefined = undefined
  note = "still running"

  constructor(name: string, from: number, depth: number) {
    this.name = name
    this.from = from
    this.depth = depth
  }
}

/** The trees of lives that the events tell of. */
const livesOf = (events: ReadonlyArray<TaskEvent>): ReadonlyArray<Life> => {
  const begin = events[0]?.at ?? 0
  const roots: Array<Life> = []
  const all = new Map<string, Life>()
  for (const event of events) {
    const at = event.at - begin
    let life = all.get(event.taskId)
    if (life === undefined) {
      const above = event.parentId === undefined ? undefined : all.get(event.parentId)
      life = new Life(event.name, at, above === undefined ? 0 : above.depth + 1)
      all.set(event.taskId, life)
      const siblings = above?.children ?? roots
      siblings.push(life)
    }
    switch (event._tag) {
      case "Waiting":
        life.waits.push({ from: at, to: undefined })
        break
      case "Resumed": {
        const open = life.waits.at(-1)
        if (open !== undefined) open.to ??= at
        break
      }
      case "CancelRequested":
        life.stoppedAt ??= at
        life.note = format(event.reason)
        break
      case "CleanupStarted":
        life.steps.push({ name: event.step, from: at, to: undefined })
        break
      case "CleanupEnded": {
        const open = life.steps.findLast(({ name, to }) => name === event.step && to === undefined)
        if (open !== undefined) open.to = at
        break
      }
      case "Ended":
        life.to = at
        life.note = life.stoppedAt === undefined || event.outcome !== "cancelled"
          ? event.outcome
          : `cancelled: ${life.note}`
        break
    }
  }
  return roots
}

/** A life and all below it, top down, the steps of its cleanup right behind it. */
const rowsOf = (life: Life, end: number): ReadonlyArray<Row> => {
  const to = life.to ?? end
  const stop = life.stoppedAt ?? to
  const { depth, from, name, note, steps, waits } = life
  return [
    {
      name,
      depth,
      note,
      stretches: [
        { what: "run", from, to: stop },
        ...waits.map((wait) => ({ what: "wait" as const, from: wait.from, to: wait.to ?? to })),
        ...(stop < to ? [{ what: "stop" as const, from: stop, to }] : []),
      ],
    },
    ...steps.map((step) => ({
      name: step.name,
      depth: depth + 1,
      note: step.to === undefined ? "cleanup, not done" : "cleanup",
      stretches: [{ what: "step" as const, from: step.from, to: step.to ?? end }],
    })),
    ...life.children.flatMap((child) => rowsOf(child, end)),
  ]
}

const [left, plot, right, top, line] = [210, 480, 320, 34, 24]

const style = `
    svg { font: 13px system-ui, sans-serif; background: #ffffff }
    text { fill: #1c2630 } .note, .axis { fill: #5a6773 }
    .grid { stroke: #e3e7eb } .row { fill: #f6f8f9 }
    .run { fill: #2f7fd1 } .wait { fill: url(#hatch) } .stop { fill: #f08a24 } .step { fill: #b7580a }
    .hatch { fill: #c3daf2 } .stripe { stroke: #2f7fd1 }
    @media (prefers-color-scheme: dark) {
      svg { background: #11161b }
      text { fill: #e6ebf0 } .note, .axis { fill: #9aa7b3 }
      .grid { stroke: #2a333c } .row { fill: #171d24 }
      .run { fill: #5aa5f0 } .stop { fill: #f5a14b } .step { fill: #ffc384 }
      .hatch { fill: #20405f } .stripe { stroke: #5aa5f0 }
    }`

/** The events as a picture: a row for each task and each step of its cleanup, time from left to right. */
export const waterfall = (events: ReadonlyArray<TaskEvent>, dropped = 0): string => {
  const begin = events[0]?.at ?? 0
  const end = Math.max(1, ...events.map(({ at }) => at - begin))
  const rows = livesOf(events).flatMap((life) => rowsOf(life, end))
  const x = (ms: number): number => round(left + ms / end * plot)
  const bottom = top + rows.length * line
  const [width, height] = [left + plot + right, bottom + (dropped > 0 ? 56 : 34)]
  const grid = ticks(end).map((at) =>
    `<path class="grid" d="M${x(at)} ${top - 8}V${bottom}"/>` +
    `<text class="axis" x="${x(at)}" y="${top - 14}" text-anchor="middle">${at} ms</text>`
  )
  const stripes = rows.flatMap((_, i) =>
    i % 2 === 1
      ? []
      : `<rect class="row" x="0" y="${top + i * line}" width="${width}" height="${line}"/>`
  )
  const body = rows.map((row, i) => {
    const y = top + i * line
    const end = Math.max(...row.stretches.map(({ to }) => to))
    const kind = row.stretches[0]?.what === "step" ? ` class="note"` : ""
    return `<text${kind} x="${12 + row.depth * 16}" y="${y + 16}">${
      text(row.name, 26 - 2 * row.depth)
    }</text>` +
      row.stretches.map(({ from, to, what }) =>
        what === "step" && to === from
          ? `<circle class="step" cx="${x(from)}" cy="${y + line / 2}" r="4"/>`
          : `<rect class="${what}" x="${x(from)}" y="${y + (what === "step" ? 9 : 6)}" width="${
            Math.max(2, round(x(to) - x(from)))
          }" height="${what === "step" ? 6 : 12}" rx="2"/>`
      ).join("") +
      `<text class="note" x="${x(end) + 10}" y="${y + 16}">${text(row.note, 44)}</text>`
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 ${width} ${height}" ` +
    `width="${width}" height="${height}">\n  <title>${rows.length} rows, ${
      round(end)
    } ms</title>\n` +
    `  <style>${style}\n  </style>\n` +
    `  <defs><pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" ` +
    `patternTransform="rotate(45)"><rect class="hatch" width="6" height="6"/>` +
    `<path class="stripe" d="M0 0V6" stroke-width="3"/></pattern></defs>\n  ` +
    `${[...stripes, ...grid, ...body].join("\n  ")}\n  ${legend(bottom + 22)}\n` +
    (dropped > 0
      ? `  <text class="note" x="12" y="${
        bottom + 46
      }">${dropped} later events are not shown.</text>\n`
      : "") +
    "</svg>\n"
}

const legend = (y: number): string =>
  (["run", "wait", "stop", "step"] as const).map((what, i) => {
    const label = { run: "runs", wait: "waits", stop: "cancelled, cleans up", step: "cleanup step" }
    const at = left + i * 110 + (i === 3 ? 60 : 0)
    return `<rect class="${what}" x="${at}" y="${y - 9}" width="18" height="10" rx="2"/>` +
      `<text class="note" x="${at + 24}" y="${y}">${label[what]}</text>`
  }).join("")

/** Round instants, at most seven of them. */
const ticks = (end: number): ReadonlyArray<number> => {
  let step = 1
  for (const factor of [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 30_000]) {
    step = factor
    if (end / step <= 6) break
  }
  while (end / step > 6) step *= 2
  return Array.from({ length: Math.floor(end / step) + 1 }, (_, i) => i * step)
}

const round = (value: number): number => Math.round(value * 10) / 10

const text = (value: string, most: number): string => {
  const short = value.length > most ? `${value.slice(0, Math.max(1, most - 1))}…` : value
  return short.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")
}
