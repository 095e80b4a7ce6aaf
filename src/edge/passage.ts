import { Context, Effect, Exit, type Fiber, Scope } from "effect"
import { type HttpEffect, HttpRouter, HttpServerRequest } from "effect/http"
import type { HttpServerResponse } from "effect/http"
import { makeResources } from "../internal/resources.ts"
import { CurrentScope } from "../task/scope.ts"
import { answers } from "./answer.ts"
import type { Exchange } from "./exchange.ts"
import type { Found } from "./front.ts"
import * as Problem from "./Problem.ts"
import type { Run } from "./run.ts"

/** Sends a response to the platform. */
export type Respond = (
  request: HttpServerRequest.HttpServerRequest,
  response: HttpServerResponse.HttpServerResponse,
) => Effect.Effect<void>

/** Where `HttpEffect.appendPreResponseHandler` leaves its handler; Effect's own is internal. */
class RequestState {
  static readonly key = "effect/http/HttpEffect/CurrentRequestState"
  preResponseHandler: HttpEffect.PreResponseHandler | undefined = undefined
  loggerDisabled = false
}

/** The mark of a scope that somebody else closes; Effect's own is internal. */
const ejected: unique symbol = Symbol.for("effect/http/HttpEffect/scopeEjected")

/**
 * Runs an admitted request in the context of its handler: what `HttpEffect.toHandled`, the router and
 * the route of Effect do for it, in one frame. Effect's route is asked only to encode an error.
 */
export const pass = (
  run: Run,
  exchange: Exchange,
  request: HttpServerRequest.HttpServerRequest,
  found: Found,
  respond: Respond,
): Fiber.Fiber<unknown, unknown> => {
  const door = found.handler
  const own = makeResources()
  const state = new RequestState()
  const send = (
    response: HttpServerResponse.HttpServerResponse,
  ): Effect.Effect<unknown, unknown, unknown> => {
    const before = state.preResponseHandler
    if (before === undefined) {
      const sent = respond(request, response)
      if (sent === Effect.void) return close(own, Exit.succeed(response)) ?? sent
      return Effect.onExitPrimitive(sent, (exit) => close(own, exit), true)
    }
    return Effect.onExitPrimitive(
      Effect.flatMap(before(request, response), (response) => respond(request, response)),
      (exit) => close(own, exit),
      true,
    )
  }
  const context = within(run, request, found, own, state)
  const passed = Effect.withFiber((fiber) => {
    run.begin(fiber, own, context, exchange)
    return Effect.matchCauseEffect(door.handler, {
      onSuccess: (response) => send(run.succeeded(response)),
      onFailure: (cause) => {
        run.failed(cause)
        if (answers(cause)) return Effect.flatMap(Problem.fromCause(cause), send)
        exchange.entered = { start: () => Effect.failCause(cause) as never, giveBack: () => {} }
        return Effect.flatMap(Effect.catchCause(door.stock!, Problem.fromCause), send)
      },
    })
  })
  return Effect.runForkWith(context)(passed as Effect.Effect<unknown>, { uninterruptible: true })
}

/** What Effect adds to the context of a request, and the frame of its task. */
const within = (
  run: Run,
  request: HttpServerRequest.HttpServerRequest,
  found: Found,
  scope: Scope.Scope,
  state: RequestState,
): Context.Context<never> => {
  const { params, searchParams } = found
  const route = found.handler.route as HttpRouter.Route<never, never>
  let context: Context.Context<never> = found.handler.context!
  context = Context.add(context, HttpServerRequest.HttpServerRequest, request)
  context = Context.add(context, Scope.Scope, scope)
  context = Context.addUnsafe(context, RequestState.key, state as never)
  context = Context.add(context, HttpServerRequest.ParsedSearchParams, searchParams)
  context = Context.add(context, HttpRouter.RouteContext, { route, params })
  return run.within(Context.add(context, CurrentScope, run.scope))
}

const close = (
  scope: Scope.Closeable,
  exit: Exit.Exit<unknown, unknown>,
): Effect.Effect<void> | undefined => ejected in scope ? undefined : Scope.closeUnsafe(scope, exit)
