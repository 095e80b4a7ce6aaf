/**
 * Ours before the pool of 10: an HttpApi, its policy, a bulkhead of the pool's size.
 * `weir.ts PORT CONTROL_PORT`.
 *
 * Nothing is tuned to the time of a query. A query of this pool cannot be ended once it runs, so its
 * slot is held until it has ended, whatever becomes of the request. How long the process takes to
 * refuse is measured around the handler that Deno calls.
 */
import { Context, Effect, Layer, Schema } from "effect"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { Bulkhead, Policy, Service, Supervised } from "../../../src/index.ts"
import { histogram, percentiles, record } from "../../load/summary.ts"
import { makePool } from "../peers/overload/pool.js"

const pool = makePool()

/** From the moment at which Deno hands a request over to its refusal, in ms, at 200 ms a query. */
const refusals = histogram()
const { serve } = Deno
type Handler = Deno.ServeHandler<Deno.NetAddr>
Deno.serve =
  ((options: Deno.ServeTcpOptions, handler: Handler) =>
    serve(options, async (request, info) => {
      const began = performance.now()
      const response = await handler(request, info)
      if (response.status === 503 && pool.ms() === 200) record(refusals, performance.now() - began)
      return response
    })) as typeof Deno.serve

const Answer = Schema.Struct({ query: Schema.Int, ms: Schema.Int })

class Gate extends Context.Service<Gate, Bulkhead.Bulkhead>()("bench/Gate") {
  // The reserve that `Database` asks for as well.
  static readonly layer = Layer.effect(
    Gate,
    Bulkhead.make({ name: "pool", capacity: 10, margin: 0.02 }),
  )
}

class Api extends HttpApi.make("overload").add(
  HttpApiGroup.make("queries").add(
    HttpApiEndpoint.get("ping", "/ping", { success: Schema.String }),
    HttpApiEndpoint.get("query", "/query", { success: Answer })
      .annotate(Policy.Policy, { deadline: "1 second", uses: ["pool"] }),
  ),
).middleware(Supervised.Supervised) {}

const QueriesLive = HttpApiBuilder.group(
  Api,
  "queries",
  Effect.fnUntraced(function* (handlers) {
    const gate = yield* Gate
    const query = gate.use(Effect.uninterruptible(Effect.promise(() => pool.query())))
    return handlers.handleAll({ ping: () => Effect.succeed("pong"), query: () => query })
  }),
)

pool.control(Number(Deno.args[1]), () => ({
  decidedMs: refusals.totalCount === 0 ? undefined : percentiles(refusals).p99,
}))
Service.run(Api, {
  handlers: QueriesLive,
  resources: Gate.layer,
  server: { port: Number(Deno.args[0]) },
})
