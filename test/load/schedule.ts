/**
 * When clients arrive: decided before the run, from the seed alone.
 */
import { random } from "../support/random.ts"
import type { Job, Stream } from "./job.ts"

/** All arrivals of a job in order of time; three columns. */
export interface Schedule {
  readonly length: number
  readonly atMs: Float64Array
  readonly stream: Uint16Array
  readonly phase: Uint16Array
  /** Where the last phase ends. */
  readonly endMs: number
}

interface Arrival {
  readonly atMs: number
  readonly stream: number
  readonly phase: number
}

/** The moments of one stream. A seed of its own, so that one stream never moves another. */
export const arrivalsOf = (
  stream: Stream,
  index: number,
  arrivals: Job["arrivals"],
  seed: number,
): ReadonlyArray<Arrival> => {
  const next = random(Math.imul(seed, 0x9e3779b1) ^ Math.imul(index + 1, 0x85ebca6b))
  const found: Array<Arrival> = []
  let from = 0
  stream.phases.forEach(({ seconds, rate = 0, atOnce = 0 }, phase) => {
    const until = from + seconds * 1000
    for (let i = 0; i < atOnce; i++) found.push({ atMs: from, stream: index, phase })
    if (rate > 0) {
      const mean = 1000 / rate
      // A constant stream begins half a step late, so that equal streams still fill a phase evenly.
      const gap = arrivals === "constant" ? () => mean : () => -Math.log(1 - next()) * mean
      let at = from + (arrivals === "constant" ? mean / 2 : gap())
      for (; at < until; at += gap()) found.push({ atMs: at, stream: index, phase })
    }
    from = until
  })
  return found
}

/** Merges the streams. */
export const schedule = (job: Pick<Job, "streams" | "arrivals" | "seed">): Schedule => {
  const all = job.streams.flatMap((stream, at) => arrivalsOf(stream, at, job.arrivals, job.seed))
  all.sort((a, b) => a.atMs - b.atMs || a.stream - b.stream)
  return {
    length: all.length,
    atMs: Float64Array.from(all, ({ atMs }) => atMs),
    stream: Uint16Array.from(all, ({ stream }) => stream),
    phase: Uint16Array.from(all, ({ phase }) => phase),
    endMs: Math.max(0, ...job.streams.map(lengthMs)),
  }
}

/** How long a stream lasts. */
export const lengthMs = (stream: Stream): number =>
  stream.phases.reduce((sum, { seconds }) => sum + seconds * 1000, 0)
