import type { Caller } from "../admission/Caller.ts"
import type { RateLimit } from "../admission/RateLimit.ts"

/**
 * Adds `RateLimit` and `RateLimit-Policy`. Set one by one they cost 0.1 µs; among the headers of a
 * new response they would cost 2.5.
 */
export const told = (
  response: Response,
  limits: RateLimit | undefined,
  caller: Caller | undefined,
): Response => {
  const fields = limits === undefined ? undefined : limits.fields(caller)
  if (fields === undefined) return response
  try {
    response.headers.set("ratelimit", fields.limit)
    response.headers.set("ratelimit-policy", fields.policy)
    return response
  } catch {
    // One that somebody else has fetched cannot be changed.
    return told(new Response(response.body, response), limits, caller)
  }
}
