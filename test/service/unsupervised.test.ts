import { expect, it } from "@effect/vitest"
import { Cause, Effect, Exit, Layer, Schema } from "effect"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { Service, Supervised } from "@weir/runtime"

class Api extends HttpApi.make("shop").add(
  HttpApiGroup.make("stock").add(HttpApiEndpoint.get("look", "/look", { success: Schema.String }))
    .middleware(Supervised.Supervised),
  HttpApiGroup.make("late").add(HttpApiEndpoint.get("oops", "/oops", { success: Schema.String })),
) {}

const handlers = Layer.merge(
  HttpApiBuilder.group(
    Api,
    "stock",
    (handlers) => handlers.handleAll({ look: () => Effect.succeed("") }),
  ),
  HttpApiBuilder.group(
    Api,
    "late",
    (handlers) => handlers.handleAll({ oops: () => Effect.succeed("") }),
  ),
)

it.live("an endpoint without the middleware fails the start with one sentence", () =>
  Effect.gen(function* () {
    const exit = yield* Layer.build(Service.layer(Api, { handlers, server: { port: 0 } })).pipe(
      Effect.scoped,
      Effect.exit,
    )
    expect(Exit.isFailure(exit)).toBe(true)
    if (Exit.isFailure(exit)) {
      expect(Cause.squash(exit.cause)).toMatchObject({
        _tag: "Mistake",
        message: "Endpoint late.oops is not supervised. " +
          "Add .middleware(Supervised.Supervised) to the API, after .add(…).",
      })
    }
  }))
