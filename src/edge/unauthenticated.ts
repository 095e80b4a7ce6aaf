import type { Cause } from "effect"
import { Schema } from "effect"

const Fields = { presented: Schema.Boolean } as const

const Base: Schema.Class<
  Unauthenticated,
  Schema.TaggedStruct<"Unauthenticated", typeof Fields>,
  Cause.YieldableError
> = Schema.TaggedError<Unauthenticated>()("Unauthenticated", Fields, { httpApiStatus: 401 })

/**
 * Nobody with a valid key calls.
 *
 * **Details** – `presented` when there was a key. What is wrong with it (unknown, expired, revoked,
 * mistyped) is not said: it would help only those who guess.
 *
 * @category errors
 * @since 0.1.0
 */
export class Unauthenticated extends Base {
  /** One sentence with the next step. */
  override get message(): string {
    return "A valid API key is needed. Send it as `Authorization: Bearer <key>` or `X-API-Key`."
  }
}
