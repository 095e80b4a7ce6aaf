/**
 * Supervision: failure with a plan.
 *
 * @module
 */
import { restart as makePolicy, type RestartOptions, type RestartPolicy } from "./restarts.ts"

export { type RestartOptions, type RestartPolicy } from "./restarts.ts"

/**
 * How often something that keeps failing is started again, and how long it waits before.
 *
 * **Details** – 3 restarts within 5 seconds, without waits, unless the options say otherwise. The
 * failure that exceeds them makes the owner give up; a failure counts until it is older than the
 * period. A quiet of `resetAfter` begins the back-off anew; it never takes back a counted failure.
 * Throws when an option is out of its range.
 *
 * @example Waits of 50 ms, 100 ms, 200 ms, … up to 10 seconds, as often as it takes
 * ```ts
 * import { Duration, Effect, Schedule } from "effect"
 * import { Supervisor } from "@weir/runtime"
 * import { strictEqual } from "node:assert/strict"
 *
 * const policy = Supervisor.restart({
 *   intensity: Infinity,
 *   backoff: Schedule.exponential("50 millis").pipe(
 *     Schedule.modifyDelay(({ duration }) => Effect.succeed(Duration.min(duration, Duration.seconds(10)))),
 *   ),
 * })
 * strictEqual(policy.periodMs, 5000)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const restart: (options?: RestartOptions) => RestartPolicy = makePolicy
