/**
 * What was accepted and not handled, and what was told in vain.
 *
 * **Details** – *Bounded by* 100 letters kept, 16 subscribers with a buffer each, and counts for
 * 1,000 kinds of actors; *owned by* the `ActorSystem`; *seen in* the log, in `/saturation` and in
 * `/metrics`.
 *
 * @module
 */
import type { Effect, Stream } from "effect"
import type { Refused } from "../bounded/Refused.ts"

/**
 * Why a message is here.
 *
 * - `rejected`: it was told or offered, and not accepted.
 * - `failed`: its handler died, or the typed error of a tell had nobody to go to.
 * - `expired`: its time was up while it was queued.
 * - `dropped`: the overflow policy dropped it.
 * - `discarded`: it was queued when its actor stopped for good.
 * - `late-reply`: it was answered after its asker had left.
 *
 * @category models
 * @since 0.1.0
 */
export type Reason = "rejected" | "failed" | "expired" | "dropped" | "discarded" | "late-reply"

/**
 * Every {@link Reason}, in the order in which they are reported.
 *
 * @category models
 * @since 0.1.0
 */
export const reasons: ReadonlyArray<Reason> = [
  "rejected",
  "failed",
  "expired",
  "dropped",
  "discarded",
  "late-reply",
]

/**
 * One message that had no effect, or whose answer had nobody to go to.
 *
 * @category models
 * @since 0.1.0
 */
export interface DeadLetter {
  /** Path of the actor that it was for; of a late reply, of the actor that answered. */
  readonly to: string
  /** Name in that actor's definition. */
  readonly kind: string
  /** Which message. */
  readonly tag: string
  /** Its payload; of a late reply, the reply. */
  readonly payload: unknown
  /** How it was sent. */
  readonly how: "tell" | "offer" | "ask"
  /** Why it is here. */
  readonly reason: Reason
  /** When, in absolute milliseconds. */
  readonly at: number
  /** What the handler failed or died with. */
  readonly cause: unknown
}

/**
 * A letter on its way to a subscriber.
 *
 * @category models
 * @since 0.1.0
 */
export interface Delivery {
  /** The letter. */
  readonly letter: DeadLetter
  /** Letters right before this one that the subscriber missed because its buffer was full. */
  readonly missed: number
}

/**
 * Letters of one kind of actors for one reason, since the system was built.
 *
 * @category models
 * @since 0.1.0
 */
export interface Count {
  /** The kind; `other` for all beyond the first 1,000. */
  readonly kind: string
  /** The reason. */
  readonly reason: Reason
  /** How many. */
  readonly count: number
}

/**
 * Options of the dead letters of an `ActorSystem`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Letters that are kept, the newest. A whole number of at least 0. Default 100. */
  readonly recent?: number
  /** Lines in the log for each kind and reason in a minute. A whole number of at least 0. Default 10. */
  readonly logged?: number
  /** Streams at a time. A whole number above zero. Default 16. */
  readonly subscribers?: number
}

/**
 * The dead letters of a system.
 *
 * **Details** – a letter is written the moment its message ends; writing it never waits. In the log,
 * as warnings: the first 10 for each kind of actors and reason in a minute, then one line at the end
 * of that minute with the number of those that were left out. Payloads are not logged, because they
 * may hold secrets; paths, and with them keys, are.
 *
 * @category models
 * @since 0.1.0
 */
export interface DeadLetters {
  /**
   * The letters from now on, until the system closes.
   *
   * **Details** – each stream has a buffer of its own (`buffer`, a whole number above zero, default
   * 256). When it is full, the oldest letter in it is dropped, and the next delivery says how many
   * were missed. A subscriber never holds anything up.
   *
   * A subscriber may cause dead letters itself. So that this does not go round for ever at full speed,
   * a letter whose payload is a dead letter, or has one as a field, is counted and logged and not
   * delivered; and a stream delivers at most 1,000 letters a second.
   *
   * **Fails with** – {@link Refused} (`QueueFull`) when there are as many subscribers as may be.
   *
   * **Interruption** – ends the subscription at once.
   */
  readonly stream: (options?: { readonly buffer?: number }) => Stream.Stream<Delivery, Refused>
  /**
   * How many there were, for each kind and reason that occurred. Exact.
   *
   * **Fails with** – nothing.
   *
   * **Interruption** – does not wait.
   */
  readonly counts: Effect.Effect<ReadonlyArray<Count>>
  /**
   * The newest letters, the oldest of them first. They keep their payloads in memory.
   *
   * **Fails with** – nothing.
   *
   * **Interruption** – does not wait.
   */
  readonly recent: Effect.Effect<ReadonlyArray<DeadLetter>>
}
