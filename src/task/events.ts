import type { CancelReason } from "./reason.ts"

/**
 * How a task ended: `cancelled` when it stopped because of an interrupt, `refused` when an admission
 * or a pool said no.
 *
 * @category models
 * @since 0.1.0
 */
export type Outcome = "completed" | "failed" | "cancelled" | "refused"

/**
 * What a task says about how far it is.
 *
 * @category models
 * @since 0.1.0
 */
export interface Progress {
  /** Steps done, in any unit. */
  readonly done: number
  /** Steps in all, if known. */
  readonly total: number | undefined
  /** What it is doing. */
  readonly note: string | undefined
}

/**
 * What happened to a task, without the fields that every event has.
 *
 * @category models
 * @since 0.1.0
 */
export type Happening =
  | { readonly _tag: "Started" }
  | { readonly _tag: "Waiting"; readonly on: string }
  | { readonly _tag: "Resumed" }
  | { readonly _tag: "Progress"; readonly progress: Progress }
  | { readonly _tag: "CancelRequested"; readonly reason: CancelReason }
  | { readonly _tag: "CleanupStarted"; readonly step: string }
  | { readonly _tag: "CleanupEnded"; readonly step: string; readonly failed: boolean }
  | { readonly _tag: "CleanupAbandoned"; readonly afterMs: number }
  | { readonly _tag: "Ended"; readonly outcome: Outcome }

/**
 * What every event has.
 *
 * @category models
 * @since 0.1.0
 */
export interface EventHead {
  /** Grows by one per event of the tree. */
  readonly seq: number
  /** When, in absolute milliseconds. */
  readonly at: number
  /** Id of the task. */
  readonly taskId: string
  /** Id of the task that owns it. */
  readonly parentId: string | undefined
  /** What the task does. */
  readonly name: string
  /** What the task is. */
  readonly kind: string
}

/** An event of one task. */
export type TreeEvent = Happening & EventHead

/** What a record tells its tree. */
export interface Ledger<in R> {
  remove(record: R, outcome: Outcome): void
  abandoned(record: R): void
  named(record: R, id: string): void
  observed(record: R): boolean
  emit(record: R, happening: Happening): void
}
