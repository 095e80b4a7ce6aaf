import { Effect } from "effect"
import type { TaskRecord } from "./record.ts"
import { frameOf } from "./scope.ts"

/**
 * Names a step of cleanup, so that one can see it: which step runs, in which order they ran, and
 * which of them hangs.
 *
 * **Details** – what it runs, it runs as it is. While it runs, `cleanup` of the task's line in the
 * tree is its name; its beginning and its end are events (`CleanupStarted`, `CleanupEnded`), and the
 * warning about a cleanup that overran names it. Outside a task it does nothing of that.
 *
 * **Fails with** – the errors of the step.
 *
 * **Interruption** – that of the step, which a finalizer makes uninterruptible.
 *
 * @example A file that is closed
 * ```ts
 * import { Effect } from "effect"
 * import { Task, TaskTree } from "@weir/runtime"
 * import { deepStrictEqual } from "node:assert/strict"
 *
 * const work = Effect.acquireRelease(
 *   Effect.succeed("a file"),
 *   () => Task.cleanup("close the file", Effect.void),
 * )
 * const tree = TaskTree.makeUnsafe()
 * const steps: Array<string> = []
 * tree.unsafe.listen((event) => {
 *   if (event._tag === "CleanupStarted") steps.push(event.step)
 * })
 * await Effect.runPromise(Task.run("read", work).pipe(Effect.provideService(TaskTree.TaskTree, tree)))
 * deepStrictEqual(steps, ["close the file"])
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const cleanup = <A, E, R>(
  name: string,
  step: Effect.Effect<A, E, R>,
): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) => {
    const record = frameOf(fiber).task as TaskRecord | undefined
    if (record === undefined) return step
    record.beginCleanup(name)
    return Effect.onExitPrimitive(step, (exit) => {
      record.endCleanup(name, exit._tag === "Failure")
      return undefined
    })
  })
