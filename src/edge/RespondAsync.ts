/**
 * Answers later: `Prefer: respond-async` (RFC 7240), `202 Accepted` and the store of results.
 *
 * **Details** – *bounded by* the number and the bytes of results, and the time they are kept;
 * *owned by* the service; *seen in* `/saturation` as `results`.
 *
 * @module
 */
import {
  type ByteSize,
  Clock,
  Context,
  type Duration,
  Effect,
  type Fiber,
  identity,
  Layer,
} from "effect"
import { HttpEffect, HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import type { Caller } from "../admission/Caller.ts"
import { isRefusal } from "../bounded/Refused.ts"
import { register } from "../bounded/Saturation.ts"
import { durationMs, sizeBytes } from "../internal/setting.ts"
import { info } from "../task/TaskTree.ts"
import type { Compiled } from "./compiled.ts"
import { Detached, detachedOf } from "./detached.ts"
import { identify } from "./identify.ts"
import { parsePrefer, type Preferences } from "./prefer.ts"
import { randomOf } from "./jitter.ts"
import * as Problem from "./Problem.ts"
import { type Bounds, type Place, type Result, type Results, ResultStore } from "./results.ts"
import { type Env, supervise } from "./supervise.ts"
import { json, liveView } from "./view.ts"

export type { Place, Result, Results }

/**
 * Options of {@link layer}.
 *
 * **Details** – a task that was promised a place counts with `maxBytes` until it has ended, so at
 * most `totalBytes / maxBytes` (256) of them run at once.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Results kept and promised. Default 1,024. */
  readonly count?: number
  /** Bytes of all of them. Default 64 MiB. */
  readonly totalBytes?: ByteSize.Input
  /** Bytes of one; a larger one is replaced by a problem that says so. Default 256 KiB. */
  readonly maxBytes?: ByteSize.Input
  /** How long a result is kept at most. Default 10 minutes. */
  readonly ttl?: Duration.Input
  /**
   * How long a result that nobody has fetched is kept in any case: until then newcomers are refused
   * rather than this one forgotten. Default 1 minute.
   */
  readonly guaranteed?: Duration.Input
  /** The longest `wait` that a client may ask for. Default 30 seconds. */
  readonly maxWait?: Duration.Input
}

/**
 * What asynchronous answers need of the service.
 *
 * @category models
 * @since 0.1.0
 */
export interface RespondAsync {
  /** Finished answers. */
  readonly results: Results
  /** The longest `wait`, in milliseconds. */
  readonly maxWaitMs: number
  /** Bytes of one result. */
  readonly maxBytes: number
}

/**
 * The service.
 *
 * @category services
 * @since 0.1.0
 */
export const RespondAsync: Context.Service<RespondAsync, RespondAsync> = Context.Service<
  RespondAsync
>("weir/edge/RespondAsync")

/**
 * Makes the store of results and registers it as the bounded thing `results`.
 *
 * **Fails with** – nothing; bounds that make no sense die with one sentence.
 *
 * **Interruption** – does not wait.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options = {}): Layer.Layer<RespondAsync> =>
  Layer.effect(
    RespondAsync,
    Effect.suspend(() => {
      const results = new ResultStore(bounds(options))
      return Effect.as(register(results), {
        results,
        maxWaitMs: durationMs("async.maxWait", options.maxWait ?? "30 seconds"),
        maxBytes: results.bounds.maxBytes,
      })
    }),
  )

const bounds = (options: Options): Bounds => ({
  count: options.count ?? 1024,
  totalBytes: sizeBytes("async.totalBytes", options.totalBytes, 64 * 1024 * 1024),
  maxBytes: sizeBytes("async.maxBytes", options.maxBytes, 256 * 1024),
  ttlMs: durationMs("async.ttl", options.ttl ?? "10 minutes"),
  guaranteedMs: durationMs("async.guaranteed", options.guaranteed ?? "1 minute"),
})

type Handler<E> = Effect.Effect<HttpServerResponse.HttpServerResponse, E, unknown>

/**
 * Runs one request that may be answered later: a place for its result, then a task of its own that
 * is admitted, supervised and accounted like any other, and outlives the connection.
 *
 * That task runs the whole route once more, with a request of its own, because the errors that an
 * endpoint declares are encoded outside of this middleware; there it is supervised as usual.
 *
 * Until the client has been told where to find the task, its leaving cancels it with `ClientAbort`:
 * nobody could ever ask for that result.
 */
export const respondAsync = <E>(
  endpoint: Compiled,
  env: Env,
  service: RespondAsync,
  inner: Handler<E>,
): Handler<E> => {
  const ordinary = supervise(endpoint, env, inner)
  return Effect.withFiber((fiber) => {
    const request = Context.getUnsafe(
      fiber.context as Context.Context<HttpServerRequest.HttpServerRequest>,
      HttpServerRequest.HttpServerRequest,
    )
    const running = detachedOf(request)
    if (running !== undefined) return supervise(endpoint, env, running.buffering(inner))
    const prefer = parsePrefer(request.headers["prefer"])
    if (endpoint.policy.async !== "always" && !prefer.respondAsync) return ordinary
    // Before a place is promised and a body read: for nobody, neither is.
    const now = fiber.getRef(Clock.Clock).currentTimeMillisUnsafe()
    return identify(
      endpoint,
      env,
      request,
      now,
      identity,
      (caller) => start(endpoint, service, request, prefer, fiber, caller),
    )
  }) as Handler<E>
}

const start = (
  endpoint: Compiled,
  service: RespondAsync,
  request: HttpServerRequest.HttpServerRequest,
  prefer: Preferences,
  fiber: Fiber.Fiber<unknown, unknown>,
  caller: Caller | undefined,
): Handler<never> => {
  const clock = fiber.getRef(Clock.Clock)
  const place = service.results.promise(clock.currentTimeMillisUnsafe())
  if (isRefusal(place)) {
    endpoint.metrics.started()
    endpoint.metrics.refused(place.reason)
    endpoint.metrics.ended()
    return Effect.succeed(Problem.render(Problem.fromRefusal(place), randomOf(fiber)))
  }
  const { route } = Context.getUnsafe(
    fiber.context as Context.Context<HttpRouter.RouteContext>,
    HttpRouter.RouteContext,
  )
  const detached = new Detached(request, place, service.maxBytes, caller)
  detached.started(
    Effect.runForkWith(
      Context.add(fiber.context, HttpServerRequest.HttpServerRequest, detached.head),
    )(HttpEffect.toHandled(
      Effect.catchCause(
        Effect.interruptible(route.handler as Handler<unknown>),
        Problem.fromCause,
      ),
      (_, response) => detached.respond(response),
    ) as Effect.Effect<void>),
  )
  const waitMs = Math.min((prefer.wait ?? 0) * 1000, service.maxWaitMs)
  const waited = waitMs > 0
    ? Effect.andThen(detached.buffered, Effect.timeoutOption(detached.answered, waitMs))
    // One turn, for work that never waits: decoding a body from memory takes a few microtasks.
    : Effect.andThen(detached.buffered, Effect.yieldNow)
  return Effect.map(
    Effect.onInterrupt(waited, () => Effect.sync(() => detached.abort())),
    () => {
      const record = detached.record
      if (detached.response !== undefined || record === undefined) {
        return HttpServerResponse.setHeaders(detached.deliver(), {
          "preference-applied": prefer.wait === undefined ? "respond-async" : applied(waitMs),
          vary: "prefer",
        })
      }
      const now = clock.currentTimeMillisUnsafe()
      const leftMs = expectedMs(endpoint) - (now - record.startedAt)
      return json(liveView(info(record, now)), {
        status: 202,
        headers: {
          location: `/tasks/${detached.promise()}`,
          "preference-applied": waitMs === 0
            ? "respond-async"
            : `respond-async, ${applied(waitMs)}`,
          "retry-after": String(Math.max(1, Math.ceil(leftMs / 1000))),
          "cache-control": "no-store",
          vary: "prefer",
        },
      })
    },
  )
}

const applied = (waitMs: number): string => `wait=${Math.floor(waitMs / 1000)}`

/** What the endpoint is expected to take in all. */
const expectedMs = (endpoint: Compiled): number =>
  endpoint.service.known ? endpoint.service.estimate : endpoint.policy.expectedMs ?? 1000
