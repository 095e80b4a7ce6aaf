/**
 * The only mapping from a failure to what an HTTP client sees: RFC 9457 problem details.
 *
 * **Details** – `type` is `urn:weir:problem:<slug>`, where the slug is the error's tag in kebab
 * case; `docs/problems.md` lists them. A defect says nothing about its insides: its cause is logged.
 *
 * @module
 */
import { Cause, Context, Effect, SchemaIssue } from "effect"
import type { Fiber } from "effect"
import {
  HttpServerError,
  HttpServerRequest,
  HttpServerRespondable,
  HttpServerResponse,
} from "effect/http"
import { HttpApiError } from "effect/http-api"
import { explain, type Refusal, Refused, subject } from "../bounded/Refused.ts"
import { DatabaseUnavailable } from "../store/DatabaseUnavailable.ts"
import { NoRow } from "../store/NoRow.ts"
import * as CancelReason from "../task/CancelReason.ts"
import { DeadlineExceeded } from "../task/Deadline.ts"
import { Cancelled, CleanupAbandoned } from "../task/Task.ts"
import { cycle, fromAsk } from "./asks.ts"
import { behind } from "./behind.ts"
import {
  cleanupAbandoned,
  deadlineExceeded,
  internal,
  noCapacity,
  overQuota,
  payloadTooLarge,
  unauthenticated,
} from "./fixed.ts"
import { randomOf, retryAfter, retryAfterMs } from "./jitter.ts"
import { Unauthenticated } from "./identity.ts"

/**
 * A problem before it is rendered: the RFC's members and any extension members.
 *
 * @category models
 * @since 0.1.0
 */
export interface Problem {
  /** Kebab-case slug; the last part of `type`. */
  readonly slug: string
  /** HTTP status. */
  readonly status: number
  /** Short summary, the same for every occurrence. */
  readonly title: string
  /** What happened this time. */
  readonly detail?: string
  /** Extension members. */
  readonly extensions?: Readonly<Record<string, unknown>>
  /** When to try again, in milliseconds; becomes a jittered `Retry-After`. */
  readonly retryAfterMs?: number
  /** The instant is that of one caller alone: `Retry-After` is not jittered. */
  readonly exact?: boolean
  /** Further headers. */
  readonly headers?: Readonly<Record<string, string>>
}

/**
 * Which methods a path has: the answer to "404 or 405?". Provided by the service.
 *
 * @category services
 * @since 0.1.0
 */
export const AllowedMethods: Context.Reference<(url: string) => ReadonlyArray<string>> = Context
  .Reference<(url: string) => ReadonlyArray<string>>("weir/edge/Problem/AllowedMethods", {
    defaultValue: () => () => [],
  })

/**
 * Renders a problem. `random` in [0, 1) spreads the instant of `Retry-After`, so that refused clients
 * do not come back as one herd: over as much time again, but a second at most, or over the fifth after
 * it where that is more. An extension member `retryAfterMs` gets the same spread.
 *
 * @category operations
 * @since 0.1.0
 */
export const render = (problem: Problem, random: number): HttpServerResponse.HttpServerResponse => {
  const { extensions, headers, status } = problem
  const after = problem.retryAfterMs
  const spread = problem.exact === true ? 0 : random
  const told = after !== undefined && extensions !== undefined && "retryAfterMs" in extensions
    ? { ...extensions, retryAfterMs: retryAfterMs(after, spread) }
    : extensions
  return HttpServerResponse.text(body(problem, told), {
    status,
    contentType: "application/problem+json",
    headers: after === undefined
      ? headers
      : { ...headers, "retry-after": retryAfter(after, spread) },
  })
}

const body = (problem: Problem, extensions: Problem["extensions"]): string =>
  JSON.stringify({
    type: `urn:weir:problem:${problem.slug}`,
    title: problem.title,
    status: problem.status,
    ...(problem.detail === undefined ? {} : { detail: problem.detail }),
    ...extensions,
  })

/**
 * A refusal as a problem, with the numbers that decided: 429 when the caller has used up its own
 * quota, otherwise 503.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromRefusal = (refusal: Omit<Refusal, "_tag">): Problem => ({
  ...(refusal.reason === "RateLimited" ? overQuota : noCapacity),
  detail: `${subject(refusal)}: ${explain(refusal)}`,
  extensions: {
    reason: refusal.reason,
    kind: refusal.kind,
    resource: refusal.resource,
    inUse: refusal.inUse,
    capacity: refusal.capacity,
    waiting: refusal.waiting,
    predictedWaitMs: Math.round(refusal.predictedWaitMs),
    retryAfterMs: Math.round(refusal.retryAfterMs),
  },
  retryAfterMs: refusal.retryAfterMs + (refusal.backlogMs ?? 0),
  ...(refusal.reason === "ShuttingDown" ? { headers: { connection: "close" } } : {}),
})

/**
 * A cancel as a problem: 504 for a deadline, 503 for everything the client may try again.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromCancel = (reason: CancelReason.CancelReason): Problem => {
  switch (reason._tag) {
    case "DeadlineExceeded":
      return deadlineExceeded
    case "ClientAbort":
      // Seen in logs and metrics only: nobody is there to read it.
      return { slug: "client-abort", status: 499, title: "Client closed the request" }
    case "Shutdown":
      return {
        slug: "shutting-down",
        status: 503,
        title: "The service is shutting down",
        retryAfterMs: 1000,
        headers: { connection: "close" },
      }
    default:
      return {
        slug: "cancelled",
        status: 503,
        title: "The request was cancelled",
        detail: CancelReason.format(reason),
        retryAfterMs: 1000,
      }
  }
}

/**
 * The problem for one error value, if it is one that Weir or Effect's HTTP layer knows.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromError = (error: unknown, allowed: (url: string) => ReadonlyArray<string>):
  | Problem
  | undefined => {
  if (error instanceof Refused) return fromRefusal(error)
  if (error instanceof DeadlineExceeded) return deadlineExceeded
  if (error instanceof Unauthenticated) return unauthenticated(error.presented)
  if (error instanceof Cancelled) return fromCancel(CancelReason.Requested("task", error.message))
  if (error instanceof CleanupAbandoned) return cleanupAbandoned
  if (HttpApiError.HttpApiSchemaError.is(error)) return fromDecodeError(error)
  if (HttpApiError.HttpApiPayloadTooLarge.is(error)) return payloadTooLarge
  if (error instanceof HttpServerError.HttpServerError) return fromServerError(error, allowed)
  if (error instanceof DatabaseUnavailable) {
    return {
      slug: "database-unavailable",
      status: 503,
      title: "The database is not available",
      detail: error.message,
      extensions: { reason: error.reason },
      retryAfterMs: 1000,
    }
  }
  if (error instanceof NoRow) {
    return { slug: "no-row", status: 404, title: "There is no such thing" }
  }
  return fromAsk(error)
}

const fromServerError = (
  error: HttpServerError.HttpServerError,
  allowed: (url: string) => ReadonlyArray<string>,
): Problem | undefined => {
  const reason = error.reason
  if (reason._tag === "RouteNotFound") {
    const methods = allowed(reason.request.url)
    return methods.length === 0
      ? { slug: "not-found", status: 404, title: "There is nothing at this path" }
      : {
        slug: "method-not-allowed",
        status: 405,
        title: "This path does not have that method",
        detail: `Allowed: ${methods.join(", ")}.`,
        headers: { allow: methods.join(", ") },
      }
  }
  if (reason._tag === "RequestParseError") {
    return reason.reason === "BodyTooLarge" ? payloadTooLarge : {
      slug: "bad-request",
      status: 400,
      title: "The request could not be read",
    }
  }
  return undefined
}

const formatIssues = SchemaIssue.makeFormatterStandardSchemaV1()

const fromDecodeError = (error: HttpApiError.HttpApiSchemaError): Problem => {
  // What the handler returned does not fit its own schema: our bug, not the client's.
  if (error.kind === "Body" || error.kind === "ResponseHeaders") return internal
  const slot = error.kind.toLowerCase()
  const errors = formatIssues(error.cause.issue).issues.map((issue) => ({
    path: [
      slot,
      ...(issue.path ?? []).map((segment) =>
        typeof segment === "object"
          ? String(segment.key)
          : typeof segment === "number"
          ? segment
          : String(segment)
      ),
    ],
    message: issue.message,
  }))
  return {
    slug: "bad-request",
    status: 400,
    title: "The request does not fit what this endpoint accepts",
    detail: errors.map((one) => `${one.path.join(".")}: ${one.message}`).join("; "),
    extensions: { errors },
  }
}

/**
 * Renders the cause of a failed request.
 *
 * **Details** – the first failure decides; a cancel only when there is no failure. Failures that
 * nobody declared, and defects, are logged with their cause and answered 500.
 *
 * **Fails with** – nothing.
 *
 * **Interruption** – does not wait.
 *
 * @category operations
 * @since 0.1.0
 */
export const fromCause = (
  cause: Cause.Cause<unknown>,
): Effect.Effect<
  HttpServerResponse.HttpServerResponse,
  never,
  HttpServerRequest.HttpServerRequest
> =>
  Effect.withFiber((fiber) => {
    const allowed = fiber.getRef(AllowedMethods)
    const random = randomOf(fiber)
    let interrupted: Problem | undefined
    for (const reason of cause.reasons) {
      if (reason._tag === "Interrupt") {
        const why = reason.annotations.get(CancelReason.Annotation.key) as
          | CancelReason.CancelReason
          | undefined
        if (interrupted === undefined || why !== undefined) {
          interrupted = fromCancel(why ?? CancelReason.Requested("interrupt"))
        }
        continue
      }
      const error = reason._tag === "Fail" ? reason.error : reason.defect
      if (HttpServerResponse.isHttpServerResponse(error)) return Effect.succeed(error)
      const problem = behind(error, (at) => fromError(at, allowed))
      if (problem !== undefined && problem !== internal) {
        const answer = render(problem, random)
        return problem.slug === cycle
          ? Effect.as(logBug(cause, fiber), answer)
          : Effect.succeed(answer)
      }
      if (problem === undefined && HttpServerRespondable.isRespondable(error)) {
        return Effect.orDie(HttpServerRespondable.toResponse(error))
      }
      return Effect.as(logBug(cause, fiber), render(internal, 0))
    }
    return Effect.succeed(render(interrupted ?? internal, random))
  })

const logBug = (cause: Cause.Cause<unknown>, fiber: Fiber.Fiber<unknown, unknown>) => {
  const request = Context.getOrUndefined(fiber.context, HttpServerRequest.HttpServerRequest)
  return Effect.logError(
    `A request failed in a way that nobody declared; this is a bug. ${request?.method ?? ""} ${
      request?.url.split("?")[0] ?? ""
    }\n${Cause.pretty(cause)}`,
  )
}
