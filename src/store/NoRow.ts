/**
 * A query that must find a row found none.
 *
 * @module
 */
import type { Cause } from "effect"
import { Schema } from "effect"

const Fields: Readonly<Record<never, never>> = {}

const Base: Schema.Class<NoRow, Schema.TaggedStruct<"NoRow", typeof Fields>, Cause.YieldableError> =
  Schema.TaggedError<NoRow>()("NoRow", Fields, { httpApiStatus: 404 })

/**
 * No row matched. Over HTTP a 404 problem.
 *
 * @category errors
 * @since 0.1.0
 */
export class NoRow extends Base {
  /** Says no more than that: what was looked for may be a secret. */
  override get message(): string {
    return "No row matched the query."
  }
}
