/**
 * The share of calls that may be retries or hedges: what is left of it decides, not a count per call.
 *
 * @module
 */
import type { Duration } from "effect"
import { durationMs } from "../internal/setting.ts"
import { Mistake } from "../internal/mistake.ts"

/**
 * A budget of retries. Synchronous; `now` in absolute milliseconds.
 *
 * **Details** – one per dependency, shared by all its calls, by retries and hedges alike.
 *
 * @category models
 * @since 0.1.0
 */
export interface RetryBudget {
  /** A call was made, not counting its retries. */
  readonly deposit: (now: number) => void
  /**
   * Takes one retry, or says no. Called when a retry is scheduled, before it waits: retries that
   * were charged when they are sent would all pass while they wait.
   */
  readonly withdraw: (now: number) => boolean
  /** Retries that are left; a fraction when calls have paid for a part of one. */
  readonly balance: (now: number) => number
}

/**
 * Options of {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /**
   * Retries per call. Default 0.2: under total failure a dependency gets 1.2 times its load, where
   * three attempts of every call would be 3 times. From 0 to 1.
   */
  readonly ratio?: number | undefined
  /** Retries in any case within `timeToLive`, so that a service with little traffic retries at all. Default 3. */
  readonly minimum?: number | undefined
  /** How long a call, and a retry, is counted. Default 10 seconds. */
  readonly timeToLive?: Duration.Input | undefined
}

const buckets = 10

/**
 * Makes a budget.
 *
 * **Details** – each call of the last `timeToLive` is worth `ratio` of a retry, on top of `minimum`;
 * each retry of that time costs one. Exact to a tenth of `timeToLive`. Ten buckets, whatever the
 * load.
 *
 * @example One failure in a thousand is retried, a thousand are not
 * ```ts
 * import { RetryBudget } from "@weir/runtime"
 * import { strictEqual } from "node:assert/strict"
 *
 * const budget = RetryBudget.make()
 * for (let call = 0; call < 1000; call++) budget.deposit(0)
 * let retries = 0
 * for (let failure = 0; failure < 1000; failure++) if (budget.withdraw(0)) retries++
 * strictEqual(retries, 203)
 * ```
 *
 * @see the retry budgets of Finagle, Linkerd and Tower
 * @category constructors
 * @since 0.1.0
 */
export const make = (options?: Options): RetryBudget => new Budget(options ?? {})

class Budget implements RetryBudget {
  readonly #ratio: number
  readonly #minimum: number
  readonly #widthMs: number
  readonly #deposits = new Float64Array(buckets)
  readonly #withdrawals = new Float64Array(buckets)
  #deposited = 0
  #withdrawn = 0
  #at: number | undefined = undefined

  constructor(options: Options) {
    this.#ratio = options.ratio ?? 0.2
    this.#minimum = options.minimum ?? 3
    if (!(this.#ratio >= 0 && this.#ratio <= 1)) {
      throw new Mistake(
        `Cannot make the retry budget: ratio is ${this.#ratio}. Use a number from 0 to 1, such as 0.2.`,
      )
    }
    if (!(this.#minimum >= 0 && this.#minimum < Infinity)) {
      throw new Mistake(
        `Cannot make the retry budget: minimum is ${this.#minimum}. Use a number of at least 0.`,
      )
    }
    const ttl = durationMs("Cannot make the retry budget: timeToLive", options.timeToLive ?? 10_000)
    if (!(ttl > 0 && ttl < Infinity)) {
      throw new Mistake("Cannot make the retry budget: timeToLive is not a positive duration.")
    }
    this.#widthMs = ttl / buckets
  }

  deposit(now: number): void {
    this.#deposits[this.#roll(now)]!++
    this.#deposited++
  }

  withdraw(now: number): boolean {
    if (this.balance(now) < 1) return false
    this.#withdrawals[this.#roll(now)]!++
    this.#withdrawn++
    return true
  }

  balance(now: number): number {
    this.#roll(now)
    return Math.max(0, this.#minimum + this.#ratio * this.#deposited - this.#withdrawn)
  }

  /** Forgets what has become too old; the bucket of now. */
  #roll(now: number): number {
    const at = Math.floor(now / this.#widthMs)
    const before = this.#at ?? at
    if (at - before >= buckets) {
      this.#deposits.fill(0)
      this.#withdrawals.fill(0)
      this.#deposited = this.#withdrawn = 0
    } else {
      for (let i = before + 1; i <= at; i++) {
        const old = i % buckets
        this.#deposited -= this.#deposits[old]!
        this.#withdrawn -= this.#withdrawals[old]!
        this.#deposits[old] = this.#withdrawals[old] = 0
      }
    }
    this.#at = Math.max(at, before)
    return this.#at % buckets
  }
}
