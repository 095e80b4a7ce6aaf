/**
 * So many calls per time, exactly: a bucket that drains steadily, and refuses what would spill.
 *
 * @see ITU-T I.371, the generic cell rate algorithm, in its form as a continuous-state leaky bucket
 * @module
 */
import type { Duration } from "effect"
import { Mistake } from "../internal/mistake.ts"
import { durationMs } from "../internal/setting.ts"

/**
 * How much somebody may do.
 *
 * @category models
 * @since 0.1.0
 */
export interface Limit {
  /** Calls per `per`, spread evenly. A whole number from 1 to 1,000,000. */
  readonly requests: number
  /** A whole number of seconds, from one second to one day: `RateLimit-Policy` has no finer unit. */
  readonly per: Duration.Input
  /** Calls at once, after a pause. A whole number from 1 to `requests`. Default `requests`. */
  readonly burst?: number | undefined
}

/**
 * A {@link Limit} as whole numbers: each call fills in `cost`, each millisecond drains `gain`, and
 * `capacity` (`burst` calls) must not be exceeded.
 *
 * **Details** – the textbook's one number per caller is an instant, "all paid back at". A double
 * holds an instant of our time to 0.2 µs, so that seven calls a minute, 8,571.43 ms apart, drift and
 * the seventh is refused. A level and the time at which it was taken are small whole numbers
 * instead, and every result below is exact.
 *
 * @category models
 * @since 0.1.0
 */
export interface Rate {
  /** Calls per window. */
  readonly requests: number
  /** The window. */
  readonly perMs: number
  /** Calls at once. */
  readonly burst: number
  /** What one call fills in. */
  readonly cost: number
  /** What one millisecond drains. */
  readonly gain: number
  /** What may be in at once. */
  readonly capacity: number
}

/**
 * Checks a limit. Throws a `Mistake` with one sentence when it makes no sense.
 *
 * @category constructors
 * @since 0.1.0
 */
export const rate = (setting: string, limit: Limit): Rate => {
  const { burst = limit.requests, requests } = limit
  const perMs = durationMs(`${setting}.per`, limit.per)
  whole(`${setting}.requests`, requests, 1_000_000)
  whole(`${setting}.burst`, burst, requests)
  if (!(perMs >= 1000 && perMs <= 86_400_000 && perMs % 1000 === 0)) {
    throw new Mistake(
      `${setting}.per is ${perMs} ms, but it must be a whole number of seconds up to one day. ` +
        'Write a finer limit over a longer time: { requests: 10, per: "1 second", burst: 2 }.',
    )
  }
  const divisor = gcd(requests, perMs)
  const cost = perMs / divisor
  return { requests, perMs, burst, cost, gain: requests / divisor, capacity: burst * cost }
}

/**
 * The level after some time.
 *
 * @category operations
 * @since 0.1.0
 */
export const drained = (rate: Rate, level: number, elapsedMs: number): number =>
  Math.max(0, level - elapsedMs * rate.gain)

/**
 * Milliseconds until a call is admitted, 0 for at once. It is admitted then, and not a millisecond
 * before.
 *
 * @category operations
 * @since 0.1.0
 */
export const waitMs = (rate: Rate, level: number): number => {
  const above = level + rate.cost - rate.capacity
  return above <= 0 ? 0 : Math.ceil(above / rate.gain)
}

/**
 * Calls that are admitted at once.
 *
 * @category operations
 * @since 0.1.0
 */
export const available = (rate: Rate, level: number): number =>
  Math.max(0, Math.floor((rate.capacity - level) / rate.cost))

/**
 * Milliseconds until one more call is available than now; `undefined` when all of them are.
 *
 * @category operations
 * @since 0.1.0
 */
export const moreMs = (rate: Rate, level: number): number | undefined => {
  const next = available(rate, level) + 1
  return next > rate.burst
    ? undefined
    : Math.ceil((level + next * rate.cost - rate.capacity) / rate.gain)
}

/**
 * The level when another rate takes over: calls made stay made, but a lower rate never makes anybody
 * wait longer than one whole burst.
 *
 * @category operations
 * @since 0.1.0
 */
export const carried = (from: Rate, level: number, to: Rate): number =>
  from.cost === to.cost && level <= to.capacity
    ? level
    : Math.min(to.capacity, Math.ceil(level / from.cost * to.cost))

const whole = (setting: string, value: number, most: number): void => {
  if (Number.isSafeInteger(value) && value >= 1 && value <= most) return
  throw new Mistake(`${setting} is ${value}, but it must be a whole number from 1 to ${most}.`)
}

const gcd = (a: number, b: number): number => b === 0 ? a : gcd(b, a % b)
