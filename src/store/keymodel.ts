import type { Cause } from "effect"
import { type Redacted, Schema } from "effect"
import type * as Gcra from "../bounded/Gcra.ts"

/** What is said of API keys; `ApiKeys.ts` exports it. */

/**
 * What a key says of whoever carries it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Grant {
  /** What it is for, for people: 1 to 200 characters. */
  readonly name: string
  /** Whom it belongs to: keys of one tenant share its limit and its turn. 1 to 200 characters. */
  readonly tenant: string
  /** How bad it is to refuse its calls; default: what the endpoint says. */
  readonly criticality?: Criticality | undefined
  /** Its own limit, instead of the one for all principals; `"none"` for no limit. */
  readonly limit?: Gcra.Limit | "none" | undefined
  /** What it may do, in words of the application; at most 64, of 1 to 100 characters. */
  readonly scopes?: ReadonlyArray<string> | undefined
}

/**
 * The classes of admission, as words in a table.
 *
 * @category models
 * @since 0.1.0
 */
export type Criticality = typeof criticalities[number]

export const criticalities = ["critical-plus", "critical", "sheddable-plus", "sheddable"] as const

/**
 * A key as it is stored, without its secret.
 *
 * @category models
 * @since 0.1.0
 */
export interface ApiKey extends Grant {
  /** Its middle part. No secret: it may stand in logs. */
  readonly id: string
  /** When it was made. */
  readonly createdAt: Date
  /** From when on it is refused. */
  readonly expiresAt: Date | undefined
  /** When it was revoked. */
  readonly revokedAt: Date | undefined
  /** When it was last used, to a minute or two. */
  readonly lastUsedAt: Date | undefined
  /** The key that took its place. */
  readonly replacedBy: string | undefined
}

/**
 * A new key. This is the only time that anybody sees it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Issued {
  /** `weir_<id>_<secret>`, as a client sends it. */
  readonly key: Redacted.Redacted<string>
  /** What is stored. */
  readonly stored: ApiKey
}

/**
 * What the door needs to know of a key.
 *
 * @category models
 * @since 0.1.0
 */
export interface Credential {
  /** What it says. */
  readonly key: ApiKey
  /** SHA-256 of the secret. */
  readonly hash: Uint8Array
  /** It is refused, whoever carries it. */
  readonly ended: boolean
  /** Until it expires, in milliseconds of the database's clock; `Infinity` for never. */
  readonly leftMs: number
}

const NoSuchKeyBase: Schema.Class<
  NoSuchKey,
  Schema.TaggedStruct<"NoSuchKey", { readonly id: Schema.String }>,
  Cause.YieldableError
> = Schema.TaggedError<NoSuchKey>()("NoSuchKey", { id: Schema.String })

/**
 * There is no key of that id.
 *
 * @category errors
 * @since 0.1.0
 */
export class NoSuchKey extends NoSuchKeyBase {
  /** One sentence with the next step. */
  override get message(): string {
    return `There is no API key ${this.id}. List the keys, and take the id from there.`
  }
}

const whys = ["Revoked", "Expired", "Replaced"] as const
const EndedFields: {
  readonly id: Schema.String
  readonly why: Schema.Literals<typeof whys>
} = { id: Schema.String, why: Schema.Literals(whys) }

const KeyEndedBase: Schema.Class<
  KeyEnded,
  Schema.TaggedStruct<"KeyEnded", typeof EndedFields>,
  Cause.YieldableError
> = Schema.TaggedError<KeyEnded>()("KeyEnded", EndedFields)

/**
 * The key is no longer one that can be rotated.
 *
 * @category errors
 * @since 0.1.0
 */
export class KeyEnded extends KeyEndedBase {
  /** One sentence with the next step. */
  override get message(): string {
    return `API key ${this.id} cannot be rotated: it is ${this.why.toLowerCase()}. Create a new one.`
  }
}
