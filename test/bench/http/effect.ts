/**
 * Effect's own HTTP server side, without Weir: `HttpRouter.toWebHandler` under `Deno.serve`.
 * `effect.ts PORT text|api`.
 */
import { Effect, Layer } from "effect"
import { HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { helloText, portOf, stockOf } from "./shared.ts"
import { StockApi } from "./effect_api.ts"

const Text = HttpRouter.add(
  "GET",
  "/hello",
  Effect.sync(() => HttpServerResponse.text(helloText)),
)

const Api = HttpApiBuilder.layer(StockApi).pipe(
  Layer.provide(HttpApiBuilder.group(
    StockApi,
    "stock",
    (handlers) =>
      handlers.handleAll({
        look: ({ params }) => Effect.sync(() => stockOf(params.sku)),
        order: ({ payload }) => Effect.sync(() => stockOf(payload.sku, payload.count)),
      }),
  )),
)

// The request logger costs more than the rest of a request; a service that cares turns it off.
const { handler } = HttpRouter.toWebHandler(
  (Deno.args[1] === "text" ? Text : Api).pipe(Layer.provide(HttpServer.layerServices)),
  { disableLogger: true },
)
Deno.serve(
  { port: portOf(), hostname: "127.0.0.1", onListen: () => {} },
  (request) => handler(request),
)
