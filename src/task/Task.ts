/**
 * A task: an effect that runs as a named, supervised, observed unit.
 *
 * **Details** – *Bounded by* what starts it; *owned by* a scope, a group or its caller, and it
 * never outlives its owner silently; *seen in* `TaskTree`.
 *
 * @module
 */
import { Clock, Effect, Exit, type Fiber, Option, Scope } from "effect"
import { type Failure, handle, type Options, outcome, resolve, type Task } from "./handle.ts"
import type { Progress, TaskRecord } from "./record.ts"
import { CurrentScope } from "./scope.ts"
import { settled, startUnsafe, stop } from "./start.ts"
import { info, type TaskInfo } from "./TaskTree.ts"

export { type Group, group, race } from "./group.ts"
export { Cancelled, CleanupAbandoned, type Failure, type Options, type Task } from "./handle.ts"

/**
 * Starts a task that belongs to the current scope: when the scope closes, the task is cancelled
 * with `ParentEnded` (or with the reason of the scope's own cancel) and awaited.
 *
 * **Details** – the effect runs on the caller's stack until it first suspends, in a fiber, a cancel
 * scope and a resource `Scope` of its own. It inherits the deadline above it.
 *
 * **Fails with** – nothing; how the task ends is told by {@link Task.await} and {@link Task.join}.
 *
 * **Interruption** – does not wait. The task is stopped by its scope, not by its starter's fiber.
 *
 * @category constructors
 * @since 0.1.0
 */
export const start = <A, E, R>(
  name: string,
  effect: Effect.Effect<A, E, R>,
  options?: Options,
): Effect.Effect<Task<A, E>, never, Exclude<R, Scope.Scope> | Scope.Scope> =>
  Effect.uninterruptible(Effect.flatMap(Effect.scope, (owner) =>
    Effect.withFiber((fiber) => {
      const started = startUnsafe(fiber, name, effect, resolve(options))
      if (started.record.outcome !== undefined) return Effect.succeed(handle(started))
      // A scope of its own inside the owner's, so that an ended task leaves nothing behind there.
      return Effect.flatMap(Scope.fork(owner), (own) => {
        started.record.onSettled(() => {
          Effect.runForkWith(fiber.context)(Scope.close(own, Exit.void)).addObserver(() => {})
        })
        return Effect.as(
          Scope.addFinalizer(
            own,
            stop(
              started.record,
              fiber.getRef(CurrentScope).task === undefined ? "scope" : nameOf(fiber),
            ),
          ),
          handle(started),
        )
      })
    })))

/**
 * Runs an effect as a task and returns its result.
 *
 * **Fails with** – the effect's own errors; {@link DeadlineExceeded} when its deadline passed;
 * {@link Cancelled} when somebody cancelled just this task; {@link CleanupAbandoned} when it was
 * cancelled and did not clean up in time.
 *
 * **Interruption** – cancels the task and waits for its cleanup, at most its budget.
 *
 * @example A bounded step with a name
 * ```ts
 * import { Effect } from "effect"
 * import { Task } from "@weir/runtime"
 * import { strictEqual } from "node:assert/strict"
 *
 * const program = Task.run("answer", Effect.succeed(42), { deadline: "1 second" })
 * strictEqual(await Effect.runPromise(program), 42)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const run = <A, E, R>(
  name: string,
  effect: Effect.Effect<A, E, R>,
  options?: Options,
): Effect.Effect<A, E | Failure, Exclude<R, Scope.Scope>> =>
  Effect.withFiber((fiber) => {
    const started = startUnsafe(fiber, name, effect, resolve(options))
    if (started.record.outcome !== undefined) return outcome(started)
    return Effect.onInterrupt(
      Effect.flatMap(settled(started.record), () => outcome(started)),
      () => stop(started.record, nameOf(fiber)),
    )
  })

/**
 * The task that the running effect belongs to.
 *
 * **Fails with** – nothing; `None` outside any task.
 *
 * **Interruption** – does not wait.
 *
 * @category accessors
 * @since 0.1.0
 */
export const current: Effect.Effect<Option.Option<TaskInfo>> = Effect.withFiber((fiber) => {
  const record = fiber.getRef(CurrentScope).task as TaskRecord | undefined
  const now = fiber.getRef(Clock.Clock).currentTimeMillisUnsafe()
  return Effect.succeed(record === undefined ? Option.none() : Option.some(info(record, now)))
})

/**
 * Says how far the current task is; does nothing outside a task.
 *
 * **Details** – `done` and `total` are counts in any unit; the last call wins. Seen in the task
 * tree, at `GET /tasks/:id` and as an event.
 *
 * **Fails with** – nothing.
 *
 * **Interruption** – does not wait.
 *
 * @category operations
 * @since 0.1.0
 */
export const progress = (
  step: { readonly done: number; readonly total?: number; readonly note?: string },
): Effect.Effect<void> =>
  Effect.withFiber((fiber) => {
    const record = fiber.getRef(CurrentScope).task as TaskRecord | undefined
    if (record !== undefined) {
      const value: Progress = { done: step.done, total: step.total, note: step.note }
      record.progress = value
      record.tree.emit(record, { _tag: "Progress", progress: value })
    }
    return Effect.void
  })

const nameOf = (fiber: Fiber.Fiber<unknown, unknown>): string =>
  (fiber.getRef(CurrentScope).task as TaskRecord | undefined)?.name ?? "scope"
