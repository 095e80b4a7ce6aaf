/**
 * The honest "no": which bounded thing refused, why, and when to come back.
 *
 * @module
 */
import type { Cause } from "effect"
import { Schema } from "effect"

/**
 * Why work was refused.
 *
 * - `QueueFull`: the hard bound on waiting work was reached.
 * - `Infeasible`: it could not have finished before its deadline, so it was refused at the door.
 * - `Late`: it waited, and at its turn there was no longer time enough left to finish.
 * - `Shed`: a standing queue is being drained (CoDel).
 * - `Displaced`: the line was full, and work with a better claim took its place.
 * - `Overloaded`: the process itself has no room: its event loop is late, or its memory is short.
 * - `RateLimited`: the caller has used up its own quota.
 * - `BreakerOpen`: the dependency has been failing, and is left alone for a while.
 * - `Throttled`: the dependency has been refusing, so a part of the calls is not sent at all.
 * - `ShuttingDown`: the service drains and takes no new work.
 * - `Closed`: the bounded thing itself has been closed.
 *
 * @category models
 * @since 0.1.0
 */
export type Reason =
  | "QueueFull"
  | "Infeasible"
  | "Late"
  | "Shed"
  | "Displaced"
  | "Overloaded"
  | "RateLimited"
  | "BreakerOpen"
  | "Throttled"
  | "ShuttingDown"
  | "Closed"

/**
 * Every {@link Reason}, in the order in which they are reported.
 *
 * @category models
 * @since 0.1.0
 */
export const reasons: ReadonlyArray<Reason> = [
  "QueueFull",
  "Infeasible",
  "Late",
  "Shed",
  "Displaced",
  "Overloaded",
  "RateLimited",
  "BreakerOpen",
  "Throttled",
  "ShuttingDown",
  "Closed",
]

/**
 * A counter for each {@link Reason}, all at 0.
 *
 * @category constructors
 * @since 0.1.0
 */
export const counters = (): Record<Reason, number> => ({
  QueueFull: 0,
  Infeasible: 0,
  Late: 0,
  Shed: 0,
  Displaced: 0,
  Overloaded: 0,
  RateLimited: 0,
  BreakerOpen: 0,
  Throttled: 0,
  ShuttingDown: 0,
  Closed: 0,
})

/**
 * The facts of a refusal as plain data: what synchronous decisions return, without the cost of an
 * `Error` object.
 *
 * **Details** – `inUse`, `capacity` and `waiting` are counts at the moment of the decision;
 * `predictedWaitMs` is the wait that was predicted, `retryAfterMs` when trying again makes sense. Over
 * HTTP `backlogMs` is added to that, and jitter.
 *
 * @category models
 * @since 0.1.0
 */
export interface Refusal {
  /** Tells the plain facts from the error. */
  readonly _tag: "Refusal"
  /** Why the work was turned away. */
  readonly reason: Reason
  /** Kind of the bounded thing, such as `pool`, `bulkhead`, `mailbox` or `service`. */
  readonly kind: string
  /** Name of the bounded thing. */
  readonly resource: string
  /** Slots in use. */
  readonly inUse: number
  /** Slots there are. */
  readonly capacity: number
  /** Waiters and open tickets. */
  readonly waiting: number
  /** Wait predicted for this work, in milliseconds. */
  readonly predictedWaitMs: number
  /** When to try again, in milliseconds from now, without jitter. */
  readonly retryAfterMs: number
  /**
   * How much later, in milliseconds, because others were told before to try again: as long as their
   * work takes in half of the slots, but a minute at most. Default 0.
   */
  readonly backlogMs?: number | undefined
}

type FieldTypes = {
  readonly reason: Schema.Literals<ReadonlyArray<Reason>>
  readonly kind: Schema.String
  readonly resource: Schema.String
  readonly inUse: Schema.Number
  readonly capacity: Schema.Number
  readonly waiting: Schema.Number
  readonly predictedWaitMs: Schema.Number
  readonly retryAfterMs: Schema.Number
}

const Fields: FieldTypes = {
  reason: Schema.Literals(reasons),
  kind: Schema.String,
  resource: Schema.String,
  inUse: Schema.Number,
  capacity: Schema.Number,
  waiting: Schema.Number,
  predictedWaitMs: Schema.Number,
  retryAfterMs: Schema.Number,
}

/** Those made here, by identity: nothing of it can be decoded. Their `backlogMs`. */
const own = new WeakMap<Refused, number>()

const RefusedBase: Schema.Class<
  Refused,
  Schema.TaggedStruct<"Refused", FieldTypes>,
  Cause.YieldableError
> = Schema.TaggedError<Refused>()("Refused", Fields)

/**
 * A refusal in the error channel: work was turned away by a bounded thing before it cost anything.
 *
 * **Details** – over HTTP it becomes a 503 problem with the same numbers and a jittered
 * `Retry-After`. A typed client of a Weir service gets that problem back as a `Refused` too;
 * {@link isOwn} tells the two apart.
 *
 * @category errors
 * @since 0.1.0
 */
export class Refused extends RefusedBase {
  /** As in {@link Refusal}; 0 for a refusal that was decoded. */
  get backlogMs(): number {
    return own.get(this) ?? 0
  }

  /** One sentence with the numbers and the next step. */
  override get message(): string {
    return `${subject(this)} refused the work: ${explain(this)} ` +
      `(${this.inUse}/${this.capacity} in use, ${this.waiting} waiting). ` +
      `Try again in ${Math.ceil(this.retryAfterMs)} ms.`
  }
}

/**
 * Turns the plain facts into the error.
 *
 * **Details** – the error counts as one of this process: see {@link isOwn}.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromRefusal = (refusal: Refusal): Refused => {
  const { _tag: _, backlogMs = 0, ...fields } = refusal
  const refused = new Refused(fields)
  own.set(refused, backlogMs)
  return refused
}

/**
 * True for a refusal by a bounded thing of this process: made by {@link fromRefusal}.
 *
 * **Details** – false for one that was decoded, such as a typed client does with the answer of another
 * Weir service, and for one made with `new`. A `Dependency` holds only those against the other side,
 * tries only those again, and a `Fallback` calls only those `failed`.
 *
 * @category guards
 * @since 0.1.0
 */
export const isOwn = (u: unknown): u is Refused => u instanceof Refused && own.has(u)

/**
 * True for the plain facts of a refusal.
 *
 * @category guards
 * @since 0.1.0
 */
export const isRefusal = (u: unknown): u is Refusal =>
  typeof u === "object" && u !== null && "_tag" in u && u._tag === "Refusal"

/**
 * What said no: its kind and its name, such as `pool "database"`; once where both are the same, as for
 * the event loop.
 *
 * @category accessors
 * @since 0.1.0
 */
export const subject = (refusal: Pick<Refusal, "kind" | "resource">): string =>
  refusal.kind === refusal.resource ? refusal.kind : `${refusal.kind} "${refusal.resource}"`

/**
 * The reason as half a sentence, such as "the queue is full".
 *
 * @category accessors
 * @since 0.1.0
 */
export const explain = (
  refusal: Pick<Refusal, "reason" | "predictedWaitMs"> & Partial<Pick<Refusal, "kind">>,
): string => {
  switch (refusal.reason) {
    case "QueueFull":
      return "the queue is full"
    case "Infeasible":
      return `the predicted wait of ${Math.round(refusal.predictedWaitMs)} ms and the predicted ` +
        "work together would not end before the deadline"
    case "Late":
      return "too little time was left when its turn came"
    case "Shed":
      return "a standing queue is being drained"
    case "Displaced":
      return "the line was full, and work with a better claim took its place"
    case "Overloaded":
      return refusal.kind === "event-loop"
        ? "the event loop is late, and work of this class is refused until it is not"
        : refusal.kind === "memory"
        ? "memory is short, and work of this class is refused until it is not"
        : "the process has no room for it"
    case "RateLimited":
      return "the caller has used up its quota"
    case "BreakerOpen":
      return "the dependency has been failing and is left alone for a while"
    case "Throttled":
      return "the dependency has been refusing, so fewer calls are sent"
    case "ShuttingDown":
      return "the service is shutting down"
    case "Closed":
      return "it is closed"
  }
}
