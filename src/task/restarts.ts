import { Cause, Context, Duration, Effect, Pull, Schedule } from "effect"
import { Mistake } from "../internal/mistake.ts"

/**
 * How often something that keeps failing is started again, and how long it waits before.
 *
 * @category models
 * @since 0.1.0
 */
export interface RestartPolicy {
  /** Restarts allowed within the period; `Infinity` for no limit, 0 for none at all. */
  readonly intensity: number
  /** Length of the sliding period, in milliseconds. */
  readonly periodMs: number
  /** The waits before the restarts; none when `undefined`. It gives up where the schedule ends. */
  readonly backoff: Schedule.Schedule<unknown, Cause.Cause<unknown>> | undefined
  /** After how much quiet the back-off begins anew, in milliseconds. */
  readonly resetAfterMs: number | undefined
}

/**
 * Options of {@link restart}.
 *
 * @category models
 * @since 0.1.0
 */
export interface RestartOptions {
  /** Restarts allowed within the period: an integer of at least 0, or `Infinity`. Default 3. */
  readonly intensity?: number
  /** Length of the sliding period. Default 5 seconds. */
  readonly period?: Duration.Input
  /**
   * The waits before the restarts, stepped with the cause of each failure. Where it ends, there is
   * no further restart. It must not suspend. Default: no waits.
   */
  readonly backoff?: Schedule.Schedule<unknown, Cause.Cause<unknown>>
  /**
   * The back-off begins anew after a run without failure of at least this length, its own wait not
   * counted. Default: the period, or the last wait if that was longer.
   */
  readonly resetAfter?: Duration.Input
}

/** Makes a policy; throws a {@link Mistake} when an option is out of its range. */
export const restart = (options?: RestartOptions): RestartPolicy => {
  const intensity = options?.intensity ?? 3
  const periodMs = millis(options?.period ?? "5 seconds")
  const resetAfterMs = options?.resetAfter === undefined ? undefined : millis(options.resetAfter)
  if (intensity !== Infinity && (!Number.isSafeInteger(intensity) || intensity < 0)) {
    throw new Mistake(
      `Cannot make a restart policy: intensity is ${intensity}. Use an integer of at least 0.`,
    )
  }
  if (!(periodMs > 0)) {
    throw new Mistake("Cannot make a restart policy: period is not a positive duration.")
  }
  if (resetAfterMs !== undefined && !(resetAfterMs >= 0)) {
    throw new Mistake("Cannot make a restart policy: resetAfter is not a duration.")
  }
  return { intensity, periodMs, backoff: options?.backoff, resetAfterMs }
}

const millis = (input: Duration.Input): number => Duration.toMillis(Duration.fromInputUnsafe(input))

/** 3 restarts within 5 seconds, without waits. */
export const defaultRestart: RestartPolicy = restart()

/**
 * Counts failures in a sliding window: the one that exceeds `intensity` exhausts it. A failure counts
 * until it is older than the period. Holds at most `intensity` + 1 instants.
 */
export class RestartBudget {
  readonly intensity: number
  readonly periodMs: number
  private readonly failures: Array<number> = []

  constructor(intensity: number, periodMs: number) {
    this.intensity = intensity
    this.periodMs = periodMs
  }

  /** Counts a failure at that instant (milliseconds, never decreasing). */
  record(now: number): "restart" | "exhausted" {
    if (this.intensity === Infinity) return "restart"
    const { failures } = this
    const oldest = now - this.periodMs
    let aged = 0
    while (aged < failures.length && failures[aged]! < oldest) aged++
    if (aged > 0) failures.splice(0, aged)
    failures.push(now)
    if (failures.length <= this.intensity) return "restart"
    if (failures.length > this.intensity + 1) failures.shift()
    return "exhausted"
  }
}

/** What to do about a failure. */
export type Verdict =
  | {
    readonly _tag: "Restart"
    /** Its number since the last quiet; the first is 1. */
    readonly attempt: number
    readonly delayMs: number
  }
  | {
    readonly _tag: "Exhausted"
    /** How many restarts have not helped; the failures are one more. */
    readonly restarts: number
    readonly withinMs: number
  }

type Step = (now: number, cause: Cause.Cause<unknown>) => Pull.Pull<
  [unknown, Duration.Duration],
  never,
  unknown
>

/** A policy at work: one for each thing that restarts. Synchronous; needs no fiber. */
export class Restarts {
  private readonly policy: RestartPolicy
  private readonly budget: RestartBudget
  private readonly context: Context.Context<never>
  private attempts = 0
  private firstAt = 0
  /** When the latest restart was due, and how long it had waited. */
  private dueAt = 0
  private delayMs = 0
  private step: Step | undefined

  /** `context` is what the schedule runs in: its `Random` makes the jitter, its logger tells of bugs. */
  constructor(
    policy: RestartPolicy,
    context: Context.Context<never> = Context.empty(),
    budget: RestartBudget = new RestartBudget(policy.intensity, policy.periodMs),
  ) {
    this.policy = policy
    this.context = context
    this.budget = budget
  }

  /** Counts a failure at `now` (absolute milliseconds) and says what to do. */
  crashed(now: number, cause: Cause.Cause<unknown> = Cause.empty): Verdict {
    const quiet = this.policy.resetAfterMs ?? Math.max(this.policy.periodMs, this.delayMs)
    if (this.attempts === 0 || now - this.dueAt >= quiet) {
      this.attempts = 0
      this.firstAt = now
      this.step = undefined
    }
    if (this.budget.record(now) === "exhausted") {
      return {
        _tag: "Exhausted",
        restarts: this.budget.intensity,
        withinMs: this.budget.periodMs,
      }
    }
    const delayMs = this.nextDelay(now, cause)
    if (delayMs === undefined) {
      return { _tag: "Exhausted", restarts: this.attempts, withinMs: now - this.firstAt }
    }
    this.attempts++
    this.delayMs = delayMs
    this.dueAt = now + delayMs
    return { _tag: "Restart", attempt: this.attempts, delayMs }
  }

  /** The next wait of the schedule; `undefined` when it is over. */
  private nextDelay(now: number, cause: Cause.Cause<unknown>): number | undefined {
    const { backoff } = this.policy
    if (backoff === undefined) return 0
    this.step ??= this.run(Schedule.toStep(backoff))
    const pulled = this.step === undefined ? undefined : this.run(this.step(now, cause))
    return pulled === undefined ? undefined : Duration.toMillis(pulled[1])
  }

  /** Runs a part of the schedule; one that is broken must not restart something without a wait. */
  private run<A, E>(effect: Effect.Effect<A, E>): A | undefined {
    const fiber = Effect.runForkWith(this.context)(effect)
    const exit = fiber.pollUnsafe()
    if (exit?._tag === "Success") return exit.value
    if (exit !== undefined && Pull.isDoneCause(exit.cause)) return undefined
    if (exit === undefined) fiber.interruptUnsafe()
    Effect.runForkWith(this.context)(Effect.logError(
      exit === undefined
        ? "The back-off schedule suspended, which it must not. There is no restart."
        : "Bug: the back-off schedule failed. There is no restart.",
      ...(exit === undefined ? [] : [exit.cause]),
    )).addObserver(() => {})
    return undefined
  }
}
