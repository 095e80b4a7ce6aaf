/**
 * The life of a program's tasks: as lines in the terminal, and as a picture.
 *
 * **Details** – built on the events of the `TaskTree`. *Bounded by* 10,000 events in a picture; lines
 * keep nothing but the live tasks; *owned by* the scope of its layer.
 *
 * @module
 */
import { Console, Effect, Layer } from "effect"
import { type TaskEvent, TaskTree } from "../task/TaskTree.ts"
import { Timeline } from "./timeline.ts"
import { waterfall } from "./waterfall.ts"

/**
 * The events as lines: one for each task that starts, waits, is cancelled, cleans up or ends,
 * indented by its place in the tree. Times are milliseconds since the first event.
 *
 * @example Two tasks
 * ```ts
 * import { Effect } from "effect"
 * import { Task, TaskTree, Trace, VirtualClock } from "@weir/runtime"
 * import { deepStrictEqual } from "node:assert/strict"
 *
 * const tree = TaskTree.makeUnsafe()
 * const events: Array<TaskTree.TaskEvent> = []
 * tree.unsafe.listen((event) => events.push(event))
 * const program = Task.run("checkout", Task.run("pay", Effect.sleep("20 millis")))
 * await program.pipe(
 *   Effect.provideService(TaskTree.TaskTree, tree),
 *   Effect.provide(VirtualClock.layer),
 *   Effect.runPromise,
 * )
 * deepStrictEqual(Trace.lines(events), [
 *   "     0 ms  ┌ checkout",
 *   "     0 ms  │ ┌ pay",
 *   "    20 ms  │ └ pay completed after 20 ms",
 *   "    20 ms  └ checkout completed after 20 ms",
 * ])
 * ```
 *
 * @category rendering
 * @since 0.1.0
 */
export const lines = (events: Iterable<TaskEvent>): ReadonlyArray<string> => {
  const timeline = new Timeline()
  return Array.from(events, (event) => timeline.push(event)).filter((line) => line !== undefined)
}

/**
 * The events as a picture in SVG: a row for each task and for each named step of its cleanup, time
 * from left to right. Needs nothing else to be seen, and follows the light or dark theme.
 *
 * @category rendering
 * @since 0.1.0
 */
export const svg = (events: Iterable<TaskEvent>): string => waterfall(Array.from(events))

/**
 * Options of {@link layer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Where `--trace` and `--svg FILE` are looked for. Default: the arguments of the program. */
  readonly args?: ReadonlyArray<string>
}

const most = 10_000

/**
 * Shows the tasks of the program that it is provided to, if the program was asked to.
 *
 * **Details** – with `--trace` among the arguments, each event of the task tree in force becomes a
 * line on standard error, at once, so that standard output stays what it is. With `--svg FILE` the
 * first 10,000 events become a picture in that file when the layer closes; Deno wants
 * `--allow-write=FILE` for it. Without either it does nothing. In a service it belongs to
 * `resources`: there it sees the service's own tree.
 *
 * **Fails with** – nothing. What is wrong with `--svg` is told on standard error, and the program
 * runs without it.
 *
 * **Interruption** – does not wait.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options = {}): Layer.Layer<never> =>
  Layer.effectDiscard(Effect.gen(function* () {
    const args = options.args ?? Deno.args
    const tree = (yield* TaskTree).unsafe
    const terminal = yield* Console.Console
    if (args.includes("--svg")) {
      const file = args[args.indexOf("--svg") + 1]
      const kept: Array<TaskEvent> = []
      let dropped = 0
      const wrong = yield* save(file, "")
      if (wrong !== undefined) terminal.error(wrong)
      else {
        yield* Effect.addFinalizer(() =>
          Effect.map(Effect.suspend(() => save(file, waterfall(kept, dropped))), (failed) => {
            if (failed !== undefined) terminal.error(failed)
          })
        )
        yield* listening(tree, (event) => {
          if (kept.length < most) kept.push(event)
          else dropped++
        })
      }
    }
    if (args.includes("--trace")) {
      const timeline = new Timeline()
      yield* listening(tree, (event) => {
        const line = timeline.push(event)
        if (line !== undefined) terminal.error(line)
      })
    }
  }))

const listening = (tree: TaskTree["unsafe"], listener: (event: TaskEvent) => void) =>
  Effect.acquireRelease(
    Effect.sync(() => tree.listen(listener)),
    (stop) => Effect.sync(stop),
  )

/** Writes the file, or says why not. */
const save = (file: string | undefined, text: string): Effect.Effect<string | undefined> =>
  file === undefined || file.startsWith("--")
    ? Effect.succeed("No picture: --svg wants the name of a file, as in --svg trace.svg.")
    : Effect.promise(() =>
      Deno.writeTextFile(file, text).then(
        () => undefined,
        (error: unknown) =>
          error instanceof Deno.errors.NotCapable
            ? `No picture: Deno may not write ${file}. Say --allow-write=${file} after "deno run".`
            : `No picture: cannot write ${file}: ${
              error instanceof Error ? error.message : error
            }.`,
      )
    )
