import { Effect } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"

type Method = "GET" | "DELETE"
type Answer = Effect.Effect<HttpServerResponse.HttpServerResponse>

/**
 * The routes of one path: its methods, and `OPTIONS` that lists them. The router serves `HEAD` with
 * the handler of `GET`.
 */
export const resource = (
  path: `/${string}`,
  methods: { readonly [M in Method]?: (request: HttpServerRequest.HttpServerRequest) => Answer },
): ReadonlyArray<HttpRouter.Route<never, HttpServerRequest.HttpServerRequest>> => {
  const entries = Object.entries(methods) as ReadonlyArray<
    [Method, (request: HttpServerRequest.HttpServerRequest) => Answer]
  >
  const allow = [
    ...entries.flatMap(([method]) => method === "GET" ? ["GET", "HEAD"] : [method]),
    "OPTIONS",
  ].sort().join(", ")
  return [
    ...entries.map(([method, handler]) =>
      HttpRouter.route(method, path, Effect.flatMap(HttpServerRequest.HttpServerRequest, handler))
    ),
    HttpRouter.route(
      "OPTIONS",
      path,
      Effect.succeed(HttpServerResponse.empty({ status: 204, headers: { allow } })),
    ),
  ]
}
