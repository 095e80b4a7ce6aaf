import { HttpServerResponse } from "effect/http"
import { explain, type Refusal, subject } from "../bounded/Refused.ts"
import { noCapacity, overQuota } from "./fixed.ts"
import { retryAfter, retryAfterMs } from "./jitter.ts"

/**
 * The same bytes as `Problem.render(Problem.fromRefusal(refusal))`, written in one go: an overloaded
 * service answers this thousands of times a second.
 */
export const renderRefusal = (
  refusal: Refusal,
  random: number,
): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.text(bodyOf(refusal, random), {
    status: statusOf(refusal),
    contentType: problemJson,
    headers: {
      "retry-after": afterOf(refusal, random),
      ...(refusal.reason === "ShuttingDown" ? { connection: "close" } : {}),
    },
  })

/** The same as the platform's response, for a refusal that needs no fiber. */
export const refusalPlatform = (refusal: Refusal, random: number): Response => {
  const after = afterOf(refusal, random)
  return new Response(bodyOf(refusal, random), {
    status: statusOf(refusal),
    headers: refusal.reason === "ShuttingDown"
      ? { "content-type": problemJson, "retry-after": after, connection: "close" }
      : { "content-type": problemJson, "retry-after": after },
  })
}

const problemJson = "application/problem+json"

const statusOf = (refusal: Refusal): number => refusal.reason === "RateLimited" ? 429 : 503

const afterOf = (refusal: Refusal, random: number): string =>
  retryAfter(comesBackIn(refusal), spread(refusal, random))

const comesBackIn = ({ backlogMs = 0, retryAfterMs }: Refusal): number => retryAfterMs + backlogMs

/** The instant of a quota is that of one caller alone. */
const spread = ({ reason }: Refusal, random: number): number =>
  reason === "RateLimited" ? 0 : random

const headOf = ({ slug, status, title }: typeof noCapacity | typeof overQuota): string =>
  `{"type":"urn:weir:problem:${slug}","title":${JSON.stringify(title)},"status":${status},`

const refusedHead = headOf(noCapacity)
const limitedHead = headOf(overQuota)

const bodyOf = (refusal: Refusal, random: number): string => {
  const { capacity, inUse, kind, predictedWaitMs, reason, resource, waiting } = refusal
  const after = retryAfterMs(comesBackIn(refusal), spread(refusal, random))
  const detail = JSON.stringify(`${subject(refusal)}: ${explain(refusal)}`)
  return (reason === "RateLimited" ? limitedHead : refusedHead) +
    `"detail":${detail},"reason":"${reason}","kind":${JSON.stringify(kind)},` +
    `"resource":${JSON.stringify(resource)},"inUse":${inUse},"capacity":${capacity},` +
    `"waiting":${waiting},"predictedWaitMs":${Math.round(predictedWaitMs)},` +
    `"retryAfterMs":${after}}`
}
