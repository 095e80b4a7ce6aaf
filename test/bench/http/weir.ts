/**
 * Ours. `weir.ts PORT bare|text|api|refused`.
 *
 * `bare` is a route on `Server`: its fiber is owned, cancelled when the client leaves, drained at
 * shutdown. `text` is the same route as a task: named, in the tree, with deadline and admission.
 * `api` is an HttpApi whose endpoints have a policy: a deadline, and a pool they use. `refused` is
 * the same API while that pool is full.
 */
import { Context, Effect, Layer, Schema } from "effect"
import { HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import * as Admission from "../../../src/admission/Admission.ts"
import { nobody } from "../../../src/admission/Caller.ts"
import { Compiled } from "../../../src/edge/compiled.ts"
import * as Policy from "../../../src/edge/Policy.ts"
import * as Server from "../../../src/edge/Server.ts"
import * as Supervised from "../../../src/edge/Supervised.ts"
import { supervise } from "../../../src/edge/supervise.ts"
import * as Bulkhead from "../../../src/pool/Bulkhead.ts"
import * as Service from "../../../src/service/Service.ts"
import { TaskTree } from "../../../src/task/TaskTree.ts"
import * as Metrics from "../../../src/telemetry/Metrics.ts"
import { Order, Stock } from "./effect_api.ts"
import { helloText, portOf, stockOf } from "./shared.ts"

const kind = Deno.args[1]
const server: Server.Options = { port: portOf() }
const hello = Effect.sync(() => HttpServerResponse.text(helloText))

const Routes = Layer.effectDiscard(Effect.gen(function* () {
  const router = yield* HttpRouter.HttpRouter
  const admission = yield* Admission.Admission
  const tree = (yield* TaskTree).unsafe
  const metrics = (yield* Metrics.Metrics).endpoint("hello", "GET")
  const compiled = new Compiled("hello", Policy.resolve("hello", {}), [], metrics)
  yield* router.add(
    "GET",
    "/hello",
    kind === "bare"
      ? hello
      : supervise(compiled, { admission, tree, callers: nobody }, hello) as typeof hello,
  )
  const http = yield* HttpServer.HttpServer
  yield* http.serve(router.asHttpEffect())
})).pipe(
  Layer.provide(HttpRouter.layer),
  Layer.provide(Server.layer(server)),
  Layer.provide(Admission.layer()),
)

class Pool extends Context.Service<Pool, Bulkhead.Bulkhead>()("bench/Pool") {}

const PoolLive = Layer.effect(Pool)(Effect.gen(function* () {
  const options = { name: "pool", capacity: 64, queueCapacity: 64 }
  const pool = yield* Bulkhead.make(
    kind === "refused" ? { ...options, maxWait: "1 day" } : options,
  )
  if (kind === "refused") {
    // Slots and line stay full as long as the process lives.
    yield* Effect.forEach(
      Array.from({ length: 128 }),
      () => Effect.forkScoped(pool.use(Effect.never), { startImmediately: true }),
      { discard: true },
    )
  }
  return pool
}))

const policy: Policy.Policy = { deadline: "500 millis", uses: ["pool"] }

class StockApi extends HttpApi.make("stock").add(
  HttpApiGroup.make("stock").add(
    HttpApiEndpoint.get("look", "/stock/:sku", { params: { sku: Schema.String }, success: Stock })
      .annotate(Policy.Policy, policy),
    HttpApiEndpoint.post("order", "/orders", { payload: Order, success: Stock })
      .annotate(Policy.Policy, policy),
  ),
).middleware(Supervised.Supervised) {}

const StockLive = HttpApiBuilder.group(
  StockApi,
  "stock",
  Effect.fnUntraced(function* (handlers) {
    const pool = yield* Pool
    return handlers.handleAll({
      look: ({ params }) => pool.use(Effect.sync(() => stockOf(params.sku))),
      order: ({ payload }) => pool.use(Effect.sync(() => stockOf(payload.sku, payload.count))),
    })
  }),
)

const Main = kind === "api" || kind === "refused"
  ? Service.layer(StockApi, { handlers: StockLive, resources: PoolLive, server })
  : Routes

await Effect.runPromise(Effect.scoped(Effect.andThen(Layer.build(Main), Effect.never)))
