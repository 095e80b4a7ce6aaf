import { expect, it } from "@effect/vitest"
import { Cause, Context, Effect, Exit, Layer, Schema } from "effect"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { Server, Service, Supervised } from "@weir/runtime"

const shop = <const Path extends `/${string}`>(path: Path) => {
  const api = HttpApi.make("shop").add(
    HttpApiGroup.make("stock").add(HttpApiEndpoint.get("look", path, { success: Schema.String })),
  ).middleware(Supervised.Supervised)
  const handlers = HttpApiBuilder.group(
    api,
    "stock",
    (handlers) => handlers.handleAll({ look: () => Effect.succeed("") }),
  )
  return { api, handlers }
}

it.live("a path that Weir serves itself fails the start with one sentence", () =>
  Effect.gen(function* () {
    const { api, handlers } = shop("/tasks")
    const exit = yield* Layer.build(Service.layer(api, { handlers, server: { port: 0 } })).pipe(
      Effect.scoped,
      Effect.exit,
    )
    expect(Exit.isFailure(exit)).toBe(true)
    if (Exit.isFailure(exit)) {
      expect(Cause.squash(exit.cause)).toMatchObject({
        _tag: "Mistake",
        message: expect.stringContaining("Two routes answer GET /tasks."),
      })
    }
  }))

it.live("a policy of the whole service that allows 202 is documented", () =>
  Effect.gen(function* () {
    const { api, handlers } = shop("/look")
    const context = yield* Layer.build(Service.layer(api, {
      handlers,
      policy: { async: "allowed" },
      server: { port: 0 },
    }))
    const { port } = Context.get(context, Server.Server)
    const document = yield* Effect.promise(() =>
      fetch(`http://127.0.0.1:${port}/openapi.json`).then((response) => response.json())
    )
    expect(Object.keys(document.paths["/look"].get.responses)).toEqual(
      expect.arrayContaining(["200", "202", "503"]),
    )
  }))
