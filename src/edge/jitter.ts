import { type Fiber, Random } from "effect"

/** Randomness for the jitter, from Effect's Random. */
export const randomOf = (fiber: Fiber.Fiber<unknown, unknown>): number =>
  fiber.getRef(Random.Random).nextDoubleUnsafe()

/** Those who come back within so much time of each other are a herd to whoever counts in seconds. */
const herdMs = 1000

/**
 * The time over which those are spread who are told the same instant: as long again as it is away, but
 * a second at most; a fifth of it where that is more.
 */
const windowOf = (ms: number): number => Math.max(0.2 * ms, Math.min(ms, herdMs))

/** When to try again, in whole milliseconds: not before `ms`, spread by `random` in [0, 1). */
export const retryAfterMs = (ms: number, random: number): number =>
  Math.round(ms + random * windowOf(ms))

/**
 * The same as `Retry-After`, in whole seconds. To round up would undo the spread: so it is over the
 * whole seconds of the window, each as likely as the others.
 */
export const retryAfter = (ms: number, random: number): string =>
  String(Math.max(1, Math.ceil(ms / 1000)) + Math.floor(random * (1 + windowOf(ms) / 1000)))
