/**
 * What every bounded thing has in common: statistics, a predicted wait, and tickets.
 *
 * @module
 */
import type { Refusal } from "./Refused.ts"
import type { Reason } from "./Refused.ts"
import type { ServiceTime } from "./ServiceTime.ts"

/**
 * One picture of a bounded thing. Counts are exact at the moment of the call.
 *
 * **Details** – `inUse` never exceeds `capacity`; `waiting` counts waiters and tickets that have
 * not been redeemed yet and never exceeds `queueCapacity` plus the free slots; `highWater` is the largest `waiting`
 * ever seen; `oldestWaitMs` is 0 while nobody waits; `refused` counts since the thing was made.
 *
 * @category models
 * @since 0.1.0
 */
export interface Stats {
  /** Kind, such as `pool`, `bulkhead` or `mailbox`. */
  readonly kind: string
  /** Name, unique within its registry. */
  readonly name: string
  /** Slots there are. */
  readonly capacity: number
  /** Slots in use. */
  readonly inUse: number
  /** Waiters and open tickets. */
  readonly waiting: number
  /** Hard bound on `waiting`. */
  readonly queueCapacity: number
  /** Largest `waiting` ever seen. */
  readonly highWater: number
  /** How long the oldest waiter has waited, in milliseconds. */
  readonly oldestWaitMs: number
  /** Wait predicted for a newcomer, in milliseconds. */
  readonly predictedWaitMs: number
  /** Refusals since it was made, by reason. */
  readonly refused: Readonly<Record<Reason, number>>
  /** What would have been refused, if it were not only being tried; left out while there is nothing. */
  readonly wouldRefuse?: Readonly<Record<Reason, number>>
}

/**
 * What a caller tells a bounded thing when it asks for a ticket.
 *
 * **Details** – `now` and `deadline` are absolute milliseconds of Effect's Clock, `deadline` is
 * `Infinity` when there is none. `service` is how long, in milliseconds, the caller expects to work
 * once it has waited; `undefined` when it does not know. Class and tenant are numbers, so that a
 * decision allocates nothing: see `Criticality.rankOf` and `Caller.tenantOf`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Request {
  /** Absolute milliseconds. */
  readonly now: number
  /** Absolute milliseconds; `Infinity` for none. */
  readonly deadline: number
  /** Expected work after the wait, in milliseconds; `undefined` when unknown. */
  readonly service: number | undefined
  /**
   * What it will be expected to work later on: when its turn comes, work that has become slower since
   * it asked is judged by this, and not by {@link Request.service}. Default: nothing newer is known.
   */
  readonly expectation?: Pick<ServiceTime, "mean" | "tail" | "rarity"> | undefined
  /** Rank of its class, 0 (critical-plus) to 3 (sheddable). Default 1, `critical`. */
  readonly criticality?: number | undefined
  /** Hash of whom it is accounted to. Default 0, nobody. */
  readonly tenant?: number | undefined
  /** Only tries it: no prediction refuses this work, but what would have is counted. Default false. */
  readonly dark?: boolean | undefined
}

/**
 * A place in line, taken before the work exists: it counts as waiting until it is redeemed by the
 * first acquire of its holder or released.
 *
 * @category models
 * @since 0.1.0
 */
export interface Ticket {
  /** The thing in whose line the place is. */
  readonly bounded: Bounded
  /** False once it was redeemed or released. */
  readonly open: boolean
  /** Gives the place back; a second call, or a call after redemption, does nothing. */
  readonly release: () => void
}

/**
 * A thing with a bound on the work it holds and on the work that waits for it. Every method is
 * synchronous.
 *
 * @category models
 * @since 0.1.0
 */
export interface Bounded {
  /** Kind, such as `pool`, `bulkhead` or `mailbox`. */
  readonly kind: string
  /** Name, unique within its registry. */
  readonly name: string
  /** The current picture; `now` in absolute milliseconds. */
  readonly stats: (now: number) => Stats
  /** Predicted wait of a newcomer in milliseconds; 0 when it would start at once. */
  readonly predict: (now: number) => number
  /** Takes a ticket, or says why not. */
  readonly reserve: (request: Request) => Ticket | Refusal
}
