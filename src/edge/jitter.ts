import { type Fiber, Random } from "effect"

/** Randomness for the jitter, from Effect's Random. */
export const randomOf = (fiber: Fiber.Fiber<unknown, unknown>): number =>
  fiber.getRef(Random.Random).nextDoubleUnsafe()

/** `Retry-After` in whole seconds. */
export const retryAfter = (ms: number, random: number): string =>
  String(Math.max(1, Math.ceil(ms * (1 + 0.2 * random) / 1000)))
