/**
 * Retries that cannot make it worse: jittered, within the deadline, from a budget, by one layer only.
 *
 * **Details** – *Bounded by* the number of attempts, the budget and the deadline; *owned by* the fiber
 * that retries; *seen in* the statistics of the `Dependency` that has one.
 *
 * @module
 */
import { Duration, Effect, Random, Schedule } from "effect"
import { durationMs } from "../internal/setting.ts"
import { Mistake } from "../internal/mistake.ts"
import { type Hint, hintOf } from "./hints.ts"
import { attemptsOf, retrying } from "./retrying.ts"
import type { RetryBudget } from "./RetryBudget.ts"

export type { Hint } from "./hints.ts"

/**
 * The waits of a jittered schedule.
 *
 * @category models
 * @since 0.1.0
 */
export interface Backoff {
  /** The first wait. Default 50 milliseconds. */
  readonly base?: Duration.Input | undefined
  /** Longest wait. Default 2 seconds. */
  readonly cap?: Duration.Input | undefined
}

const bounds = (backoff: Backoff | undefined): readonly [base: number, cap: number] => {
  const base = durationMs("The base of a retry", backoff?.base ?? 50)
  const cap = durationMs("The cap of a retry", backoff?.cap ?? 2000)
  if (base > 0 && cap >= base && cap < Infinity) return [base, cap]
  throw new Mistake(
    `A retry waits from ${base} to ${cap} ms. Use a positive base, and a finite cap of at least that.`,
  )
}

const jittered = (next: (previous: number, attempt: number, random: number) => number) =>
  Schedule.fromStep<unknown, Duration.Duration, never, never, never, never>(
    Effect.sync(() => {
      let previous = 0
      let attempt = 0
      return () =>
        Effect.map(Random.next, (random): [Duration.Duration, Duration.Duration] => {
          previous = next(previous, attempt++, random)
          const delay = Duration.millis(previous)
          return [delay, delay]
        })
    }),
  )

/**
 * Exponential back-off with full jitter: the n-th wait is anything between 0 and
 * `min(cap, base * 2^n)`. It causes the least work in all, and is the default of {@link retry}.
 *
 * **Details** – never ends by itself. Effect's `Schedule.jittered` moves a wait by a fifth only, so
 * that callers which failed together come back together.
 *
 * @see https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/
 * @category schedules
 * @since 0.1.0
 */
export const fullJitter = (backoff?: Backoff): Schedule.Schedule<Duration.Duration> => {
  const [base, cap] = bounds(backoff)
  return jittered((_, attempt, random) => random * Math.min(cap, base * 2 ** attempt))
}

/**
 * Back-off with decorrelated jitter: each wait is anything between `base` and three times the one
 * before, at most `cap`. It ends a little sooner than {@link fullJitter}, for a little more work.
 *
 * **Details** – never ends by itself.
 *
 * @category schedules
 * @since 0.1.0
 */
export const decorrelatedJitter = (backoff?: Backoff): Schedule.Schedule<Duration.Duration> => {
  const [base, cap] = bounds(backoff)
  return jittered((previous, _, random) =>
    Math.min(cap, base + random * Math.max(0, 3 * Math.max(base, previous) - base))
  )
}

/**
 * Options of {@link retry}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<E> {
  /** Said by whoever knows that doing it twice does no harm. Nothing else is retried. */
  readonly idempotent: true
  /** Calls in all, the first included. Default 3. */
  readonly attempts?: number | undefined
  /** The waits between them. Default {@link fullJitter}, from 50 ms to 2 s. */
  readonly schedule?: Schedule.Schedule<unknown, E> | undefined
  /** What retries are drawn from. Default: no budget; a `Dependency` has one. */
  readonly budget?: RetryBudget | undefined
  /** What an error says about trying again. Default {@link hint}. */
  readonly hint?: ((error: E) => Hint) | undefined
  /** How long the effect takes as a rule, to see whether a retry can end in time. Default 0. */
  readonly expected?: Duration.Input | undefined
  /** Longest wait: where an answer asks for more, its failure is passed on. Default 10 seconds. */
  readonly maxDelay?: Duration.Input | undefined
}

/**
 * What Weir knows of an error: a `Refused` of ours is never retried, one of another Weir service (a
 * typed client decodes it) by its reason and `retryAfterMs`; an `HttpClientError` by its
 * status, `Retry-After` (seconds or a date) and `x-should-retry`; any other error by its fields
 * `retryable: false` and `retryAfterMs`, if it has them.
 *
 * @category accessors
 * @since 0.1.0
 */
export const hint = (error: unknown, now: number): Hint => hintOf(error, now)

/**
 * Tries an idempotent effect again while that can still help.
 *
 * **Details** – after a typed failure it waits, and runs the effect again, only if all of this holds:
 * the error does not say that trying again is of no use; there are attempts left; nobody above
 * retries already; the wait, and the time the effect takes as a rule, end before the deadline; and
 * the budget has a retry, which is taken before the wait. `Retry-After` is waited for in full.
 * Defects and cancels are never retried.
 *
 * One layer of a task tree retries: within the effect every other `Retry` and every `Dependency` runs
 * its call once and passes the failure on. Three layers of three attempts are three calls, not 27.
 * Detached tasks, and actors that are asked, are trees of their own.
 *
 * **Fails with** – the error of the last attempt; where that was refused by something of ours, the
 * error of the one before it, which says more.
 *
 * **Interruption** – interrupts the attempt, or ends the wait.
 *
 * @example The third attempt succeeds
 * ```ts
 * import { Effect } from "effect"
 * import { Retry } from "@weir/runtime"
 * import { strictEqual } from "node:assert/strict"
 *
 * let calls = 0
 * const flaky = Effect.suspend(() => ++calls < 3 ? Effect.fail("not yet") : Effect.succeed(calls))
 * strictEqual(await Effect.runPromise(flaky.pipe(Retry.retry({ idempotent: true }))), 3)
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const retry = <E>(options: Options<E>): <A, R>(
  self: Effect.Effect<A, E, R>,
) => Effect.Effect<A, E, R> => {
  const { budget, hint } = options
  const attempts = attemptsOf("Retry.retry", options.attempts)
  const expected = durationMs("Retry.retry: expected", options.expected ?? 0)
  const rules = {
    attempts,
    budget,
    schedule: options.schedule ?? fullJitter(),
    maxDelayMs: durationMs("Retry.retry: maxDelay", options.maxDelay ?? 10_000),
    hint: hint ?? hintOf,
    expectedMs: () => expected,
  }
  return (self) => retrying(self, rules)
}
