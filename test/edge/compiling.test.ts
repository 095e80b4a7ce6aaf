import { describe, expect, it } from "@effect/vitest"
import { Bulkhead, Policy, Service, Supervised } from "@weir/runtime"
import { Cause, Effect, Exit, Layer, Schema } from "effect"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"

const startWith = (uses: ReadonlyArray<string>) => {
  class Api extends HttpApi.make("shop").add(
    HttpApiGroup.make("stock").add(
      HttpApiEndpoint.get("look", "/stock", { success: Schema.String })
        .annotate(Policy.Policy, { uses }),
    ),
  ).middleware(Supervised.Supervised) {}
  const handlers = HttpApiBuilder.group(
    Api,
    "stock",
    (handlers) => Effect.succeed(handlers.handleAll({ look: () => Effect.succeed("four") })),
  )
  const resources = Layer.effectDiscard(Bulkhead.make({ name: "mail", capacity: 2 }))
  return Effect.exit(Effect.scoped(Layer.build(
    Service.layer(Api, { handlers, resources, server: { port: 0 } }),
  )))
}

describe("the names in a policy's uses", () => {
  for (const name of ["nail", "admission", "results"]) {
    it.live(`"${name}", which is nothing to queue for, fails the start with one sentence`, () =>
      Effect.gen(function* () {
        const exit = yield* startWith(["mail", name])
        expect(Exit.isFailure(exit) && Cause.squash(exit.cause)).toMatchObject({
          _tag: "Mistake",
          message: `Policy of stock.look uses "${name}", but there is no such pool. ` +
            'Known: "mail". Provide its layer to the service, or correct the name.',
        })
      }))
  }

  it.live("a bulkhead of the resources is found", () =>
    Effect.gen(function* () {
      expect(Exit.isSuccess(yield* startWith(["mail"]))).toBe(true)
    }))
})
