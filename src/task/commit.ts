import { type Context, Effect, type Fiber } from "effect"
import { inTurn } from "./turn.ts"

/** The fibers that are inside a commit, and the interrupt that waits for its end. */
const shields = new WeakMap<object, { pending: (() => void) | undefined }>()

/** Interrupts a fiber of Weir: now, or right behind its commit. */
export const interrupt = (
  fiber: Fiber.Fiber<unknown, unknown>,
  by: number | undefined,
  annotations: Context.Context<never> | undefined,
): void => {
  const shield = shields.get(fiber)
  const send = () => fiber.interruptUnsafe(by, annotations)
  if (shield === undefined) inTurn(send)
  else if (shield.pending === undefined) shield.pending = send
}

/**
 * Runs the smallest step that must not be torn: to its end, and with its value.
 *
 * **Details** – like `Effect.uninterruptible`, and more: Effect drops the value of an
 * uninterruptible region whose fiber was interrupted meanwhile, so the caller of a step that has
 * been done is told that it was cancelled. Here a cancel by Weir (of the task, of a deadline region)
 * waits until one turn after the step: when the step was the last of its task or region, its
 * value is the result, late as it is. When it was not, what follows is cancelled.
 *
 * **Fails with** – the errors of the step.
 *
 * **Interruption** – waits for the step, whose time counts into the cleanup budget.
 *
 * @example A commit that beats its deadline
 * ```ts
 * import { Effect } from "effect"
 * import { Deadline, Task } from "@weir/runtime"
 * import { strictEqual } from "node:assert/strict"
 *
 * const step = Effect.as(Effect.sleep("30 millis"), "committed")
 * const program = Task.commit(step).pipe(Deadline.within("10 millis"))
 * strictEqual(await Effect.runPromise(program), "committed")
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const commit = <A, E, R>(step: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.uninterruptible(Effect.withFiber((fiber) => {
    if (shields.has(fiber)) return step
    const shield: { pending: (() => void) | undefined } = { pending: undefined }
    shields.set(fiber, shield)
    return Effect.onExitPrimitive(step, () => {
      shields.delete(fiber)
      const send = shield.pending
      if (send !== undefined) {
        Effect.runForkWith(fiber.context)(Effect.andThen(Effect.yieldNow, Effect.sync(send)))
          .addObserver(() => {})
      }
      return undefined
    })
  }))
