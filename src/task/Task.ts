/**
 * A task: an effect that runs as a named, supervised, observed unit.
 *
 * **Details** – *Bounded by* what starts it; *owned by* a scope, a group or its caller, and it
 * never outlives its owner silently; *seen in* `TaskTree`.
 *
 * @module
 */
import { Cause, Clock, Context, Effect, Exit, type Fiber, Option, Scope } from "effect"
import * as CancelReason from "./CancelReason.ts"
import type { Progress } from "./events.ts"
import { type Failure, handle, type Options, outcome, resolve, type Task } from "./handle.ts"
import type { TaskRecord } from "./record.ts"
import { CurrentScope, frameOf } from "./scope.ts"
import { defects, settled, type Started, startUnsafe, stop } from "./start.ts"
import { info, type TaskInfo } from "./TaskTree.ts"

export { cleanup } from "./cleanup.ts"
export { commit } from "./commit.ts"
export { forever } from "./forever.ts"
export { type Group, group } from "./group.ts"
export { Cancelled, CleanupAbandoned, type Failure, type Options, type Task } from "./handle.ts"
export { race } from "./race.ts"

/**
 * Options of {@link start}.
 *
 * @category models
 * @since 0.1.0
 */
export interface StartOptions extends Options {
  /**
   * Work of the scope alone: it has no parent, no deadline but its own, and no cancel reason above
   * it. For work that a request starts in a scope which outlives the request. Default false.
   */
  readonly detached?: boolean
}

/**
 * Starts a task that belongs to the current scope: when the scope closes, the task is cancelled
 * with `ParentEnded` (or with the reason of the scope's own cancel) and awaited.
 *
 * **Details** – the effect runs on the caller's stack until it first suspends, in a fiber, a cancel
 * scope and a resource `Scope` of its own. It inherits the deadline above it. It outlives neither
 * its scope nor the task that started it (unless `detached`). In a scope that has closed, and after
 * its deadline, it is cancelled without ever running. A task that is started outside of any other one,
 * as by a layer, is a background task: the drain of a service does not wait for it, nor for what is
 * below it; its scope ends it afterwards. A `detached` one is waited for. A failure that nobody waits for when it
 * happens is logged: at debug level, a defect as a warning.
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
  options?: StartOptions,
): Effect.Effect<Task<A, E>, never, Exclude<R, Scope.Scope> | Scope.Scope> =>
  Effect.uninterruptible(Effect.withFiber((fiber) => {
    const owner = Context.getUnsafe(fiber.context as Context.Context<Scope.Scope>, Scope.Scope)
    const detached = options?.detached === true
    const parent = detached ? undefined : frameOf(fiber).task as TaskRecord | undefined
    const ownerName = parent?.name ?? "scope"
    const started = startUnsafe(
      fiber,
      name,
      effect,
      { ...resolve(options), detached },
      undefined,
      owner.state._tag === "Closed" ? CancelReason.ParentEnded(ownerName) : undefined,
      // A deadline region above does not wait for it, so only the parent's deadline is enforced.
      parent?.scope.deadline ?? Infinity,
    )
    const record = started.record
    const task = handle(started)
    if (record.ended) {
      reportUnwatched(started, fiber.context)
      return Effect.succeed(task)
    }
    // A scope of its own inside the owner's, so that an ended task leaves nothing behind there.
    const own = Scope.forkUnsafe(owner)
    const context = fiber.context
    record.onSettled(() => {
      Scope.closeUnsafe(own, Exit.void)
      reportUnwatched(started, context)
    })
    if (parent !== undefined && parent.resources !== owner) parent.adopt(record)
    return Effect.as(Scope.addFinalizer(own, stop(record, ownerName)), task)
  }))

const reportUnwatched = (
  started: Started<unknown, unknown>,
  context: Context.Context<never>,
): void => {
  const { record } = started
  const exit = started.exit()
  if (record.watched || exit === undefined || exit._tag === "Success") return
  const dies = Cause.hasDies(exit.cause)
  if (!dies && record.outcome === "cancelled") return
  const message = `Task "${record.name}" failed, and nobody was waiting for it.`
  Effect.runForkWith(context)(
    dies ? Effect.logWarning(message, exit.cause) : Effect.logDebug(message, exit.cause),
  ).addObserver(() => {})
}

/**
 * Runs an effect as a task and returns its result.
 *
 * **Fails with** – the effect's own errors; {@link DeadlineExceeded} when its deadline passed;
 * {@link Cancelled} when somebody cancelled just this task; {@link CleanupAbandoned} when it was
 * cancelled and did not clean up in time. Defects of the cleanup stand beside these in the cause. A
 * task that ends with a {@link commit} which has begun keeps its value.
 *
 * **Interruption** – cancels the task and waits for its cleanup, at most its budget. Called in an
 * uninterruptible region, the task itself can still be cancelled, by its deadline or by its id.
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
  Effect.uninterruptibleMask((restore) =>
    Effect.withFiber((fiber) => {
      const started = startUnsafe(fiber, name, effect, resolve(options))
      const record = started.record
      if (record.ended) return outcome(started)
      return Effect.flatMap(
        Effect.onInterrupt(
          restore(settled(record)),
          () => Effect.flatMap(stop(record, nameOf(fiber)), () => defects(started)),
        ),
        () => outcome(started),
      )
    })
  )

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
      if (record.tree.observed(record)) {
        record.tree.emit(record, { _tag: "Progress", progress: value })
      }
    }
    return Effect.void
  })

const nameOf = (fiber: Fiber.Fiber<unknown, unknown>): string =>
  (fiber.getRef(CurrentScope).task as TaskRecord | undefined)?.name ?? "scope"
