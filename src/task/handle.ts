import { type Cause, Clock, type Duration, Effect, type Exit, Schema } from "effect"
import * as CancelReason from "./CancelReason.ts"
import type { DeadlineExceeded } from "./Deadline.ts"
import {
  defaultCleanupMs,
  millis,
  result,
  settled,
  type Started,
  type StartOptions,
} from "./start.ts"
import { info, type TaskInfo } from "./TaskTree.ts"

const CancelledFields = { task: Schema.String, why: Schema.String } as const

const CancelledBase: Schema.Class<
  Cancelled,
  Schema.TaggedStruct<"Cancelled", typeof CancelledFields>,
  Cause.YieldableError
> = Schema.TaggedError<Cancelled>()("Cancelled", CancelledFields)

/**
 * The task was cancelled; `task` is its name, `why` the formatted {@link CancelReason}.
 *
 * @category errors
 * @since 0.1.0
 */
export class Cancelled extends CancelledBase {
  /** One sentence. */
  override get message(): string {
    return `Task "${this.task}" was cancelled: ${this.why}.`
  }
}

const AbandonedFields = { task: Schema.String, afterMs: Schema.Number } as const

const CleanupAbandonedBase: Schema.Class<
  CleanupAbandoned,
  Schema.TaggedStruct<"CleanupAbandoned", typeof AbandonedFields>,
  Cause.YieldableError
> = Schema.TaggedError<CleanupAbandoned>()("CleanupAbandoned", AbandonedFields)

/**
 * The task was cancelled and its cleanup overran its budget. It is still listed in the task tree,
 * and slots that it holds come back only when it really ends.
 *
 * @category errors
 * @since 0.1.0
 */
export class CleanupAbandoned extends CleanupAbandonedBase {
  /** One sentence. */
  override get message(): string {
    return `Cleanup of task "${this.task}" was abandoned after ${this.afterMs} ms; ` +
      "it stays in the task tree until it ends. Look for a finalizer that waits without a timeout."
  }
}

/**
 * How a task can fail besides its own errors.
 *
 * @category errors
 * @since 0.1.0
 */
export type Failure = Cancelled | DeadlineExceeded | CleanupAbandoned

/**
 * A started task.
 *
 * @category models
 * @since 0.1.0
 */
export interface Task<out A, out E> {
  /** Unguessable. */
  readonly id: string
  /** Its name. */
  readonly name: string
  /** What it is doing now. */
  readonly info: Effect.Effect<TaskInfo>
  /**
   * Waits for its end and returns how it ended. After an abandoned cleanup it does not wait: it fails
   * with {@link CleanupAbandoned} until the task really ends.
   */
  readonly await: Effect.Effect<Exit.Exit<A, E | Failure>>
  /** Waits for its end and returns its value, or fails with its error. */
  readonly join: Effect.Effect<A, E | Failure>
  /**
   * Cancels it with that reason and waits for its cleanup, at most its budget. Does nothing to a
   * task that has ended. Interrupting this wait does not take the cancel back.
   */
  readonly cancel: (
    reason?: CancelReason.CancelReason,
  ) => Effect.Effect<void, CleanupAbandoned>
}

/**
 * Options of {@link start} and {@link run}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** What it is, for dumps and metrics; one of a few words, not a value. Default `task`. */
  readonly kind?: string
  /** Time it may take, counted from now. Default, and never more than: what is left above it. */
  readonly deadline?: Duration.Input
  /** Time its cleanup may take once it is cancelled. Default 5 seconds. */
  readonly cleanup?: Duration.Input
}

/** The options with every default filled in. */
export const resolve = (options: Options | undefined, kind = "task"): StartOptions => ({
  kind: options?.kind ?? kind,
  deadlineMs: millis(options?.deadline, Infinity),
  cleanupMs: millis(options?.cleanup, defaultCleanupMs),
  detached: false,
})

/** How a settled task ended, for its readers. */
export const outcome = <A, E>(started: Started<A, E>): Exit.Exit<A, E | Failure> =>
  result<A, E | Failure>(
    started,
    (record, reason) => new Cancelled({ task: record.name, why: CancelReason.format(reason) }),
    (record) => new CleanupAbandoned({ task: record.name, afterMs: record.cleanupMs }),
  )

/** The public handle of a started task. */
export const handle = <A, E>(started: Started<A, E>): Task<A, E> => {
  const { record } = started
  const awaited = Effect.suspend(() => {
    record.watched = true
    return record.ended || record.abandoned
      ? Effect.succeed(outcome(started))
      : Effect.map(settled(record), () => outcome(started))
  })
  return {
    get id() {
      return record.id
    },
    name: record.name,
    info: Effect.map(Clock.currentTimeMillis, (now) => info(record, now)),
    await: awaited,
    join: Effect.flatten(awaited),
    cancel: (reason = CancelReason.Requested("Task.cancel")) =>
      Effect.suspend(() => {
        record.cancel(reason)
        return Effect.flatMap(settled(record), () =>
          record.ended ? Effect.void : Effect.fail(
            new CleanupAbandoned({ task: record.name, afterMs: record.cleanupMs }),
          ))
      }),
  }
}
