import { Effect, Layer } from "effect"
import { Mistake } from "../internal/mistake.ts"
import { FindMyWay, HttpRouter, type HttpServerRequest } from "effect/http"
import { type Door, doorKey, type Doors } from "./door.ts"
import { Front } from "./front.ts"
import { atTheDoor } from "./supervise.ts"

export { CurrentFront } from "./front.ts"

/** Tells which methods a path has: what the router itself cannot, and a 405 must. */
export class RouteTable {
  /** Set when the router is made. */
  front: Front | undefined = undefined
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
    Effect.gen(function* () {
      const router = yield* HttpRouter.make
      const front = new Front(yield* HttpRouter.RouterConfig)
      table.front = front
      return {
        ...router,
        add: (method, path, handler, options) => {
          table.add(method, path)
          front.add(method, path, undefined)
          return router.add(method, path, handler, options)
        },
        addAll: (routes) => {
          for (const route of routes) table.add(route.method, route.path)
          return router.addAll(routes.map((route) => {
            const door = doors.get(doorKey(route.method, route.path))
            front.add(route.method, route.path, door)
            return door === undefined ? route : withDoor(door, route)
          })) as never
        },
        addGlobalMiddleware: (middleware) => {
          // It has to see every request.
          front.close()
          return router.addGlobalMiddleware(middleware)
        },
      } satisfies HttpRouter.HttpRouter
    }),
  )

const withDoor = (door: Door, route: HttpRouter.Route<unknown, unknown>) => {
  door.taken(route)
  return HttpRouter.route(
    route.method,
    route.path,
    atTheDoor(door.endpoint, door.env, route.handler),
    { uninterruptible: route.uninterruptible },
  )
}
