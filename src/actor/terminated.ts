import type { Cause } from "effect"

/**
 * How an actor ended.
 *
 * - `stopped`: somebody stopped it, or it stopped itself.
 * - `passivated`: it was idle; the next message starts it again.
 * - `failed`: it crashed once too often.
 * - `shutdown`: its parent, its layer or its system ended.
 * - `not-running`: it was not there when the watch began.
 *
 * @category models
 * @since 0.1.0
 */
export type Ending = "stopped" | "passivated" | "failed" | "shutdown" | "not-running"

/**
 * The end of an actor, as its watchers hear of it. A restart is no end.
 *
 * @category models
 * @since 0.1.0
 */
export interface Terminated {
  /** Of the actor that ended. */
  readonly path: string
  /** How it ended. */
  readonly reason: Ending
  /** What it died of, if it failed. */
  readonly cause: Cause.Cause<unknown> | undefined
}
