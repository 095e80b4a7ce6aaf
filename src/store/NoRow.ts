/**
 * A query that must find a row found none.
 *
 * @module
 */
import { HttpApiError } from "effect/http-api"

const Base: HttpApiError.ProblemClass<
  NoRow,
  "NoRow",
  "urn:weir:problem:no-row",
  404,
  Readonly<Record<never, never>>,
  unknown
> = HttpApiError.Problem<NoRow, unknown>()("NoRow", {
  type: "urn:weir:problem:no-row",
  status: 404,
  title: "There is no such thing",
})

/**
 * No row matched. Over HTTP a 404 problem, which says no more than that: what was looked for may be
 * a secret.
 *
 * @category errors
 * @since 0.1.0
 */
export class NoRow extends Base {}
