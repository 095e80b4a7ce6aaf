/**
 * What the load generator is told to do, and what it says afterwards: plain data.
 */

/** How a client tries again after a refusal, an error or silence. */
export type Retry =
  | { readonly kind: "none" }
  /** After the same pause each time. */
  | { readonly kind: "fixed"; readonly retries: number; readonly pauseMs: number }
  /** After a random pause below `baseMs · 2ⁿ`, at most `capMs` (full jitter). */
  | {
    readonly kind: "jitter"
    readonly retries: number
    readonly baseMs: number
    readonly capMs: number
  }
  /** When the answer says so (`Retry-After`), at most `capMs` later; like `jitter` when it says nothing. */
  | {
    readonly kind: "retry-after"
    readonly retries: number
    readonly baseMs: number
    readonly capMs: number
  }

/** A stretch of time with one rate: `rate` arrivals a second, or `atOnce` at its beginning. */
export interface Phase {
  readonly name?: string | undefined
  readonly seconds: number
  readonly rate?: number | undefined
  readonly atOnce?: number | undefined
}

/** Clients of one kind. Streams arrive independently of each other. */
export interface Stream {
  readonly name: string
  readonly method?: string | undefined
  readonly path: string
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly body?: string | undefined
  /** From the intended moment of sending; then the client closes its socket. */
  readonly deadlineMs: number
  /** Some clients leave earlier: a share of them, after a time drawn between `afterMs`. */
  readonly leave?:
    | { readonly share: number; readonly afterMs: readonly [number, number] }
    | undefined
  readonly retry?: Retry | undefined
  readonly phases: ReadonlyArray<Phase>
  /** Every 2xx must contain these, or it counts as `wrong`. */
  readonly includes?: ReadonlyArray<string> | undefined
  /** A member of a JSON body that must be a number, and another one in each 2xx. */
  readonly distinct?: string | undefined
}

/** A request on a connection of its own at a moment of the run, to change the subject. Must get a 2xx. */
export interface Control {
  readonly atMs: number
  readonly path: string
  /** The job's own if left out. */
  readonly port?: number | undefined
}

/** One run. */
export interface Job {
  readonly port: number
  /** An address of this machine, 127.0.0.1 unless said otherwise. */
  readonly host?: string | undefined
  readonly seed: number
  readonly arrivals: "poisson" | "constant"
  readonly streams: ReadonlyArray<Stream>
  readonly controls?: ReadonlyArray<Control> | undefined
  /** Connections there may be at once; a request that finds none is `unsent`. */
  readonly connections?: number | undefined
  /** Length of a window of the series. Default 1000. */
  readonly windowMs?: number | undefined
  /** A line on stderr each second. */
  readonly progress?: boolean | undefined
  /** Where to write one line of CSV for each attempt. */
  readonly records?: string | undefined
}

/** How an attempt ended. */
export const outcomes = [
  /** 2xx, fully received within the client's deadline. */
  "good",
  /** 503 or 429. */
  "refused",
  /** Any other status that is no 2xx. */
  "failed",
  /** Not answered within the deadline: the client closed. */
  "timeout",
  /** The client closed before its deadline, because it was told to. */
  "left",
  /** The connection was cut before the answer was complete. */
  "broken",
  /** The connection was cut before the first byte, and had served others: closed while idle, perhaps. */
  "stale",
  /** No connection could be made. */
  "unreachable",
  /** A 2xx whose body is not what it must be, or an answer that is no HTTP. */
  "wrong",
  /** The generator had no connection left. */
  "unsent",
] as const

/** See {@link outcomes}. */
export type Outcome = (typeof outcomes)[number]

/** How many attempts ended how. */
export type Counts = Readonly<Record<Outcome, number>>

/** Milliseconds. */
export interface Percentiles {
  readonly count: number
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly p999: number
  readonly max: number
}

/** One stream in one phase. Calls and attempts belong to the phase in which their call arrived. */
export interface Part {
  readonly stream: string
  readonly phase: string
  readonly fromMs: number
  readonly seconds: number
  /** Calls of clients; with retries a call has several attempts. */
  readonly calls: number
  /** Calls that ended with a 2xx in time. */
  readonly good: number
  readonly attempts: number
  readonly outcomes: Counts
  /** Of good attempts, from the intended moment of sending. */
  readonly latency: Percentiles
  /** Of refusals, likewise. */
  readonly refusal: Percentiles
  readonly refusals: Readonly<Record<string, number>>
  /** Answers by status that are neither 2xx nor refusals. */
  readonly statuses: Readonly<Record<string, number>>
  /** The HdrHistogram of good attempts in microseconds: V2, compressed, base64. */
  readonly histogram: string
}

/** What happened in one window, by the moment at which attempts ended. */
export interface Window {
  readonly atMs: number
  /** Calls that arrived. */
  readonly offered: number
  /** Attempts that were sent. */
  readonly sent: number
  readonly good: number
  readonly timeout: number
  /** Everything else that is no refusal. */
  readonly other: number
  readonly refusals: Readonly<Record<string, number>>
  readonly p50: number
  readonly p99: number
}

/** What a run did. */
export interface Result {
  readonly at: string
  readonly seed: number
  readonly arrivals: "poisson" | "constant"
  readonly seconds: number
  readonly parts: ReadonlyArray<Part>
  readonly windowMs: number
  readonly series: ReadonlyArray<Window>
  /** Calls by the moment at which they arrived, in windows of a tenth of `windowMs`. */
  readonly arrived: ReadonlyArray<{ readonly calls: number; readonly good: number }>
  /** How much later than intended the generator began to send. Above 2 ms at p99 a run means little. */
  readonly lateness: Percentiles
  readonly valid: boolean
  readonly connections: { readonly opened: number; readonly most: number }
  /** The first answer that was wrong, in words. */
  readonly problem: string | null
  /** Controls that did not get a 2xx. */
  readonly controlsFailed: number
}

/** The limit of the generator's own lateness at p99, in milliseconds. */
export const latenessLimitMs = 2
