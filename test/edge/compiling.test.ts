import { describe, expect, it } from "@effect/vitest"
import { Actor, Bulkhead, Policy, Service, Supervised } from "@weir/runtime"
import { Cause, Effect, Exit, Layer, Schema } from "effect"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { Rpc } from "effect/rpc"

const Look = Rpc.make("Look")
const Till = Actor.single("Till", [Look])
const Stock = Actor.make("Stock", [Look])

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
  const resources = Layer.mergeAll(
    Layer.effectDiscard(Bulkhead.make({ name: "mail", capacity: 2 })),
    Till.toLayer({ Look: () => Effect.void }),
    Stock.toLayer({ Look: () => Effect.void }),
  )
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
          message: `Policy of stock.look uses "${name}", but there is no such pool or actor. ` +
            'Known: "mail", "Till". Provide its layer to the service, or correct the name.',
        })
      }))
  }

  it.live("actors with keys fail the start with one sentence that says why", () =>
    Effect.gen(function* () {
      const exit = yield* startWith(["Stock"])
      expect(Exit.isFailure(exit) && Cause.squash(exit.cause)).toMatchObject({
        _tag: "Mistake",
        message:
          'Policy of stock.look uses "Stock", which are actors with keys: in which mailbox ' +
          "to take a place is not known before the handler names the key. Leave it out, and let " +
          "the handler fail with MailboxFull when that mailbox is full.",
      })
    }))

  it.live("a bulkhead and a single actor of the resources are found", () =>
    Effect.gen(function* () {
      expect(Exit.isSuccess(yield* startWith(["mail", "Till"]))).toBe(true)
    }))
})
