/**
 * The live tasks of a service: a weakly consistent dump, and a stream of what happens to them.
 *
 * **Details** – *Bounded by* the admission and pools that start tasks; *owned by* the service (or
 * the process, outside one); *seen in* `/tasks`, `weir_tasks_live` and `weir_tasks_total`.
 *
 * @module
 */
import { Clock, Context, Effect, Option, Queue, Stream } from "effect"
import type { CancelReason } from "./CancelReason.ts"
import type { EventHead, Happening, Outcome, Progress } from "./events.ts"
import type { TaskRecord } from "./record.ts"
import { Tree } from "./tree.ts"

export type { EventHead, Happening, Outcome, Progress } from "./events.ts"

/**
 * What a live task is doing. A task that has ended is not listed.
 *
 * - `waiting`: for a bounded thing, named in `waitingOn`.
 * - `cancelling`: cancelled, its cleanup runs.
 * - `abandoned`: its cleanup overran; it is listed until it really ends.
 *
 * @category models
 * @since 0.1.0
 */
export type State = "running" | "waiting" | "cancelling" | "abandoned" | "ended"

/**
 * One line of the dump. Instants are absolute milliseconds, `undefined` means "none".
 *
 * @category models
 * @since 0.1.0
 */
export interface TaskInfo {
  /** Unguessable. */
  readonly id: string
  /** What it does, such as `stock.look`. */
  readonly name: string
  /** What it is, such as `request` or `task`. */
  readonly kind: string
  /** Id of the task that owns it. */
  readonly parentId: string | undefined
  /** What it is doing. */
  readonly state: State
  /** When it started. */
  readonly startedAt: number
  /** How old it is, in milliseconds. */
  readonly ageMs: number
  /** By when it must be done. */
  readonly deadline: number | undefined
  /** The bounded thing it waits for. */
  readonly waitingOn: string | undefined
  /** The step of its cleanup that runs, if it has a name: see `Task.cleanup`. */
  readonly cleanup: string | undefined
  /** How far it says it is. */
  readonly progress: Progress | undefined
  /** Why it was cancelled, if it was. */
  readonly cancelReason: CancelReason | undefined
  /** For how long its cancel has been pending, in milliseconds. */
  readonly cancelPendingMs: number | undefined
}

/**
 * One event of one task. `seq` grows by one per event of the tree, so that a reader sees a gap
 * when its buffer had to drop something.
 *
 * @category models
 * @since 0.1.0
 */
export type TaskEvent = Happening & EventHead

/**
 * The service: every method is bounded and never waits unless it says so.
 *
 * @category models
 * @since 0.1.0
 */
export interface TaskTree {
  /** Every live task, oldest first. */
  readonly dump: Effect.Effect<ReadonlyArray<TaskInfo>>
  /** The live task of that id. */
  readonly find: (id: string) => Effect.Effect<Option.Option<TaskInfo>>
  /**
   * What happens from now on. A subscriber that falls more than `capacity` (256) events behind
   * loses the oldest ones and sees a gap in `seq`.
   */
  readonly events: (options?: { readonly capacity?: number }) => Stream.Stream<TaskEvent>
  /** Cancels the task of that id; false when no such task is live. Does not wait for its end. */
  readonly cancel: (id: string, reason: CancelReason) => Effect.Effect<boolean>
  /** Cancels every live task; returns how many. Does not wait for their end. */
  readonly cancelAll: (reason: CancelReason) => Effect.Effect<number>
  /** Waits, interruptibly, until no task is live. */
  readonly awaitEmpty: Effect.Effect<void>
  /**
   * Waits, interruptibly, until no task is live but background ones: those that were started outside
   * of any other task and not `detached`, such as a poller that a layer starts, and all below them.
   */
  readonly awaitIdle: Effect.Effect<void>
  /** Live tasks now. */
  readonly size: Effect.Effect<number>
  /** Counts since the tree was made, by kind: started, ended by outcome. */
  readonly counts: Effect.Effect<TaskCounts>
  /** The synchronous core, for the edge and for metrics. */
  readonly unsafe: Tree
}

/**
 * Counts since the tree was made. For every kind, at every instant, started = Σ ended + live.
 *
 * @category models
 * @since 0.1.0
 */
export interface TaskCounts {
  /** Tasks started, by kind. */
  readonly started: Readonly<Record<string, number>>
  /** Tasks ended, by kind and outcome. */
  readonly ended: Readonly<Record<string, Readonly<Record<Outcome, number>>>>
  /** Tasks whose cleanup overran its budget. */
  readonly abandoned: number
}

/**
 * Makes an empty tree.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeUnsafe = (): TaskTree => {
  const tree = new Tree()
  return {
    dump: Effect.map(
      Clock.currentTimeMillis,
      (now) => Array.from(tree.live, (record) => info(record, now)),
    ),
    find: (id) =>
      Effect.map(
        Clock.currentTimeMillis,
        (now) => Option.map(Option.fromUndefinedOr(tree.find(id)), (record) => info(record, now)),
      ),
    events: (options) =>
      Stream.callback<TaskEvent>((queue) =>
        Effect.acquireRelease(
          Effect.sync(() => tree.listen((event) => Queue.offerUnsafe(queue, event))),
          (stop) => Effect.sync(stop),
        ), { bufferSize: options?.capacity ?? 256, strategy: "sliding" }),
    cancel: (id, reason) => Effect.sync(() => tree.find(id)?.cancel(reason) ?? false),
    cancelAll: (reason) =>
      Effect.sync(() => {
        let count = 0
        for (const record of Array.from(tree.live)) if (record.cancel(reason)) count++
        return count
      }),
    awaitEmpty: Effect.callback<void>((resume) => {
      const stop = tree.onEmpty(() => resume(Effect.void))
      return Effect.sync(stop)
    }),
    awaitIdle: Effect.callback<void>((resume) => {
      const stop = tree.onIdle(() => resume(Effect.void))
      return Effect.sync(stop)
    }),
    size: Effect.sync(() => tree.live.size),
    counts: Effect.sync(() => ({
      started: Object.fromEntries(tree.started),
      ended: Object.fromEntries(Array.from(tree.ended, ([kind, counts]) => [kind, { ...counts }])),
      abandoned: tree.abandonedCount,
    })),
    unsafe: tree,
  }
}

/**
 * The tree in force. The default is one per process; a service provides its own.
 *
 * @category services
 * @since 0.1.0
 */
export const TaskTree: Context.Reference<TaskTree> = Context.Reference<TaskTree>(
  "weir/task/TaskTree",
  { defaultValue: makeUnsafe },
)

/** The public picture of a record. */
export const info = (record: TaskRecord, now: number): TaskInfo => ({
  id: record.id,
  name: record.name,
  kind: record.kind,
  parentId: record.parent?.id,
  state: record.state,
  startedAt: record.startedAt,
  ageMs: now - record.startedAt,
  deadline: record.scope.limit === Infinity ? undefined : record.scope.limit,
  waitingOn: record.waitingOn,
  cleanup: record.cleanup,
  progress: record.progress,
  cancelReason: record.scope.effectiveReason(),
  cancelPendingMs: record.cancelledAt < 0 ? undefined : now - record.cancelledAt,
})
