import { Predicate } from "effect"
import { type HttpApiEndpoint, HttpApiSchema } from "effect/http-api"

/** How `HttpApiSchema` marks its streams; its own predicate is internal. */
const streamSchema = "~effect/http-api/HttpApiSchema/Stream"

/** What of an endpoint is a stream, and so can be neither buffered nor kept; `undefined` if nothing. */
export const streamed = (
  endpoint: HttpApiEndpoint.Top,
): "payload" | "result" | undefined => {
  for (const { encoding } of endpoint.payload.values()) {
    if (encoding._tag === "Stream") return "payload"
    if (encoding._tag === "Multipart" && encoding.mode === "stream") return "payload"
  }
  for (const schema of endpoint.success) {
    const body = HttpApiSchema.isWithHeaders(schema) ? schema.schema : schema
    if (Predicate.hasProperty(body, streamSchema)) return "result"
  }
  return undefined
}
