import { Schema } from "effect"
import { HttpApiSchema } from "effect/http-api"

/** What the wire format of every problem has. */
export interface Wire {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly detail?: string
}

export const members: {
  readonly title: Schema.String
  readonly detail: Schema.optionalKey<Schema.String>
} = { title: Schema.String, detail: Schema.optionalKey(Schema.String) }

export const type = <Slug extends string>(
  slug: Slug,
): Schema.Literal<`urn:weir:problem:${Slug}`> => Schema.Literal(`urn:weir:problem:${slug}` as const)

export const asProblem: <S extends Schema.Top>(schema: S) => S["Rebuild"] = HttpApiSchema
  .asJson({ contentType: "application/problem+json" })
