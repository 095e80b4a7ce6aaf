import {
  ByteSize,
  Cause,
  Clock,
  Context,
  Effect,
  Fiber,
  Random,
  Scheduler,
  type Scope,
  Tracer,
} from "effect"
import {
  HttpEffect,
  HttpIncomingMessage,
  type HttpMiddleware,
  HttpServerRequest,
} from "effect/http"
import type { HttpServerResponse } from "effect/http"
import { isRefusal } from "../bounded/Refused.ts"
import * as CancelReason from "../task/CancelReason.ts"
import { internalPlatform, renderPlatform } from "./answer.ts"
import { attach, Exchange, exchangeOf } from "./exchange.ts"
import type { Front } from "./front.ts"
import { headerOf } from "./head.ts"
import { incoming, pathOf } from "./incoming.ts"
import { randomOf } from "./jitter.ts"
import * as Problem from "./Problem.ts"
import { pass } from "./passage.ts"
import { refusalPlatform } from "./refusal.ts"
import { toPlatform } from "./respond.ts"
import { Ask, Run } from "./run.ts"

/** What a server serves. */
export type App = Effect.Effect<
  HttpServerResponse.HttpServerResponse,
  unknown,
  HttpServerRequest.HttpServerRequest | Scope.Scope
>

/**
 * Compiles an app into the platform's handler. It needs no socket, so that tests can drive it in
 * virtual time.
 */
export const makeHandler = (
  app: App,
  context: Context.Context<Scope.Scope>,
  middleware: HttpMiddleware.HttpMiddleware | undefined,
  live: Set<Exchange>,
  maxBodyBytes = Infinity,
  front?: Front,
): Deno.ServeHandler => {
  const limited = maxBodyBytes === Infinity ? context : Context.add(
    context,
    HttpIncomingMessage.MaxBodySize,
    ByteSize.bytes(maxBodyBytes),
  )
  const respond = (
    request: HttpServerRequest.HttpServerRequest,
    response: HttpServerResponse.HttpServerResponse,
  ): Effect.Effect<void> => {
    const exchange = exchangeOf(request)!
    const { context } = Fiber.getCurrent()!
    try {
      exchange.answer(toPlatform(response, request, context, exchange))
    } catch (defect) {
      // The platform takes no such status or header. Thrown on, it would leave the request's scope
      // open for ever, and with it the task and its tickets.
      exchange.stop?.(CancelReason.Requested("server", "the response cannot be sent"))
      exchange.answer(internalPlatform())
      return Effect.logError(
        `A response cannot be sent; this is a bug. ${request.method} ` +
          request.url.split("?")[0],
        Cause.die(defect),
      )
    }
    // An effect that is done already lets Effect close the request's scope at once.
    return Effect.void
  }
  const handled = HttpEffect.toHandled(
    Effect.catchCause(app, Problem.fromCause),
    respond,
    middleware,
  ) as Effect.Effect<void>
  const hall = { live, turn: Context.get(context, Scheduler.Scheduler).makeDispatcher() }
  const clock = Context.get(context, Clock.Clock)
  const random = Context.get(context, Random.Random)
  // What looks at every request, middleware or tracer, has to get every request.
  const doors = middleware === undefined &&
      Context.get(context, Tracer.Tracer) === Tracer.nativeTracer
    ? front
    : undefined
  return (source, info) => {
    const path = pathOf(source.url)
    const fits = announced(source) <= maxBodyBytes
    const found = fits ? doors?.find(source.method, path) : undefined
    if (found === undefined) {
      const request = incoming(source, path)
      const exchange = open(source, info)
      return settle(
        exchange,
        source,
        hall,
        Effect.runForkWith(
          Context.add(fits ? context : limited, HttpServerRequest.HttpServerRequest, request),
        )(handled),
      )
    }
    const door = found.handler
    const { endpoint, env } = door
    const ask = new Ask(endpoint, env, source, clock.currentTimeMillisUnsafe())
    const tickets = env.admission.enter(endpoint.uses, ask)
    if (isRefusal(tickets)) {
      endpoint.refused(tickets.reason)
      return refusalPlatform(tickets, random.nextDoubleUnsafe())
    }
    const exchange = open(source, info)
    const request = incoming(source, path)
    const run = new Run(endpoint, env, clock, ask, tickets)
    if (door.context !== undefined) {
      return settle(exchange, source, hall, pass(run, exchange, request, found, respond))
    }
    exchange.entered = run
    exchange.door = door
    const first = Context.add(context, HttpServerRequest.HttpServerRequest, request)
    return settle(exchange, source, hall, Effect.runForkWith(first)(handled))
  }
}

const open = (source: Request, info: Deno.ServeHandlerInfo): Exchange => {
  const exchange = new Exchange(true)
  exchange.info = info
  attach(source, exchange)
  return exchange
}

/** What the requests of one server share. */
interface Hall {
  readonly live: Set<Exchange>
  readonly turn: Scheduler.SchedulerDispatcher
}

/** The answer, if the fiber has ended within its first turn; otherwise what happens until it has. */
const settle = (
  exchange: Exchange,
  source: Request,
  { live, turn }: Hall,
  fiber: Fiber.Fiber<unknown, unknown>,
): Response | Promise<Response> => {
  const exit = fiber.pollUnsafe()
  if (exit !== undefined && !exchange.streams) {
    exchange.end()
    return exchange.early ?? internalPlatform()
  }
  exchange.suspended = (record) => {
    if (record.outcome !== undefined) return
    record.armDeadline()
    // What cannot end within its cancel is answered before it has.
    record.onCancel((reason) => {
      if (!exchange.answered) {
        exchange.answer(renderPlatform(
          Problem.fromCancel(reason),
          randomOf(fiber),
        ))
      }
    })
  }
  if (exchange.record !== undefined) exchange.suspended(exchange.record)
  live.add(exchange)
  let signal: AbortSignal | undefined
  const onAbort = () => {
    if (exchange.record !== undefined) exchange.record.cancel(CancelReason.ClientAbort)
    else {
      fiber.interruptUnsafe(undefined, CancelReason.annotations(CancelReason.ClientAbort))
      exchange.stop?.(CancelReason.ClientAbort)
    }
  }
  exchange.onEnd = () => {
    live.delete(exchange)
    signal?.removeEventListener("abort", onAbort)
  }
  // To look at the signal costs 4 µs and more; most requests that suspend for a body, or for an
  // actor, have ended within the turn.
  turn.scheduleTask(() => {
    if (!live.has(exchange)) return
    signal = source.signal
    if (signal.aborted) onAbort()
    else signal.addEventListener("abort", onAbort, { once: true })
  }, 0)
  fiber.addObserver(() => {
    if (!exchange.answered) exchange.answer(internalPlatform())
    if (!exchange.streams) exchange.end()
  })
  return exchange.early ?? exchange.wait()
}

/**
 * The length of the body as its head announces it; the platform never hands over more. Such a body
 * is read in one go, where Effect's counting reader would cost several times the whole request. A
 * body without a length counts as too long, and is counted.
 */
const announced = (source: Request): number => {
  if (source.method === "GET" || source.method === "HEAD") return 0
  const length = headerOf(source, "content-length")
  return length !== null && /^\d+$/.test(length)
    ? Number(length)
    : source.body === null
    ? 0
    : Infinity
}
