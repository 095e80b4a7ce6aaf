import type { Cause } from "effect"
import { Schema } from "effect"
import type { Limited } from "../admission/RateLimit.ts"

/** Somebody, or nobody; `Principal.ts` exports both. */

/**
 * A caller that has proven who it is. Nothing of it comes from the request: it is what was stored
 * with the key.
 *
 * @category models
 * @since 0.1.0
 */
export interface Principal extends Limited {
  /** What the key is for, for people. */
  readonly name: string
  /** What it may do, in words of the application. */
  readonly scopes: ReadonlyArray<string>
}

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
