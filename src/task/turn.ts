import { Cause, type Context, Effect, type Fiber } from "effect"

/*
 * Starting, cancelling and ending tasks is synchronous, and one of these causes the next one: a
 * thousand nested tasks would need a thousand times the stack. Two measures keep it flat.
 */

const queue: Array<() => void> = []
let draining = false

/**
 * Runs a callback now, or, when called from within such a callback, after it: callbacks never nest.
 * All of them have run when the outermost call returns. What one throws does not reach the others.
 */
export const inTurn = (job: () => void): void => {
  if (draining) {
    queue.push(job)
    return
  }
  draining = true
  try {
    attempt(job)
    for (let i = 0; i < queue.length; i++) attempt(queue[i]!)
  } finally {
    queue.length = 0
    draining = false
  }
}

/** Runs a callback that must not break its caller; a defect is logged. False when it threw. */
export const attempt = (job: () => void): boolean => {
  try {
    job()
    return true
  } catch (defect) {
    Effect.runFork(Effect.logError("Bug: a task callback threw.", Cause.die(defect)))
      .addObserver(() => {})
    return false
  }
}

/** How many tasks may start inside one another on one stack. */
const maxDepth = 64
let depth = 0

/** Puts off the effect when the stack is deep already. */
export const shallow = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  depth < maxDepth ? effect : Effect.flatMap(Effect.yieldNow, () => effect)

/**
 * Starts a root fiber on the caller's stack. One that is uninterruptible as a whole keeps its exit:
 * at the end of an uninterruptible region, an interrupt takes the place of it.
 */
export const fork = <A, E>(
  context: Context.Context<never>,
  effect: Effect.Effect<A, E>,
  uninterruptible = false,
): Fiber.Fiber<A, E> => {
  depth++
  try {
    return Effect.runForkWith(context)(effect, uninterruptible ? { uninterruptible } : undefined)
  } finally {
    depth--
  }
}
