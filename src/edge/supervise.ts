import { Clock, Context, Effect, Fiber, identity } from "effect"
import { HttpServerRequest, type HttpServerResponse } from "effect/http"
import type { Ticket } from "../bounded/Bounded.ts"
import { isRefusal, type Refusal } from "../bounded/Refused.ts"
import * as Spans from "../telemetry/Spans.ts"
import type { Compiled, Env, Handler } from "./compiled.ts"
import { exchangeOf } from "./exchange.ts"
import { randomOf } from "./jitter.ts"
import { renderRefusal } from "./refusal.ts"
import { Ask, Run } from "./run.ts"

export type { Env, Handler } from "./compiled.ts"

/**
 * Runs one request: deadline, admission, task, handler, answer.
 *
 * The task is the request fiber itself, which is a root fiber already: no fork. It lasts until the
 * request scope closes, and so covers a streamed body. When it is cancelled and does not end within
 * that turn, the client is answered at once and the cleanup goes on behind the answer.
 */
export const supervise = <E>(endpoint: Compiled, env: Env, inner: Handler<E>): Handler<E> => {
  const restored = Effect.interruptible(inner)
  // Uninterruptible from here to the handler: between taking the tickets and whatever gives them
  // back the fiber may yield, and must not be interrupted there.
  return Effect.uninterruptibleMask((restore) => {
    const fiber = Fiber.getCurrent()!
    const handler = restore === identity ? inner : restored
    const request = requestOf(fiber)
    const exchange = exchangeOf(request)
    const entered = exchange?.entered
    if (exchange !== undefined && entered !== undefined) {
      exchange.entered = undefined
      if (exchange.door?.context === undefined) exchange.door?.learn(fiber)
      return entered.start(fiber, exchange, handler)
    }
    const clock = fiber.getRef(Clock.Clock)
    const ask = new Ask(endpoint, env, request, clock.currentTimeMillisUnsafe())
    const proceed = (tickets: ReadonlyArray<Ticket> | Refusal): Handler<E> =>
      isRefusal(tickets)
        ? refuse(endpoint, fiber, tickets)
        : new Run(endpoint, env, clock, ask, tickets).start(fiber, exchange, handler)
    return Spans.isTracing(fiber)
      ? Effect.flatMap(traced(endpoint, env, ask), proceed)
      : proceed(env.admission.enter(endpoint.uses, ask))
  })
}

/**
 * Decides about a request at its route, before Effect has prepared anything for the handler. What is
 * admitted is taken over by {@link supervise} further in, or given back when the request ends
 * without having got there.
 */
export const atTheDoor = <E>(endpoint: Compiled, env: Env, route: Handler<E>): Handler<E> =>
  Effect.withFiber((fiber) => {
    const request = requestOf(fiber)
    const exchange = exchangeOf(request)
    // With a tracer the decision is a span, which belongs inside the request's.
    if (exchange === undefined || exchange.entered !== undefined || Spans.isTracing(fiber)) {
      return route
    }
    const clock = fiber.getRef(Clock.Clock)
    const ask = new Ask(endpoint, env, request, clock.currentTimeMillisUnsafe())
    const tickets = env.admission.enter(endpoint.uses, ask)
    if (isRefusal(tickets)) return refuse(endpoint, fiber, tickets)
    exchange.entered = new Run(endpoint, env, clock, ask, tickets)
    return route
  })

const requestOf = (
  fiber: Fiber.Fiber<unknown, unknown>,
): HttpServerRequest.HttpServerRequest =>
  Context.getUnsafe(
    fiber.context as Context.Context<HttpServerRequest.HttpServerRequest>,
    HttpServerRequest.HttpServerRequest,
  )

const refuse = (
  endpoint: Compiled,
  fiber: Fiber.Fiber<unknown, unknown>,
  refusal: Refusal,
): Effect.Effect<HttpServerResponse.HttpServerResponse> => {
  endpoint.refused(refusal.reason)
  return Effect.succeed(renderRefusal(refusal, randomOf(fiber)))
}

/** The decision of admission as a span. */
const traced = (endpoint: Compiled, env: Env, ask: Ask) =>
  Spans.withSpan("Admission.admit", {
    attributes: () => ({
      [Spans.attributes.endpoint]: endpoint.name,
      [Spans.attributes.uses]: endpoint.policy.uses.join(","),
    }),
  })(Effect.suspend((): Effect.Effect<ReadonlyArray<Ticket> | Refusal> => {
    const tickets = env.admission.enter(endpoint.uses, ask)
    return isRefusal(tickets)
      ? Effect.as(
        Effect.annotateCurrentSpan({
          [Spans.attributes.refusedReason]: tickets.reason,
          [Spans.attributes.refusedResource]: tickets.resource,
        }),
        tickets,
      )
      : Effect.succeed(tickets)
  }))
