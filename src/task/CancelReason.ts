/**
 * Who cancelled, and why: readable in every finalizer below the cancelled work.
 *
 * @module
 */
import { Context, Effect, Option } from "effect"
import type { CancelReason } from "./reason.ts"
import { CurrentScope } from "./scope.ts"

export type { CancelReason } from "./reason.ts"

/**
 * The client went away.
 *
 * @category constructors
 * @since 0.1.0
 */
export const ClientAbort: CancelReason = { _tag: "ClientAbort" }

/**
 * The service stops.
 *
 * @category constructors
 * @since 0.1.0
 */
export const Shutdown: CancelReason = { _tag: "Shutdown" }

/**
 * The lease of durable work was lost.
 *
 * @category constructors
 * @since 0.1.0
 */
export const LeaseLost: CancelReason = { _tag: "LeaseLost" }

/**
 * The deadline passed; absolute milliseconds of Effect's Clock.
 *
 * @category constructors
 * @since 0.1.0
 */
export const DeadlineExceeded = (deadline: number): CancelReason => ({
  _tag: "DeadlineExceeded",
  deadline,
})

/**
 * The owner of that name ended.
 *
 * @category constructors
 * @since 0.1.0
 */
export const ParentEnded = (parent: string): CancelReason => ({ _tag: "ParentEnded", parent })

/**
 * Another task of the group failed.
 *
 * @category constructors
 * @since 0.1.0
 */
export const SiblingFailed = (sibling: string): CancelReason => ({
  _tag: "SiblingFailed",
  sibling,
})

/**
 * Somebody asked for it.
 *
 * @category constructors
 * @since 0.1.0
 */
export const Requested = (by: string, note = ""): CancelReason => ({ _tag: "Requested", by, note })

/**
 * The reason of the cancel in progress: the own cancel scope's, else the nearest one above.
 *
 * **Details** – `None` while nothing was cancelled, and also when plain Effect operators
 * interrupted the fiber without Weir knowing why (a race loser, a sibling under `Effect.all`).
 *
 * **Fails with** – nothing.
 *
 * **Interruption** – does not wait; meant to be read inside finalizers.
 *
 * @example Telling a timeout from a client that left
 * ```ts
 * import { Effect, Option } from "effect"
 * import { CancelReason } from "@weir/runtime"
 *
 * const work = Effect.never.pipe(
 *   Effect.onInterrupt(() =>
 *     Effect.flatMap(CancelReason.current, (reason) =>
 *       Effect.log(Option.match(reason, { onNone: () => "interrupted", onSome: CancelReason.format })))
 *   ),
 * )
 * ```
 *
 * @category accessors
 * @since 0.1.0
 */
export const current: Effect.Effect<Option.Option<CancelReason>> = Effect.withFiber((fiber) =>
  Effect.succeed(Option.fromUndefinedOr(fiber.getRef(CurrentScope).effectiveReason()))
)

/**
 * The reason as one short phrase, such as `client abort` or `requested by operator: too slow`.
 *
 * @category accessors
 * @since 0.1.0
 */
export const format = (reason: CancelReason): string => {
  switch (reason._tag) {
    case "ClientAbort":
      return "client abort"
    case "DeadlineExceeded":
      return "deadline exceeded"
    case "ParentEnded":
      return `parent ended: ${reason.parent}`
    case "SiblingFailed":
      return `sibling failed: ${reason.sibling}`
    case "Shutdown":
      return "shutdown"
    case "LeaseLost":
      return "lease lost"
    case "Requested":
      return `requested by ${reason.by}${reason.note === "" ? "" : `: ${reason.note}`}`
  }
}

/**
 * The copy of the reason that Weir attaches to the interrupt itself, for readers of a `Cause`.
 *
 * @category annotations
 * @since 0.1.0
 */
export const Annotation: Context.Service<CancelReason, CancelReason> = Context.Service<
  CancelReason
>("weir/task/CancelReason")

/**
 * The annotations to interrupt a fiber with.
 *
 * @category annotations
 * @since 0.1.0
 */
export const annotations = (reason: CancelReason): Context.Context<never> =>
  Context.make(Annotation, reason) as Context.Context<never>
