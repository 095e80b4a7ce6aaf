/**
 * The database cannot do the work now; the same work may succeed later.
 *
 * @module
 */
import type { Cause } from "effect"
import { Schema } from "effect"

/**
 * What is the matter.
 *
 * - `Unreachable`: no connection could be made.
 * - `ConnectionLost`: the connection ended in the middle of the work. Whether a change that was just
 *   being committed took effect is unknown.
 * - `StartingUp`, `ShuttingDown`: the server says so.
 * - `TooManyConnections`, `OutOfResources`: the server is full (connections, memory, disk).
 * - `TimedOut`: the server ended the work at its `statement_timeout`, or did not answer in time.
 * - `Conflict`: other transactions were in the way (deadlock, serialization, lock timeout).
 *
 * @category models
 * @since 0.1.0
 */
export type Reason = typeof reasons[number]

/**
 * Every {@link Reason}.
 *
 * @category models
 * @since 0.1.0
 */
export const reasons: readonly [
  "Unreachable",
  "ConnectionLost",
  "StartingUp",
  "ShuttingDown",
  "TooManyConnections",
  "OutOfResources",
  "TimedOut",
  "Conflict",
] = [
  "Unreachable",
  "ConnectionLost",
  "StartingUp",
  "ShuttingDown",
  "TooManyConnections",
  "OutOfResources",
  "TimedOut",
  "Conflict",
]

const sentences: Readonly<Record<Reason, string>> = {
  Unreachable: "it cannot be reached",
  ConnectionLost: "the connection was lost",
  StartingUp: "it is starting up",
  ShuttingDown: "it is shutting down",
  TooManyConnections: "it has too many connections",
  OutOfResources: "it has run out of memory or disk",
  TimedOut: "it did not answer in time",
  Conflict: "other transactions were in the way",
}

const Fields: {
  readonly reason: Schema.Literals<typeof reasons>
  /** PostgreSQL's SQLSTATE, when the server gave one. */
  readonly code: Schema.optional<Schema.String>
} = {
  reason: Schema.Literals(reasons),
  code: Schema.optional(Schema.String),
}

const Base: Schema.Class<
  DatabaseUnavailable,
  Schema.TaggedStruct<"DatabaseUnavailable", typeof Fields>,
  Cause.YieldableError
> = Schema.TaggedError<DatabaseUnavailable>()("DatabaseUnavailable", Fields, {
  httpApiStatus: 503,
})

/**
 * The database cannot do the work now.
 *
 * **Details** – over HTTP a 503 problem. The message names no server and no user: it may be shown to
 * clients. `cause` holds the driver's error and is not sent.
 *
 * @category errors
 * @since 0.1.0
 */
export class DatabaseUnavailable extends Base {
  /** What is the matter, in a sentence that may be shown to clients. */
  override get message(): string {
    return `The database cannot do the work: ${sentences[this.reason]}. Try again.`
  }
}

/**
 * Makes the error and keeps the driver's one as its `cause`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  reason: Reason,
  code?: string | undefined,
  cause?: unknown,
): DatabaseUnavailable => {
  const error = new DatabaseUnavailable(code === undefined ? { reason } : { reason, code })
  if (cause !== undefined) error.cause = cause
  return error
}
