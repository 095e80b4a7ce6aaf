import { HttpServerResponse } from "effect/http"
import { explain, type Refusal } from "../bounded/Refused.ts"
import { retryAfter } from "./jitter.ts"

/**
 * The same bytes as `Problem.render(Problem.fromRefusal(refusal))`, written in one go: an overloaded
 * service answers this thousands of times a second.
 */
export const renderRefusal = (
  refusal: Refusal,
  random: number,
): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.text(bodyOf(refusal), {
    status: 503,
    contentType: problemJson,
    headers: {
      "retry-after": retryAfter(refusal.retryAfterMs, random),
      ...(refusal.reason === "ShuttingDown" ? { connection: "close" } : {}),
    },
  })

/** The same as the platform's response, for a refusal that needs no fiber. */
export const refusalPlatform = (refusal: Refusal, random: number): Response => {
  const after = retryAfter(refusal.retryAfterMs, random)
  return new Response(bodyOf(refusal), {
    status: 503,
    headers: refusal.reason === "ShuttingDown"
      ? { "content-type": problemJson, "retry-after": after, connection: "close" }
      : { "content-type": problemJson, "retry-after": after },
  })
}

const problemJson = "application/problem+json"

const bodyOf = (refusal: Refusal): string => {
  const { capacity, inUse, kind, predictedWaitMs, reason, resource, retryAfterMs, waiting } =
    refusal
  const detail = JSON.stringify(`${kind} "${resource}": ${explain(refusal)}`)
  return '{"type":"urn:weir:problem:refused",' +
    '"title":"Refused: no capacity before your deadline","status":503,' +
    `"detail":${detail},"reason":"${reason}","kind":${JSON.stringify(kind)},` +
    `"resource":${JSON.stringify(resource)},"inUse":${inUse},"capacity":${capacity},` +
    `"waiting":${waiting},"predictedWaitMs":${Math.round(predictedWaitMs)},` +
    `"retryAfterMs":${Math.round(retryAfterMs)}}`
}
