/**
 * What a scenario is: plain data, the same for the simulator and for the load generator on real
 * sockets.
 */

/** How long work takes in its slot, in milliseconds: always that long, or drawn anew each time. */
export type Work =
  | number
  | { readonly lognormal: { readonly meanMs: number; readonly cv: number } }
  /** A heavy tail: up to an `alpha` of 2 without a finite variance. */
  | { readonly pareto: { readonly meanMs: number; readonly alpha: number } }
  | {
    readonly bimodal: {
      readonly fastMs: number
      readonly slowMs: number
      readonly slowShare: number
    }
  }

/** How many requests come, and how they are spread over the phase. */
export interface Load {
  /** Requests per second. */
  readonly rate?: number
  /** The same in multiples of what the pool of the route can serve: capacity / service time. */
  readonly times?: number
  /** For `burst`: so many in the first instant of the phase. */
  readonly count?: number
  /** Default `poisson`. */
  readonly arrival?: "poisson" | "constant" | "burst"
}

/** What is wrong with the pool of the scenario during a phase. */
export type Fault =
  /** Work makes no progress; what is under way goes on when the phase is over. */
  | "stall"
  /** Work that is under way, or begins, never ends by itself. */
  | "hang"
  /** Work fails after a millisecond. */
  | "refuse"
  /** That share of the work fails, after the time that it would have taken. */
  | { readonly errors: number }

/** A part of the run. Its own load is that of the client `default`, unless `clients` says otherwise. */
export interface Phase extends Load {
  readonly name: string
  readonly seconds: number
  /** Loads by the name of the client; who is not named sends nothing. */
  readonly clients?: Readonly<Record<string, Load>>
  /** The mean service time of the scenario's pool in this phase. */
  readonly serviceMs?: number
  readonly fault?: Fault
}

/** A pool: so many slots. */
export interface Pool {
  readonly capacity: number
  readonly serviceMs: Work
  /** Places in line; what the pool has by default if left out. */
  readonly queueCapacity?: number
}

/** A consumer behind a bounded mailbox: takes one message at a time. */
export interface Mailbox {
  readonly capacity: number
  readonly handleMs: number
}

/** A kind of request: what it needs, one thing after another. */
export interface Route {
  /** Names of pools, `main` is the scenario's. Default `["main"]`. */
  readonly pools?: ReadonlyArray<string>
  /** Names of mailboxes, each of which gets a message once the pools are done. */
  readonly mailboxes?: ReadonlyArray<string>
  /** Its own work in each pool; the pool's if left out. */
  readonly serviceMs?: Work
  /** What its policy declares under `expected`. */
  readonly expectedMs?: number
  /** Its handler computes so long without letting anything else run. */
  readonly blocksLoopMs?: number
}

/** The four classes, the most critical first. */
export const criticalities = ["critical-plus", "critical", "sheddable-plus", "sheddable"] as const
export type Criticality = typeof criticalities[number]

/** What a client does with an answer other than 2xx, or with none. */
export interface Retry {
  /** Attempts, the first one included. */
  readonly attempts: number
  /** Between them: always `baseMs`, or evenly between 0 and `baseMs * 2^n` (full jitter). */
  readonly wait: "fixed" | "jitter"
  readonly baseMs: number
  /** Waits at least as long as a refusal says, in its header or in its body. */
  readonly honoursRetryAfter?: "seconds" | "milliseconds"
}

/** Who sends requests. */
export interface Client {
  /** Default `main`. */
  readonly route?: string
  /** Default `critical`. */
  readonly class?: Criticality
  /** Each request comes from one of so many tenants, evenly. Left out, nobody knows who sends it. */
  readonly tenants?: number
  /** The client leaves after that time; the scenario's if left out. */
  readonly deadlineMs?: number
  /** Share of the requests whose client leaves earlier, at a random moment before the deadline. */
  readonly leaves?: number
  readonly retry?: Retry
}

/** One scenario. */
export interface Scenario {
  /** `S2`, or `S3/10x` for one of several runs of a scenario. */
  readonly id: string
  readonly title: string
  /** What it finds out. */
  readonly catches: string
  /** The pool `main`. */
  readonly pool: Pool
  /** The client gives up, and closes, after that time. */
  readonly deadlineMs: number
  readonly phases: ReadonlyArray<Phase>
  /** Further pools by name. */
  readonly pools?: Readonly<Record<string, Pool>>
  readonly mailboxes?: Readonly<Record<string, Mailbox>>
  /** Routes by name. Default `main`, which uses the pool. */
  readonly routes?: Readonly<Record<string, Route>>
  /** Clients by name. Default `default`. */
  readonly clients?: Readonly<Record<string, Client>>
  /** Time between the decision at the door and the first use of a pool: evenly 0 to that. Default 0. */
  readonly bodyMs?: number
  /** The process is told to stop then, in milliseconds from the start. */
  readonly stopAtMs?: number
}

/** Mean of the work, in milliseconds. */
export const meanOf = (work: Work): number => {
  if (typeof work === "number") return work
  if ("lognormal" in work) return work.lognormal.meanMs
  if ("pareto" in work) return work.pareto.meanMs
  const { fastMs, slowMs, slowShare } = work.bimodal
  return fastMs * (1 - slowShare) + slowMs * slowShare
}

/** What a pool can serve, in requests per second. */
export const capacityOf = (pool: Pool): number => pool.capacity * 1000 / meanOf(pool.serviceMs)

/** Requests per second of a load; `pool` is that of the client's route. */
export const rateOf = (load: Load, pool: Pool): number =>
  load.rate ?? (load.times ?? 0) * capacityOf(pool)

/** Loads of a phase, by client. */
export const loadsOf = (phase: Phase): Readonly<Record<string, Load>> =>
  phase.clients ?? { default: phase }

/** Length of the scenario in milliseconds. */
export const lengthOf = (scenario: Scenario): number =>
  scenario.phases.reduce((sum, phase) => sum + phase.seconds * 1000, 0)
