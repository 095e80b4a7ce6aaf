import { expect, it } from "@effect/vitest"
import { Context, Deferred, Effect, Fiber, Layer, Schema } from "effect"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { Admission, RateLimit, Server, Service, Supervised } from "@weir/runtime"

interface Stats {
  readonly name: string
  readonly inUse: number
}

class Api extends HttpApi.make("desk").add(
  HttpApiGroup.make("limits").add(
    HttpApiEndpoint.get("hold", "/hold", { success: Schema.String }),
    HttpApiEndpoint.put("change", "/limit/:places", {
      params: { places: Schema.FiniteFromString },
      success: Schema.Finite,
    }),
    HttpApiEndpoint.put("dark", "/dark", { success: Schema.String }),
    HttpApiEndpoint.put("calm", "/calm", { success: Schema.String }),
  ),
).middleware(Supervised.Supervised) {}

it.live("a handler changes the limits of the running service", () =>
  Effect.gen(function* () {
    const gate = yield* Deferred.make<void>()
    const handlers = HttpApiBuilder.group(
      Api,
      "limits",
      Effect.fnUntraced(function* (handlers) {
        const admission = yield* Admission.Admission
        return handlers.handleAll({
          // Asked for in the handler, which the type of `handlers` allows for what a service gives.
          dark: () => Effect.as(Admission.update({ modes: { concurrency: "dark" } }), "dark"),
          calm: () =>
            Effect.map(RateLimit.RateLimit, (limits) => {
              limits.set({ peer: { requests: 1, per: "1 minute" } })
              return "calmed"
            }),
          hold: () => Effect.as(Deferred.await(gate), "held"),
          change: ({ params }) =>
            Effect.sync(() => {
              admission.update({ maxConcurrent: params.places })
              return admission.limits.maxConcurrent
            }),
        })
      }),
    )
    const context = yield* Layer.build(Service.layer(Api, { handlers, server: { port: 0 } }))
    const { port } = Context.get(context, Server.Server)
    const call = (path: string, method = "GET") =>
      Effect.promise(async () => {
        const response = await fetch(`http://127.0.0.1:${port}${path}`, { method })
        return [response.status, await response.json()] as const
      })
    expect(yield* call("/limit/2", "PUT")).toEqual([200, 2])
    // One is inside while it changes the limit, so one more may come.
    const held = yield* Effect.forkChild(call("/hold"), { startImmediately: true })
    while (true) {
      const [, { bounded }] = yield* call("/saturation")
      if (bounded.some((one: Stats) => one.name === "admission" && one.inUse === 1)) break
    }
    expect(yield* call("/limit/1", "PUT")).toEqual([200, 1])
    expect(yield* call("/hold")).toMatchObject([503, { reason: "QueueFull", capacity: 1 }])
    expect(yield* call("/dark", "PUT")).toMatchObject([503, { reason: "QueueFull" }])
    yield* Deferred.succeed(gate, undefined)
    expect(yield* Fiber.join(held)).toEqual([200, "held"])
    expect(yield* call("/dark", "PUT")).toEqual([200, "dark"])
    expect(yield* call("/calm", "PUT")).toEqual([200, "calmed"])
    expect(yield* call("/calm", "PUT")).toEqual([200, "calmed"])
    expect(yield* call("/calm", "PUT")).toMatchObject([429, { reason: "RateLimited" }])
  }))
