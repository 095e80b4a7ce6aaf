import { Duration, Result } from "effect"
import { Headers, HttpClient, HttpClientError, type HttpClientResponse } from "effect/http"
import { isOwn, Refused } from "../bounded/Refused.ts"

/**
 * What a failure says about trying again.
 *
 * @category models
 * @since 0.1.0
 */
export interface Hint {
  /** False: trying again cannot help, or is not wanted. Default true. */
  readonly retry?: boolean | undefined
  /** Not before so many milliseconds have passed. */
  readonly retryAfterMs?: number | undefined
  /** The other side asks for less: no hedges for now, and a smaller limit. Default false. */
  readonly pushback?: boolean | undefined
  /** False: the other side works, and only this call was wrong. Default true. */
  readonly failure?: boolean | undefined
}

const nothing: Hint = {}
const never: Hint = { retry: false }
const notTheirs: Hint = { retry: false, failure: false }

/** What is known of an error without being told. */
export const hintOf = (error: unknown, now: number): Hint => {
  if (error instanceof Refused) return isOwn(error) ? never : ofRemote(error)
  if (HttpClientError.isHttpClientError(error)) return ofClient(error, now)
  if (typeof error !== "object" || error === null) return nothing
  const retry = "retryable" in error && error.retryable === false ? false : undefined
  const after = "retryAfterMs" in error && typeof error.retryAfterMs === "number"
    ? error.retryAfterMs
    : undefined
  return retry === undefined && after === undefined
    ? nothing
    : { retry, retryAfterMs: after, pushback: after !== undefined }
}

/** The problem of another Weir service, as a typed client decodes it. */
const ofRemote = ({ reason, retryAfterMs }: Refused): Hint => ({
  ...(hopeless.has(reason) ? never : nothing),
  retryAfterMs,
  pushback: true,
})

const ofClient = (error: HttpClientError.HttpClientError, now: number): Hint => {
  switch (error.reason._tag) {
    case "TransportError":
      return nothing
    case "StatusCodeError":
      return hintOfResponse(error.reason.response, now)
    case "EncodeError":
    case "InvalidUrlError":
      return notTheirs
    default:
      // Its answer made no sense, and would make none again.
      return never
  }
}

/** Whether the other side has failed: it is broken, it has no room, or it was too slow. */
export const isFailing = (status: number): boolean =>
  status >= 500 || status === 429 || status === 408

/** The answer's own advice: `x-should-retry`, `Retry-After` in seconds or as a date, the status. */
export const hintOfResponse = (
  response: HttpClientResponse.HttpClientResponse,
  now: number,
): Hint => {
  if (!isFailing(response.status)) return notTheirs
  const { headers, status } = response
  const should = headers["x-should-retry"]
  return {
    retry: should === "false"
      ? false
      : should === "true" || HttpClient.isTransientResponse(response),
    retryAfterMs: retryAfterMs(headers["retry-after"], now),
    pushback: status === 429 || status === 503,
  }
}

const retryAfterMs = (header: string | undefined, now: number): number | undefined => {
  if (header === undefined) return undefined
  const parsed = Headers.parseRetryAfter(header)
  return Result.isSuccess(parsed)
    ? Math.max(0, Duration.toMillis(Headers.retryAfterDelay(parsed.success, now)))
    : undefined
}

/** Refusals by a Weir service that a later try cannot mend: it would have less time still. */
const hopeless: ReadonlySet<unknown> = new Set(["Infeasible", "Late"])

/** What a problem of a Weir service adds to that. */
export const hintOfProblem = (problem: unknown, hint: Hint): Hint => {
  if (typeof problem !== "object" || problem === null || !("type" in problem)) return hint
  const { type } = problem
  if (typeof type !== "string" || !type.startsWith("urn:weir:problem:")) return hint
  const late = type === "urn:weir:problem:deadline-exceeded"
  if (late || "reason" in problem && hopeless.has(problem.reason)) return { ...hint, retry: false }
  const after = "retryAfterMs" in problem ? problem.retryAfterMs : undefined
  // The header is the same in whole seconds, which make a herd of those who were spread.
  return typeof after === "number" && after >= 0 ? { ...hint, retryAfterMs: after } : hint
}
