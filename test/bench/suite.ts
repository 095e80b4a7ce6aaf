/**
 * What a suite is, and how one is run: every subject starts once, then each round measures all of
 * them in turn, so that whatever else the machine does falls on all alike.
 */
import { median } from "./stats.ts"

/** What one subject did in one round: a number for each metric of the suite. */
export type Sample = Readonly<Record<string, number>>

/** A started subject. */
export interface Running {
  /** Runs the load without measuring it: fills again the caches that the others have filled. */
  readonly warm: (seconds: number) => Promise<void>
  /** Measures one round. Throws {@link VerificationFailed} when the work was not done right. */
  readonly measure: (seconds: number) => Promise<Sample>
  readonly stop: () => Promise<void>
}

/** One thing to measure. */
export interface Subject {
  /** What `--only` takes. */
  readonly id: string
  /** What tables and JSON show. */
  readonly name: string
  /** What it does, where a suite has several workloads: a table of its own for each. */
  readonly workload?: string | undefined
  /** The id of the subject that its figures are divided by. */
  readonly baseline?: string | undefined
  /** Starts it, and runs the load until the compiler has seen it. */
  readonly start: () => Promise<Running>
}

/**
 * A column of the result. The first metric of a suite, or of a workload, is the one that ratios are
 * about, and targets, unless they name another.
 */
export interface Metric {
  readonly name: string
  readonly unit: string
  /** The workload in whose table it stands; none where the suite has none. */
  readonly workload?: string | undefined
  /** Shown with its smallest and largest value, where it is not the first metric, which always is. */
  readonly range?: boolean | undefined
}

/** Reads a metric (the first of the suite) of a subject in one round; NaN where it was not measured. */
export type Read = (subject: string, metric?: string) => number

/** A figure that must be reached. `value` is taken in each round; the median counts. */
export interface Target {
  readonly name: string
  readonly limit: readonly ["<=" | "<" | ">=" | ">", number]
  readonly value: (read: Read) => number
}

export interface Suite {
  readonly name: string
  readonly description: string
  readonly metrics: readonly [Metric, ...Array<Metric>]
  /** Installs and checks what the suite needs; says which subjects it cannot run, and why. */
  readonly prepare: (only: ReadonlyArray<string>) => Promise<{
    readonly subjects: ReadonlyArray<Subject>
    readonly skipped: ReadonlyArray<Skipped>
    /** Pictures of what has been measured, for the documentation. */
    readonly plots?: () => ReadonlyArray<Plot>
    readonly close: () => Promise<void>
  }>
  /** The ids of all subjects. */
  readonly ids: ReadonlyArray<string>
  readonly targets: ReadonlyArray<Target>
  /** What `--seconds` is by default; 2 where it is left out. */
  readonly seconds?: number | undefined
}

/** A picture; its file stands beside the documentation. */
export interface Plot {
  readonly file: string
  readonly svg: string
}

export interface Skipped {
  readonly name: string
  readonly why: string
}

/** The subject answered, but not with the work that was asked for: its figures mean nothing. */
export class VerificationFailed extends Error {}

/** All samples of a run: one map from subject id to sample for each round. */
export type Rounds = ReadonlyArray<ReadonlyMap<string, Sample>>

export interface RunOptions {
  readonly rounds: number
  readonly seconds: number
  /** How many subjects are measured side by side. Default 1. */
  readonly lanes?: number | undefined
  readonly progress: (line: string) => void
  readonly signal: AbortSignal
}

/** Starts all subjects, warms them, measures them round-robin, stops them. */
export const runRounds = async (
  subjects: ReadonlyArray<Subject>,
  options: RunOptions,
): Promise<Rounds> => {
  const { rounds, seconds, lanes = 1, progress, signal } = options
  const running: Array<readonly [Subject, Running]> = []
  const taken: Array<Map<string, Sample>> = []
  try {
    for (const subject of subjects) {
      signal.throwIfAborted()
      progress(`starting and warming up ${subject.name}`)
      running.push([subject, await subject.start()])
    }
    for (let round = 0; round < rounds; round++) {
      const samples = new Map<string, Sample>()
      const left = [...rotate(running, round)]
      const lane = async (): Promise<void> => {
        for (let next = left.shift(); next !== undefined; next = left.shift()) {
          signal.throwIfAborted()
          const [subject, { warm, measure }] = next
          progress(`round ${round + 1} of ${rounds}: ${subject.name}`)
          try {
            await warm(seconds / 4)
            samples.set(subject.id, await measure(seconds))
          } catch (error) {
            left.length = 0
            throw error
          }
        }
      }
      // Nobody is stopped while another lane still measures.
      const ends = await Promise.allSettled(Array.from({ length: lanes }, lane))
      for (const end of ends) if (end.status === "rejected") throw end.reason
      taken.push(samples)
    }
    return taken
  } finally {
    progress("stopping")
    await Promise.all(running.map(([, { stop }]) => stop()))
  }
}

/** The same order, begun one further on in each round: nobody always runs after the same one. */
export const rotate = <A>(items: ReadonlyArray<A>, by: number): ReadonlyArray<A> => {
  const from = items.length === 0 ? 0 : by % items.length
  return [...items.slice(from), ...items.slice(0, from)]
}

/** The values of one metric of one subject, one per round. */
export const valuesOf = (rounds: Rounds, subject: string, metric: string): ReadonlyArray<number> =>
  rounds.flatMap((samples) => samples.get(subject)?.[metric] ?? [])

/** The median of a figure that is computed within each round; NaN where parts are missing. */
export const perRound = (rounds: Rounds, metric: string, value: (read: Read) => number): number =>
  median(
    rounds.map((samples) => value((subject, name = metric) => samples.get(subject)?.[name] ?? NaN)),
  )
