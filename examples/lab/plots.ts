/**
 * The six plots, and that of the retry storm, as SVG.
 *
 * @module
 */
import type { Row } from "./burst.ts"
import { ranFrom, running, type Step, waiting } from "./figures.ts"
import { capacity, type Goodput } from "./load.ts"
import type { Burst, Measured, Results } from "./results.ts"
import type { Storm } from "./storm.ts"
import {
  frame,
  type Ink,
  picture,
  rect,
  round,
  text,
  timeAxis,
  topOf,
  valueAxis,
  width,
} from "./svg.ts"
import { grouped, ms } from "./words.ts"

export type World = "virtual" | "real"

/** A plot with what one should see in it. */
export interface Plot {
  /** Its file, without `.svg`. */
  readonly name: string
  readonly caption: string
  readonly svg: string
}

const measured = (burst: Burst, world: World): Measured | undefined => burst[world]

const where = (world: World) => world === "virtual" ? "virtual time" : "real PostgreSQL"

const end = (rows: ReadonlyArray<Row>) =>
  Math.max(1, ...rows.map(({ ended, stopped = 0 }) => Math.max(ended, stopped)))

/** A row for each request: grey while it waits, coloured while its query runs. */
const waterfall = (burst: Burst, world: World, { rows }: Measured): string => {
  const shown = rows.slice(0, 200)
  const until = end(shown)
  const high = Math.min(5, Math.max(1.6, 300 / shown.length))
  const bottom = frame.top + shown.length * high + 4
  const { body, x } = timeAxis(until, bottom, 14)
  const life = shown.flatMap((row, i) => {
    const { arrived, ended, outcome, stopped = ended } = row
    const started = ranFrom(row)
    const y = frame.top + 2 + i * high
    const thick = high * 0.82
    if (outcome === "refused" && started === undefined && ended - arrived < until / 50) {
      return [rect(x(arrived), y, 4, thick, "line")]
    }
    return [
      rect(x(arrived), y, x(started ?? ended) - x(arrived), thick, "idle"),
      started === undefined ? rect(x(ended) - 4, y, 4, thick, "line") : rect(
        x(started),
        y,
        Math.max(1, x(stopped) - x(started)),
        thick,
        outcome === "ok" ? "good" : "bad",
      ),
    ]
  })
  return picture({
    title: `${burst.variant.letter}: ${burst.variant.title} – ${where(world)}`,
    height: bottom + 26,
    keys: [
      { ink: "idle", name: "waits" },
      { ink: "good", name: "query, answered" },
      { ink: "bad", name: "thrown away" },
      { ink: "line", name: "refused, or left" },
    ],
    body: [...body, ...life],
  })
}

/** The line of steps as a path. */
const stairs = (
  line: ReadonlyArray<Step>,
  x: (ms: number) => number,
  y: (value: number) => number,
  until: number,
): string => {
  let d = `M${round(x(0))} ${round(y(0))}`
  for (const { at, value } of line) d += `H${round(x(at))}V${round(y(value))}`
  return `${d}H${round(x(until))}`
}

/** How many wait, over time. */
const depth = (bursts: ReadonlyArray<readonly [Burst, Measured]>, world: World): string => {
  const lines = bursts.map(([burst, { rows }]) => [burst, waiting(rows)] as const)
  const until = Math.max(...bursts.map(([, { rows }]) => end(rows)))
  const bottom = 220
  const time = timeAxis(until, bottom)
  const count = valueAxis(
    topOf(Math.max(1, ...lines.flatMap(([, line]) => line.map(({ value }) => value)))),
    bottom,
  )
  const kinds = [["idle", ""], ["good", ""], ["bad", " dash"]] as const
  const curves = lines.map(([, line], i) => {
    const path = stairs(line, time.x, count.y, until)
    const [ink, dash] = kinds[i]!
    return i === 0
      ? `<path class="${ink}" opacity=".6" d="${path}V${round(bottom)}Z"/>`
      : `<path class="curve s-${ink}${dash}" d="${path}"/>`
  })
  return picture({
    title: `How many wait – ${where(world)}`,
    height: bottom + 26,
    keys: lines.map(([{ variant }], i) => ({
      ink: kinds[i]![0],
      name: `${variant.letter} ${variant.id}`,
      dashed: kinds[i]![1] !== "",
    })),
    body: [...count.body, ...time.body, ...curves],
  })
}

/** How long answers took: how many of each, and which part of all by then. */
const histogram = (burst: Burst, world: World, { rows }: Measured): string => {
  const totals = rows.filter(({ outcome }) => outcome === "ok")
    .map(({ arrived, ended }) => ended - arrived).sort((a, b) => a - b)
  const bin = burst.variant.queryMs / 8
  const until = (totals.at(-1) ?? 1) + 2 * bin
  const counts = new Map<number, number>()
  for (const total of totals) {
    const at = Math.floor(total / bin + 1e-9)
    counts.set(at, (counts.get(at) ?? 0) + 1)
  }
  const bottom = 220
  const time = timeAxis(until, bottom)
  const top = topOf(Math.max(1, ...counts.values()))
  const count = valueAxis(top, bottom)
  const bars = [...counts].map(([at, value]) =>
    rect(
      time.x(at * bin),
      count.y(value),
      Math.max(2, time.x(bin) - time.x(0) - 0.6),
      bottom - count.y(value),
      "good",
    )
  )
  const all = totals.map((at, i) => ({ at, value: (i + 1) / totals.length * top }))
  return picture({
    title: `${burst.variant.letter}: how long answers took – ${where(world)}`,
    height: bottom + 26,
    keys: [
      { ink: "good", name: `answers in ${ms(bin)}` },
      { ink: "bad", name: `part of all (top: 100 %)` },
    ],
    body: [
      ...count.body,
      ...time.body,
      ...bars,
      `<path class="curve s-bad" d="${stairs(all, time.x, count.y, until)}"/>`,
    ],
  })
}

/** A strip for each variant: the slots in use, and what for. */
const strips = (bursts: ReadonlyArray<readonly [Burst, Measured]>, world: World): string => {
  const until = Math.max(...bursts.map(([, { rows }]) => end(rows)))
  const high = 22
  const bottom = frame.top + bursts.length * (high + 8)
  const { body, x } = timeAxis(until, bottom, 58)
  const drawn = bursts.flatMap(([{ variant }, { rows }], i) => {
    const y = frame.top + 4 + i * (high + 8)
    const level = (line: ReadonlyArray<Step>) =>
      `${stairs(line, x, (value) => y + high - Math.min(1, value / variant.pool) * high, until)}V${
        y + high
      }H${round(x(0))}Z`
    const all = running(rows)
    const useful = running(rows.filter(({ outcome }) => outcome === "ok"))
    return [
      text(12, y + 15, variant.letter),
      text(52, y + 15, `/${variant.pool}`, { anchor: "end", kind: "dim" }),
      `<path class="bad" d="${level(all)}"/>`,
      `<path class="good" d="${level(useful)}"/>`,
      `<path class="axis" d="M58 ${y + high}H${width - frame.right}"/>`,
    ]
  })
  return picture({
    title: `Slots in use – ${where(world)}`,
    height: bottom + 26,
    keys: [{ ink: "good", name: "for an answer" }, { ink: "bad", name: "for nobody" }],
    body: [...body, ...drawn],
  })
}

/** What became of all requests of each variant. */
const outcomes = (bursts: ReadonlyArray<readonly [Burst, Measured]>, world: World): string => {
  const high = 20
  const bottom = frame.top + bursts.length * (high + 8)
  const body = bursts.flatMap(([{ variant }, { figures }], i) => {
    const y = frame.top + 4 + i * (high + 8)
    const scale = (width - 32 - frame.right) / variant.requests
    const parts = [
      [figures.ok, "good"],
      [figures.timedOut + figures.failed, "bad"],
      [figures.refused, "idle"],
    ] as const
    let x = 32
    return [
      text(12, y + 14, variant.letter),
      ...parts.flatMap(([count, ink]) => {
        const wide = count * scale
        const at = x
        x += wide
        return count === 0 ? [] : [
          rect(at, y, wide - 1, high, ink),
          wide < 26 ? "" : text(at + wide / 2, y + 14, grouped(count), {
            anchor: "middle",
            kind: ink === "idle" ? "on-idle" : "on",
          }),
        ]
      }),
    ]
  })
  return picture({
    title: `What became of the requests – ${where(world)}`,
    height: bottom + 10,
    keys: [
      { ink: "good", name: "answered" },
      { ink: "bad", name: "timed out" },
      { ink: "idle", name: "refused" },
    ],
    body,
  })
}

/** Goodput against offered load. */
const goodput = (results: Results): string => {
  const { loads } = results
  const times = [...new Set(loads.virtual.map((it) => it.times))]
  const full = capacity(results.parameters)
  const bottom = 230
  const top = topOf(Math.max(full, ...loads.virtual.map(({ perSecond }) => perSecond)))
  const { body, y } = valueAxis(top, bottom)
  // The loads side by side, each as wide as the next: what happens, happens around 1.
  const x = (at: number) =>
    frame.left + 14 +
    times.indexOf(at) / Math.max(1, times.length - 1) * (width - frame.left - frame.right - 34)
  const line = (admission: boolean) =>
    "M" + loads.virtual.filter((it) => it.admission === admission)
      .map((it) => `${round(x(it.times))} ${round(y(it.perSecond))}`).join("L")
  const dots = (found: ReadonlyArray<Goodput>) =>
    found.map((it) =>
      `<circle class="page s-${it.admission ? "good" : "bad"}" stroke-width="2" cx="${
        round(x(it.times))
      }" cy="${round(y(it.perSecond))}" r="4"/>`
    )
  return picture({
    title: `Answers in time per second, against offered load`,
    height: bottom + 44,
    keys: [
      { ink: "good", name: "with admission" },
      { ink: "bad", name: "without", dashed: true },
      ...(loads.real.length === 0
        ? []
        : [{ ink: "line" as const, name: "circles: real PostgreSQL" }]),
    ],
    body: [
      ...body,
      `<path class="axis" d="M${frame.left} ${bottom}H${width - frame.right}"/>`,
      `<path class="axis dash" d="M${frame.left} ${round(y(full))}H${width - frame.right}"/>`,
      ...times.map((it) => text(x(it), bottom + 15, `${it}×`, { anchor: "middle", kind: "dim" })),
      text(width / 2, bottom + 32, `offered load; 1× is what the pool can do, ${grouped(full)}/s`, {
        anchor: "middle",
        kind: "dim",
      }),
      `<path class="curve s-bad dash" d="${line(false)}"/>`,
      `<path class="curve s-good" d="${line(true)}"/>`,
      ...dots(loads.real),
    ],
  })
}

/** Answers over time while queries are slow, and afterwards. */
const retries = (storms: ReadonlyArray<Storm>, world: World): string => {
  const [{ stallAt, wellAt, windows } = { stallAt: 0, wellAt: 0, windows: [] }] = storms
  const step = (windows[1]?.at ?? 1) - (windows[0]?.at ?? 0)
  const until = windows.length * step
  const bottom = 220
  const time = timeAxis(until, bottom)
  const all = storms.flatMap((it) => it.windows.map(({ good }) => good))
  const rate = valueAxis(topOf(Math.max(1, ...all)), bottom)
  const kinds: Record<string, readonly [Ink, string]> = {
    "at once": ["bad", ""],
    "budget": ["line", " dash"],
    "budget and admission": ["good", ""],
  }
  return picture({
    title: `Answers per second while clients retry – ${where(world)}`,
    height: bottom + 26,
    keys: storms.map(({ habit }) => ({
      ink: kinds[habit]![0],
      name: habit,
      dashed: kinds[habit]![1] !== "",
    })),
    body: [
      `<rect class="idle" opacity=".35" x="${round(time.x(stallAt))}" y="${frame.top}" width="${
        round(time.x(wellAt) - time.x(stallAt))
      }" height="${bottom - frame.top}"/>`,
      ...rate.body,
      ...time.body,
      text((time.x(stallAt) + time.x(wellAt)) / 2, frame.top + 13, "slow", {
        anchor: "middle",
        kind: "dim",
      }),
      ...storms.map(({ habit, windows }) =>
        `<path class="curve s-${kinds[habit]![0]}${kinds[habit]![1]}" d="M${
          windows.map(({ at, good }) => `${round(time.x(at + step / 2))} ${round(rate.y(good))}`)
            .join("L")
        }"/>`
      ),
    ],
  })
}

/** All plots of one world; goodput, which shows both, belongs to virtual time. */
export const plots = (results: Results, world: World): ReadonlyArray<Plot> => {
  const found = results.bursts.flatMap((burst) => {
    const here = measured(burst, world)
    return here === undefined ? [] : [[burst, here] as const]
  })
  const tail = world === "virtual" ? "" : "-real"
  const of = (...letters: ReadonlyArray<string>) =>
    letters.flatMap((letter) => found.filter(([{ variant }]) => variant.letter === letter))
  const first = found[0]
  const falls = of("A", "B", "F").length > 0 ? of("A", "B", "F") : found.slice(0, 1)
  const lines = of("A", "B", "D").length > 0 ? of("A", "B", "D") : found.slice(0, 1)
  const said: Record<string, string> = {
    A: "A staircase: each wave of queries waits for the one before.",
    B: "The last wave before the deadline is cut off in the instant in which it would have answered; those behind it waited for nothing.",
    F: "Who could not be served in time has heard so at once; nothing is cut off.",
  }
  return [
    ...falls.map(([burst, here]) => ({
      name: `1-waterfall-${burst.variant.letter}${tail}`,
      caption: said[burst.variant.letter] ?? "A row for each request.",
      svg: waterfall(burst, world, here),
    })),
    ...(first === undefined ? [] : [
      {
        name: `2-queue${tail}`,
        caption:
          "The line falls by one wave per query time, or all at once when the clients leave.",
        svg: depth(lines, world),
      },
      {
        name: `3-totals-${first[0].variant.letter}${tail}`,
        caption: world === "virtual"
          ? "One spike for each wave: an average describes no request at all."
          : "The same spikes, a little wider and a little later with each wave.",
        svg: histogram(first[0], world, first[1]),
      },
      {
        name: `4-slots${tail}`,
        caption:
          "Every variant keeps all slots busy while there is work; orange is work for nobody.",
        svg: strips(found, world),
      },
      {
        name: `5-outcomes${tail}`,
        caption:
          "Refusing at once (grey) instead of letting time out (orange) costs no answer (blue).",
        svg: outcomes(found, world),
      },
    ]),
    ...(world === "virtual" && results.loads.virtual.length > 0
      ? [{
        name: "6-goodput",
        caption:
          "Above 1× admission keeps the pool at what it can do; without it almost nobody is answered in time.",
        svg: goodput(results),
      }]
      : []),
    ...(results.storms[world].length > 0
      ? [{
        name: `7-retries${tail}`,
        caption:
          "Retries at once keep the pool in the state that causes them, long after the cause has gone.",
        svg: retries(results.storms[world], world),
      }]
      : []),
  ]
}
