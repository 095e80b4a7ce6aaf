import { ByteSize, Cause, Context, Effect, Fiber, type Scope } from "effect"
import {
  HttpEffect,
  HttpIncomingMessage,
  type HttpMiddleware,
  HttpServerRequest,
} from "effect/http"
import type { HttpServerResponse } from "effect/http"
import * as CancelReason from "../task/CancelReason.ts"
import { internalPlatform, renderPlatform } from "./answer.ts"
import { attach, Exchange, exchangeOf } from "./exchange.ts"
import { incoming } from "./incoming.ts"
import { randomOf } from "./jitter.ts"
import * as Problem from "./Problem.ts"
import { toPlatform } from "./respond.ts"

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
): Deno.ServeHandler => {
  const limited = maxBodyBytes === Infinity ? context : Context.add(
    context,
    HttpIncomingMessage.MaxBodySize,
    ByteSize.bytes(maxBodyBytes),
  )
  const handled = HttpEffect.toHandled(
    Effect.catchCause(app, Problem.fromCause),
    (request, response) => {
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
    },
    middleware,
  ) as Effect.Effect<void>
  return (source, info) => {
    const exchange = new Exchange()
    exchange.info = info
    attach(source, exchange)
    const fiber = Effect.runForkWith(
      Context.add(
        announced(source) <= maxBodyBytes ? context : limited,
        HttpServerRequest.HttpServerRequest,
        incoming(source),
      ),
    )(handled)
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
    const onAbort = () => {
      if (exchange.record !== undefined) exchange.record.cancel(CancelReason.ClientAbort)
      else {
        fiber.interruptUnsafe(undefined, CancelReason.annotations(CancelReason.ClientAbort))
        exchange.stop?.(CancelReason.ClientAbort)
      }
    }
    const signal = source.signal
    if (signal.aborted) onAbort()
    else signal.addEventListener("abort", onAbort, { once: true })
    exchange.onEnd = () => {
      live.delete(exchange)
      signal.removeEventListener("abort", onAbort)
    }
    fiber.addObserver(() => {
      if (!exchange.answered) exchange.answer(internalPlatform())
      if (!exchange.streams) exchange.end()
    })
    return exchange.early ?? exchange.wait()
  }
}

/**
 * The length of the body as its head announces it; the platform never hands over more. Such a body
 * is read in one go, where Effect's counting reader would cost several times the whole request. A
 * body without a length counts as too long, and is counted.
 */
const announced = (source: Request): number => {
  if (source.method === "GET" || source.method === "HEAD") return 0
  const length = source.headers.get("content-length")
  return length !== null && /^\d+$/.test(length)
    ? Number(length)
    : source.body === null
    ? 0
    : Infinity
}
