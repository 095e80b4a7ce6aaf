/**
 * The line of messages before an actor: bounded, cancellable, and accounted for to the last one.
 *
 * **Details** – *Bounded by* its capacity; *owned by* one actor; *seen in* `/saturation`.
 *
 * @module
 */

/**
 * How a message ended; every message ends in exactly one of these.
 *
 * - `handled`: its handler ran to its end; an asker got the value or the typed error.
 * - `failed`: its handler died, or the typed error of a tell had nobody to go to.
 * - `rejected`: never accepted; its sender was told.
 * - `expired`: its time was up while it was queued, and it never ran.
 * - `cancelled`: its asker left, or its time was up while it ran.
 * - `dropped`: the overflow policy dropped it.
 * - `discarded`: it was queued when the actor stopped for good.
 *
 * @category models
 * @since 0.1.0
 */
export type Outcome =
  | "handled"
  | "failed"
  | "rejected"
  | "expired"
  | "cancelled"
  | "dropped"
  | "discarded"

/**
 * Every {@link Outcome}, in the order in which they are reported.
 *
 * @category models
 * @since 0.1.0
 */
export const outcomes: ReadonlyArray<Outcome> = [
  "handled",
  "failed",
  "rejected",
  "expired",
  "cancelled",
  "dropped",
  "discarded",
]

/**
 * What happens to a message for which there is no room.
 *
 * - `reject`: the sender gets a typed `MailboxFull`.
 * - `dropOldest`: the one that has waited longest in the least urgent lane makes room.
 * - `dropNewest`: the newcomer is dropped; a tell succeeds all the same.
 *
 * Each message that is dropped is a dead letter.
 *
 * @category models
 * @since 0.1.0
 */
export type Overflow = "reject" | "dropOldest" | "dropNewest"

/**
 * The account of a mailbox: `sent = Σ ended + queued + running` at every moment.
 *
 * **Details** – counts since it was made. `queued` counts also what is in the stash and what waits
 * for room; the waits are those of messages that were started, in milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface Account {
  /** Messages that were ever offered. */
  readonly sent: number
  /** Not yet started. */
  readonly queued: number
  /** Being handled. */
  readonly running: number
  /** Ended, by outcome. */
  readonly ended: Readonly<Record<Outcome, number>>
  /** Of `queued`: put aside by the actor. */
  readonly stashed: number
  /** Of `queued`: senders that wait for room. */
  readonly offering: number
  /** The largest number of messages that ever waited in the mailbox. */
  readonly highWater: number
  /** Sum of all waits. */
  readonly waitedMs: number
  /** The longest wait. */
  readonly longestWaitMs: number
}
