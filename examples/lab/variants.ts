/**
 * What is compared: the same burst of requests before a pool that differs in one thing.
 *
 * @module
 */
import { ms } from "./words.ts"

/** What the whole laboratory is told; times in milliseconds. */
export interface Parameters {
  /** How many requests arrive at once. */
  readonly requests: number
  /** How many queries may run at once. */
  readonly pool: number
  /** How long one query takes. */
  readonly queryMs: number
  /** How long a client waits for its answer. */
  readonly deadlineMs: number
  /** How many may wait, where the line is bounded. */
  readonly queue: number
  /** Of the arrivals of the experiments with an offered load. */
  readonly seed: number
}

export const defaults: Parameters = {
  requests: 100,
  pool: 10,
  queryMs: 200,
  deadlineMs: 1000,
  queue: 20,
  seed: 1,
}

/** Who knows how long a client waits. */
export type Patience =
  /** Nobody: it waits as long as it takes. */
  | { readonly _tag: "Endless" }
  /** The client alone: it leaves, and its query is cancelled. */
  | { readonly _tag: "Client"; readonly ms: number }
  /** The pool too: it refuses what cannot end in time, and expects a query to take `expectedMs`. */
  | { readonly _tag: "Pool"; readonly ms: number; readonly expectedMs: number }

/** One way to serve the burst. */
export interface Variant {
  /** Its row in the tables. */
  readonly letter: string
  /** What `--variants` calls it. */
  readonly id: string
  /** What it is, with its numbers. */
  readonly title: string
  readonly requests: number
  readonly pool: number
  readonly queue: number
  readonly queryMs: number
  readonly patience: Patience
}

/** What a pool asks for beyond the predicted time: as the gate of `Database` does. */
export const margin = 0.02

/** All variants of the burst, in the order of the tables. */
export const variants = (parameters: Parameters): ReadonlyArray<Variant> => {
  const { deadlineMs, pool, queryMs, queue, requests } = parameters
  const base = { requests, pool, queryMs, queue: requests, patience: { _tag: "Endless" } } as const
  const client = (ms: number) => ({ _tag: "Client", ms }) as const
  const known = (ms: number) => ({ _tag: "Pool", ms, expectedMs: queryMs }) as const
  const longer = deadlineMs + Math.ceil(queryMs / 2)
  return [
    { ...base, letter: "A", id: "unbounded", title: `pool ${pool}, all others wait` },
    {
      ...base,
      letter: "B",
      id: "deadline",
      title: `client leaves after ${ms(deadlineMs)}`,
      patience: client(deadlineMs),
    },
    {
      ...base,
      letter: "C",
      id: "deadline+1",
      title: `client leaves after ${ms(deadlineMs + 1)}`,
      patience: client(deadlineMs + 1),
    },
    { ...base, letter: "D", id: "bounded", title: `at most ${queue} wait`, queue },
    { ...base, letter: "E", id: "bigger-pool", title: `pool ${2 * pool}`, pool: 2 * pool },
    {
      ...base,
      letter: "F",
      id: "feasibility",
      title: `pool knows the ${ms(deadlineMs)}`,
      patience: known(deadlineMs),
    },
    {
      ...base,
      letter: "G",
      id: "feasibility-longer",
      title: `pool knows of ${ms(longer)}`,
      patience: known(longer),
    },
    {
      ...base,
      letter: "H",
      id: "slow",
      title: `as B, query ${ms(2 * queryMs)}`,
      queryMs: 2 * queryMs,
      patience: client(deadlineMs),
    },
    {
      ...base,
      letter: "I",
      id: "slow-feasibility",
      title: `as F, query ${ms(2 * queryMs)}`,
      queryMs: 2 * queryMs,
      patience: known(deadlineMs),
    },
  ]
}

/** The experiments that are no burst, as `--variants` calls them. */
export const others = ["load", "storm"] as const

/** Everything that `--variants` knows. */
export const ids: ReadonlyArray<string> = [...variants(defaults).map(({ id }) => id), ...others]
