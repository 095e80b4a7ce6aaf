import type { Cause } from "effect"
import { HttpServerError } from "effect/http"

/**
 * Whether a request failed because its body stopped short: the client left while it was sending.
 * The platform lets the read fail and only later, or never, aborts the signal of the request.
 */
export const bodyStopped = (cause: Cause.Cause<unknown>): boolean =>
  cause.reasons.some((reason) => {
    const error = reason._tag === "Fail"
      ? reason.error
      : reason._tag === "Die"
      ? reason.defect
      : undefined
    if (!HttpServerError.isHttpServerError(error)) return false
    const { cause, _tag } = error.reason
    return _tag === "RequestParseError" && broken().some((kind) => cause instanceof kind)
  })

/** What a read of a broken connection fails with on Deno, `BadResource` as a rule. */
const broken = () => [
  Deno.errors.BadResource,
  Deno.errors.ConnectionReset,
  Deno.errors.Http,
  Deno.errors.Interrupted,
  Deno.errors.UnexpectedEof,
]
