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
): HttpServerResponse.HttpServerResponse => {
  const { capacity, inUse, kind, predictedWaitMs, reason, resource, retryAfterMs, waiting } =
    refusal
  const detail = JSON.stringify(`${kind} "${resource}": ${explain(refusal)}`)
  const body = '{"type":"urn:weir:problem:refused",' +
    '"title":"Refused: no capacity before your deadline","status":503,' +
    `"detail":${detail},"reason":"${reason}","kind":${JSON.stringify(kind)},` +
    `"resource":${JSON.stringify(resource)},"inUse":${inUse},"capacity":${capacity},` +
    `"waiting":${waiting},"predictedWaitMs":${Math.round(predictedWaitMs)},` +
    `"retryAfterMs":${Math.round(retryAfterMs)}}`
  return HttpServerResponse.text(body, {
    status: 503,
    contentType: "application/problem+json",
    headers: {
      "retry-after": retryAfter(retryAfterMs, random),
      ...(reason === "ShuttingDown" ? { connection: "close" } : {}),
    },
  })
}
