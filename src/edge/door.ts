import { Context, Effect, Scope } from "effect"
import type { Fiber } from "effect"
import { HttpRouter, HttpServerRequest } from "effect/http"
import * as Spans from "../telemetry/Spans.ts"
import type { Compiled, Env, Handler } from "./compiled.ts"
import { Current } from "./Principal.ts"

/** Routes of endpoints that can be decided before Effect prepares their handlers. */
export type Doors = Map<string, Door>

/** The key of a route in {@link Doors}. */
export const doorKey = (method: string, path: string): string => `${method} ${path}`

/** What differs from request to request; the last is Effect's own and internal. */
const perRequest: ReadonlyArray<string> = [
  HttpServerRequest.HttpServerRequest.key,
  HttpServerRequest.ParsedSearchParams.key,
  HttpRouter.RouteContext.key,
  Scope.Scope.key,
  "effect/http/HttpEffect/CurrentRequestState",
  Current.key,
]

/**
 * An endpoint whose outermost middleware is supervision. Effect's route around its handler does three
 * things: it merges the context in which the handler was built into that of the request, encodes the
 * errors that the endpoint declares, and reports failures. The first gives the same result for every
 * request, so it is taken over from the first one; the others matter only for a failure, which is
 * sent through that route when there is one.
 */
export class Door {
  readonly endpoint: Compiled
  readonly env: Env
  /** The handler below all of that; it decodes, runs the inner middlewares, and encodes. */
  handler: Handler<unknown>
  /** Effect's route, without our decision before it. */
  route: HttpRouter.Route<unknown, unknown> | undefined = undefined
  /** Effect's route as its handler sees it, run where it may be interrupted. */
  stock: Handler<unknown> | undefined = undefined
  /** What the handler's context has in common for all requests; unknown before the first. */
  context: Context.Context<never> | undefined = undefined

  constructor(endpoint: Compiled, env: Env, handler: Handler<unknown>) {
    this.endpoint = endpoint
    this.env = env
    this.handler = handler
  }

  /** Told once, by the router. */
  taken(route: HttpRouter.Route<unknown, unknown>): void {
    this.route = route
    this.stock = route.handler
    if (route.uninterruptible) return
    this.handler = Effect.interruptible(this.handler)
    this.stock = Effect.interruptible(this.stock)
  }

  /** Told by a request that has come to the handler through Effect's route. */
  learn(fiber: Fiber.Fiber<unknown, unknown>): void {
    // A tracer that only the handlers have would make a span of the request itself.
    if (Spans.isTracing(fiber)) return
    const services = new Map(fiber.context.mapUnsafe)
    for (const key of perRequest) services.delete(key)
    this.context = Context.makeUnsafe(services, { maxDepth: 32 })
  }
}
