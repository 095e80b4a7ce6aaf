import { expect, it } from "@effect/vitest"
import { Context, Deferred, Effect, Fiber, Layer, Schema } from "effect"
import { FetchHttpClient } from "effect/http"
import {
  HttpApi,
  HttpApiBuilder,
  HttpApiClient,
  HttpApiEndpoint,
  HttpApiGroup,
} from "effect/http-api"
import {
  Bulkhead,
  Dependency,
  Fallback,
  Policy,
  Refused,
  Server,
  Service,
  Supervised,
} from "@weir/runtime"

class Desk extends Context.Service<Desk, Bulkhead.Bulkhead>()("test/Desk") {
  static readonly layer = Layer.effect(
    Desk,
    Bulkhead.make({ name: "desk", capacity: 1, queueCapacity: 0 }),
  )
}

const ask = <const Name extends string>(name: Name) =>
  HttpApiEndpoint.get(name, `/${name}`, { success: Schema.String })
    .annotate(Policy.Policy, { uses: ["desk"] })

class Api extends HttpApi.make("shop").add(
  HttpApiGroup.make("desk").add(ask("sit"), ask("ask")),
).middleware(Supervised.Supervised) {}

it.live("a remote service's refusal, decoded by a typed client, is a failure of that service", () =>
  Effect.gen(function* () {
    const taken = yield* Deferred.make<void>()
    const handlers = HttpApiBuilder.group(
      Api,
      "desk",
      Effect.fnUntraced(function* (handlers) {
        const desk = yield* Desk
        return handlers.handleAll({
          sit: () => desk.use(Effect.andThen(Deferred.succeed(taken, undefined), Effect.never)),
          ask: () => desk.use(Effect.succeed("answered")),
        })
      }),
    )
    const context = yield* Layer.build(
      Service.layer(Api, { handlers, resources: Desk.layer, server: { port: 0 } }),
    )
    const { port } = Context.get(context, Server.Server)
    const client = yield* HttpApiClient.make(Api, { baseUrl: `http://127.0.0.1:${port}` })
    const sitting = yield* Effect.forkScoped(client.desk.sit())
    yield* Deferred.await(taken)

    const shop = yield* Dependency.make({ name: "shop", breaker: { minimumCalls: 4 } })
    const refusals: Array<[string, boolean]> = []
    for (let i = 0; i < 5; i++) {
      const error = yield* Effect.flip(shop.call(client.desk.ask()))
      if (error instanceof Refused.Refused) {
        refusals.push([`${error.resource}: ${error.reason}`, Refused.isOwn(error)])
      }
    }
    expect(refusals).toEqual([
      ...Array.from({ length: 4 }, () => ["desk: QueueFull", false]),
      ["shop: BreakerOpen", true],
    ])
    expect(yield* shop.stats).toMatchObject({
      calls: 5,
      attempts: { first: 4 },
      breaker: { phase: "open", refused: 1 },
    })
    // It was tried, so it was not refused by us.
    const answer = yield* client.desk.ask().pipe(
      Fallback.orElse({ degraded: (why) => Effect.succeed(why) }),
    )
    expect(answer.value).toBe("failed")
    yield* Fiber.interrupt(sitting)
  }).pipe(Effect.provide(FetchHttpClient.layer)))
