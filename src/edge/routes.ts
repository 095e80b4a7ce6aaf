import { Effect, Layer } from "effect"
import { Mistake } from "../internal/mistake.ts"
import { doorKey, type Doors } from "./compiling.ts"
import { FindMyWay, HttpRouter, type HttpServerRequest } from "effect/http"

/** Tells which methods a path has: what the router itself cannot, and a 405 must. */
export class RouteTable {
  private readonly finder = FindMyWay.make<string>()
  private readonly methods = new Set<string>()
  private readonly taken = new Set<string>()

  add(method: string, path: string): void {
    if (method === "*") return
    const key = doorKey(method, path)
    if (this.taken.has(key)) {
      throw new Mistake(
        `Two routes answer ${key}. Weir itself serves /tasks, /health, /saturation, /metrics, ` +
          "/openapi.json and /docs: choose another path.",
      )
    }
    this.taken.add(key)
    this.methods.add(method)
    this.finder.on(method, path as `/${string}`, path)
  }

  readonly allowed = (url: string): ReadonlyArray<string> => {
    const allowed: Array<string> = []
    for (const method of this.methods) {
      if (this.finder.find(method, url) !== undefined) allowed.push(method)
    }
    if (allowed.includes("GET") && !allowed.includes("HEAD")) allowed.push("HEAD")
    return allowed.sort()
  }

  /** The name of a request's span: its route, so that there are few of them. */
  readonly spanName = (request: HttpServerRequest.HttpServerRequest): string => {
    const route = this.finder.find(request.method, request.url)
    return route === undefined ? request.method : `${request.method} ${route.handler}`
  }
}

/** Effect's router, with every route that is added noted in the table. */
export const recording = (
  table: RouteTable,
  doors: Doors,
): Layer.Layer<HttpRouter.HttpRouter> =>
  Layer.effect(
    HttpRouter.HttpRouter,
    Effect.map(HttpRouter.make, (router): HttpRouter.HttpRouter => ({
      ...router,
      add: (method, path, handler, options) => {
        table.add(method, path)
        return router.add(method, path, handler, options)
      },
      addAll: (routes) => {
        for (const route of routes) table.add(route.method, route.path)
        return router.addAll(routes.map((route) => withDoor(doors, route))) as never
      },
    })),
  )

const withDoor = (doors: Doors, route: HttpRouter.Route<unknown, unknown>) => {
  const door = doors.get(doorKey(route.method, route.path))
  return door === undefined
    ? route
    : HttpRouter.route(route.method, route.path, door(route.handler), {
      uninterruptible: route.uninterruptible,
    })
}
