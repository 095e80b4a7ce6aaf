/**
 * A second call beside one that takes unusually long: the first answer wins.
 *
 * **Details** – *Bounded by* two calls at a time and a budget; *owned by* the fiber that calls; *seen
 * in* its statistics, and in those of the `Dependency` that has one.
 *
 * @module
 */
import { Clock, Effect } from "effect"
import type { Bounded } from "../bounded/Bounded.ts"
import { frameOf } from "../task/scope.ts"
import { hedged, hedgeSettings, Hedging } from "./hedging.ts"
import { hintOf } from "./hints.ts"
import { Latency } from "./latency.ts"
import * as RetryBudget from "./RetryBudget.ts"

/**
 * A hedge.
 *
 * @category models
 * @since 0.1.0
 */
export interface Hedge {
  /**
   * Runs the effect, and a second time beside it when the first takes longer than most did.
   *
   * **Details** – the second call is made only if all of this holds: at least 20 calls have succeeded
   * before; the target is not busy; the percentile is less than half of the time that is left; the
   * budget has a retry; and no answer of the last second (or of its own `retryAfterMs`, at most a
   * minute) asked for less. The first success wins. The loser is interrupted (`Requested` by `Hedge`) and waited for,
   * at most a second; one that takes longer is told in the log. A failure is passed on at once unless
   * the other call still runs. In a finalizer there is no second call.
   *
   * **Fails with** – the effect's own errors, of two failures the first.
   *
   * **Interruption** – interrupts both calls and waits for both.
   */
  readonly use: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** What it would do now. */
  readonly stats: Effect.Effect<Stats>
}

/**
 * A picture of a hedge.
 *
 * @category models
 * @since 0.1.0
 */
export interface Stats {
  /** Second calls, since it was made. */
  readonly sent: number
  /** After how many milliseconds a second call would be made; 0 while too little is known. */
  readonly afterMs: number
}

/**
 * When to hedge.
 *
 * @category models
 * @since 0.1.0
 */
export interface Settings {
  /**
   * The second call starts when the first has taken longer than that share of the last 128. Default
   * 0.95: at most one call in twenty is made twice. From 0.5 to below 1.
   */
  readonly percentile?: number | undefined
  /**
   * No second call from this utilization of the target on. Default 0.7: into a busy one it would be
   * an overload of our own making. Above 0 and up to 1.
   */
  readonly maxUtilization?: number | undefined
}

/**
 * Options of {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Settings {
  /** Said by whoever knows that doing it twice does no harm. */
  readonly idempotent: true
  /** Whose utilization counts, such as the bulkhead before it. Default: none, so never busy. */
  readonly target?: Bounded | undefined
  /** What second calls are drawn from; share it with the retries. Default: one of its own. */
  readonly budget?: RetryBudget.RetryBudget | undefined
}

/**
 * Makes a hedge.
 *
 * **Fails with** – nothing; throws one sentence when an option is invalid.
 *
 * @see "The Tail at Scale", Dean and Barroso, 2013; gRPC proposal A6
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): Hedge => {
  const { budget, hedging, latency } = parts(options)
  return {
    use: (effect) =>
      Effect.withFiber((fiber) => {
        const clock = fiber.getRef(Clock.Clock)
        const now = clock.currentTimeMillisUnsafe()
        budget.deposit(now)
        const after = hedging.after(now, frameOf(fiber).deadline - now)
        const attempt = () =>
          Effect.suspend(() => {
            const since = clock.currentTimeMillisUnsafe()
            return Effect.onExitPrimitive(effect, (exit) => {
              const end = clock.currentTimeMillisUnsafe()
              if (exit._tag === "Success") latency.record(end - since)
              else {
                for (const reason of exit.cause.reasons) {
                  const hint = reason._tag === "Fail" ? hintOf(reason.error, end) : {}
                  if (hint.pushback === true) hedging.pushback(end, hint.retryAfterMs ?? 0)
                }
              }
              return undefined
            })
          })
        return after === undefined ? attempt() : hedged(attempt, after, (at) => hedging.may(at))
      }),
    stats: Effect.map(
      Clock.currentTimeMillis,
      (now) => ({ sent: hedging.sent, afterMs: hedging.after(now, Infinity) ?? 0 }),
    ),
  }
}

const parts = (options: Options) => {
  const latency = new Latency()
  const budget = options.budget ?? RetryBudget.make()
  const { target } = options
  const utilization = (now: number) => {
    if (target === undefined) return 0
    const { capacity, inUse } = target.stats(now)
    return inUse / capacity
  }
  const settings = hedgeSettings("Cannot make the hedge", options)
  return { budget, latency, hedging: new Hedging({ ...settings, budget, latency, utilization }) }
}
