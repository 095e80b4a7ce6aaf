/**
 * What was accepted and not handled, and what was told in vain.
 *
 * @module
 */

/**
 * Why a message is here.
 *
 * @category models
 * @since 0.1.0
 */
export type Reason = "rejected" | "failed" | "expired" | "dropped" | "discarded" | "late-reply"

/**
 * One message that had no effect, or whose answer had nobody to go to.
 *
 * @category models
 * @since 0.1.0
 */
export interface DeadLetter {
  /** Path of the actor that it was for. */
  readonly to: string
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

/** Where dead letters go. */
export interface Office {
  /** Takes one; synchronous. */
  readonly publish: (letter: DeadLetter) => void
}
