/**
 * Ours before the pool of 10: an HttpApi, its policy, a bulkhead of the pool's size.
 * `weir.ts PORT CONTROL_PORT`.
 *
 * Nothing is tuned to the time of a query. A query of this pool cannot be ended once it runs, so its
 * slot is held until it has ended, whatever becomes of the request.
 */
import { Context, Effect, Layer, Schema } from "effect"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { Bulkhead, Policy, Service, Supervised } from "../../../src/index.ts"
import { makePool } from "../peers/overload/pool.js"

const pool = makePool()
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

pool.control(Number(Deno.args[1]))
Service.run(Api, {
  handlers: QueriesLive,
  resources: Gate.layer,
  server: { port: Number(Deno.args[0]) },
})
