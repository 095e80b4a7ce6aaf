import { type Cause, Clock, Context, Effect, Option, Stream, Tracer } from "effect"
import {
  type Headers,
  HttpClient,
  type HttpClientError,
  HttpClientRequest,
  type HttpClientResponse,
  HttpServerRequest,
  HttpTraceContext,
} from "effect/http"
import type { Refused } from "../bounded/Refused.ts"
import type { DeadlineExceeded } from "../task/Deadline.ts"
import { CurrentScope } from "../task/scope.ts"
import type { Caller } from "./calling.ts"
import { type Hint, hintOf, hintOfProblem, hintOfResponse, isFailing } from "./hints.ts"

type Response = HttpClientResponse.HttpClientResponse

/** A client whose requests go through a dependency. */
export type Client = HttpClient.HttpClient.With<
  HttpClientError.HttpClientError | Refused | DeadlineExceeded
>

/** Methods that mean the same when they are done twice (RFC 9110, 9.2.2). */
const idempotent: ReadonlySet<string> = new Set([
  "GET",
  "HEAD",
  "PUT",
  "DELETE",
  "OPTIONS",
  "QUERY",
])

/** Whether a request may be sent twice: by its method, or because it brings its own key. */
export const isIdempotent = (request: HttpClientRequest.HttpClientRequest): boolean =>
  idempotent.has(request.method) || request.headers["idempotency-key"] !== undefined

/** Bodies up to that size are read, to learn why, and so that the connection can be used again. */
const smallBody = 16 * 1024

/** An answer that is a failure of the other side; for the caller it is an answer like any other. */
class Answered {
  readonly response: Response
  readonly hint: Hint

  constructor(response: Response, hint: Hint) {
    this.response = response
    this.hint = hint
  }
}

/** Sends all requests of a client through a dependency. */
export const clientOf = (
  caller: Caller,
  self: HttpClient.HttpClient,
  safe: (request: HttpClientRequest.HttpClientRequest) => boolean,
): Client =>
  HttpClient.makeWith(
    (request) =>
      Effect.flatMap(
        request as Effect.Effect<HttpClientRequest.HttpClientRequest>,
        (request) =>
          Effect.catchCause(
            caller.call(send(self, request), { idempotent: safe(request), hint, discard }),
            answered,
          ),
      ),
    self.preprocess as HttpClient.HttpClient.Preprocess<never, never>,
  )

type Failure = HttpClientError.HttpClientError | Answered

const send = (
  self: HttpClient.HttpClient,
  request: HttpClientRequest.HttpClientRequest,
): Effect.Effect<Response, Failure> =>
  Effect.withFiber((fiber) => {
    const clock = fiber.getRef(Clock.Clock)
    const left = fiber.getRef(CurrentScope).deadline - clock.currentTimeMillisUnsafe()
    const timed = left === Infinity || request.headers["request-timeout"] !== undefined
      ? request
      : HttpClientRequest.setHeader(
        request,
        "request-timeout",
        String(Math.max(1, Math.floor(left))),
      )
    const sent = self.postprocess(Effect.succeed(timed)) as Effect.Effect<
      Response,
      HttpClientError.HttpClientError
    >
    return Effect.flatMap(traced(fiber.context, sent), (response) => {
      if (!isFailing(response.status)) return Effect.succeed(response)
      const hint = hintOfResponse(response, clock.currentTimeMillisUnsafe())
      return Effect.flatMap(
        reason(response, hint),
        (hint) => Effect.fail(new Answered(response, hint)),
      )
    })
  })

/**
 * Without a tracer a request has no span, and the trace of the caller would end here: so the client's
 * span gets the parent that came in.
 */
const traced = <A, E>(
  context: Context.Context<never>,
  effect: Effect.Effect<A, E>,
): Effect.Effect<A, E> => {
  if (Context.getOrUndefined(context, Tracer.ParentSpan as never) !== undefined) return effect
  const incoming = Context.getOrUndefined(context, HttpServerRequest.HttpServerRequest as never) as
    | HttpServerRequest.HttpServerRequest
    | undefined
  if (incoming === undefined) return effect
  const parent = HttpTraceContext.w3c(incoming.headers)
  return Option.isNone(parent)
    ? effect
    : Effect.provideService(effect, Tracer.ParentSpan, parent.value)
}

/** What the body says, if it is a problem. It can still be read, but no longer as a stream. */
const reason = (response: Response, hint: Hint): Effect.Effect<Hint> =>
  isProblem(response.headers)
    ? Effect.match(response.json, {
      onFailure: () => hint,
      onSuccess: (problem) => hintOfProblem(problem, hint),
    })
    : Effect.succeed(hint)

const isProblem = (headers: Headers.Headers): boolean =>
  headers["content-type"]?.startsWith("application/problem+json") === true && isSmall(headers)

const isSmall = (headers: Headers.Headers): boolean => {
  const length = headers["content-length"]
  return length !== undefined && Number(length) <= smallBody
}

const hint = (error: unknown, now: number): Hint =>
  error instanceof Answered ? error.hint : hintOf(error, now)

/** Time for the rest of an answer that nobody wants: what takes longer is not worth the connection. */
const discardMs = 100

/**
 * An answer that is not used: a small one is read, anything else is aborted. It is read as a stream,
 * because only that ends the request when its body does not come in time.
 */
const discard = (error: Failure): Effect.Effect<void> => {
  if (!(error instanceof Answered) || isProblem(error.response.headers)) return Effect.void
  const { headers, stream } = error.response
  const rest = Stream.runDrain(isSmall(headers) ? stream : Stream.take(stream, 1))
  return Effect.ignore(Effect.timeoutOption(rest, discardMs))
}

const answered = <E>(
  cause: Cause.Cause<E | Answered>,
): Effect.Effect<Response, Exclude<E, Answered>> => {
  const [reason] = cause.reasons
  return cause.reasons.length === 1 && reason?._tag === "Fail" && reason.error instanceof Answered
    ? Effect.succeed(reason.error.response)
    : Effect.failCause(cause as Cause.Cause<Exclude<E, Answered>>)
}
