import { describe, expect, it } from "@effect/vitest"
import { Saturation, Server, Service, Supervised, TaskTree } from "@weir/runtime"
import { Context, Deferred, Effect, Layer, Logger, Schema } from "effect"
import { HttpServerResponse } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"

const get = <const Name extends string>(name: Name) =>
  HttpApiEndpoint.get(name, `/${name}`, { success: Schema.String })

class Api extends HttpApi.make("odd").add(
  HttpApiGroup.make("odd").add(get("header"), get("status"), get("error"), get("body")),
).middleware(Supervised.Supervised) {}

const handlers = HttpApiBuilder.group(Api, "odd", (handlers) =>
  Effect.succeed(handlers.handleAll({
    header: () =>
      Effect.succeed(HttpServerResponse.text("x", { headers: { "x-name": "two\nlines" } })),
    status: () => Effect.succeed(HttpServerResponse.text("x", { status: 999 })),
    error: () => Effect.delay(Effect.sync(() => HttpServerResponse.raw(Response.error())), 5),
    body: () => Effect.succeed(HttpServerResponse.text("x", { status: 205 })),
  })))

describe("a response that the platform cannot send", () => {
  it.live("is a logged 500, and leaves neither task nor place behind", () =>
    Effect.gen(function* () {
      const logged: Array<string> = []
      const registries = yield* Deferred.make<readonly [TaskTree.TaskTree, Saturation.Saturation]>()
      const context = yield* Layer.build(Service.layer(Api, {
        handlers,
        resources: Layer.effectDiscard(Effect.withFiber((fiber) =>
          Deferred.succeed(registries, [
            fiber.getRef(TaskTree.TaskTree),
            fiber.getRef(Saturation.Saturation),
          ])
        )),
        server: { port: 0 },
        // What tells of limits touches every response.
        limits: { peer: { requests: 1000, per: "1 minute" } },
        drain: { grace: "50 millis", cleanup: "50 millis" },
      })).pipe(
        Effect.provide(
          Logger.layer([Logger.make(({ message }) => {
            logged.push(String(message))
          })]),
        ),
      )
      const { port } = Context.get(context, Server.Server)
      for (const path of ["header", "status", "error"]) {
        const response = yield* Effect.promise(() =>
          fetch(`http://127.0.0.1:${port}/${path}`, { signal: AbortSignal.timeout(5000) })
        )
        expect(response.status).toBe(500)
        expect(yield* Effect.promise(() => response.json())).toMatchObject({
          type: "urn:weir:problem:internal",
        })
        expect(logged.join("\n")).toContain(`GET /${path}`)
      }
      // Needs no more than to leave nothing behind: a body that the status forbids may be dropped.
      const reset = yield* Effect.promise(() => fetch(`http://127.0.0.1:${port}/body`))
      yield* Effect.promise(() => reset.text())
      const [tree, saturation] = yield* Deferred.await(registries)
      expect(yield* tree.size).toBe(0)
      expect(saturation.get("admission")!.stats(0).inUse).toBe(0)
    }).pipe(Effect.scoped))
})
