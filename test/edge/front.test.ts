import { expect, it } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Option, Schema, Scope, Stream } from "effect"
import { HttpEffect, HttpServerRequest, HttpServerResponse } from "effect/http"
import {
  HttpApi,
  HttpApiBuilder,
  HttpApiEndpoint,
  HttpApiGroup,
  HttpApiMiddleware,
  HttpApiSchema,
} from "effect/http-api"
import { Bulkhead, Policy, Saturation, Server, Service, Supervised, TaskTree } from "@weir/runtime"
import { until } from "./support/desk.ts"

class Taken extends Schema.TaggedError<Taken>()("Taken", { n: Schema.Int }) {}
class Barred extends Schema.TaggedError<Barred>()("Barred", {}) {}

const Who: Context.Service<string, string> = Context.Service<string>("weir/test/Who")

class Guard extends HttpApiMiddleware.Service<Guard>()("weir/test/Guard", {
  error: Barred.pipe(HttpApiSchema.status(403)),
}) {}

class Api extends HttpApi.make("front").add(
  HttpApiGroup.make("front").add(
    HttpApiEndpoint.get("look", "/stock/:sku", {
      params: { sku: Schema.String },
      query: { n: Schema.optional(Schema.FiniteFromString) },
      success: Schema.Struct({ sku: Schema.String, n: Schema.optional(Schema.Finite) }),
    }),
    HttpApiEndpoint.get("fixed", "/stock/all", { success: Schema.String }),
    HttpApiEndpoint.post("order", "/orders", {
      payload: Schema.Struct({ n: Schema.Int }),
      success: Schema.Struct({ n: Schema.Int }),
      error: Taken.pipe(HttpApiSchema.status(409)),
    }).annotate(Policy.Policy, { uses: ["slots"] }),
    HttpApiEndpoint.get("dies", "/dies", { success: Schema.String }),
    HttpApiEndpoint.get("who", "/who", { success: Schema.String }),
    HttpApiEndpoint.get("guarded", "/guarded/:in", {
      params: { in: Schema.String },
      success: Schema.String,
    }).middleware(Guard),
    HttpApiEndpoint.get("own", "/own", { success: Schema.String }),
    HttpApiEndpoint.get("late", "/late", { success: Schema.String }),
    HttpApiEndpoint.get("stream", "/stream", { success: HttpApiSchema.StreamUint8Array() }),
    HttpApiEndpoint.get("kept", "/kept", { success: Schema.String }),
    HttpApiEndpoint.get("empty", "/empty", { success: HttpApiSchema.Empty(204) }),
  ).annotate(Policy.Policy, { deadline: "5 seconds" }),
).middleware(Supervised.Supervised) {}

/** Read while the handler runs: from the context in which it was built. */
const known = Effect.withFiber((fiber) =>
  Effect.succeed(Context.getUnsafe(fiber.context as Context.Context<string>, Who))
)

const GuardLive = Layer.succeed(Guard, (handler) =>
  Effect.withFiber((fiber) => {
    const request = Context.getUnsafe(
      fiber.context as Context.Context<HttpServerRequest.HttpServerRequest>,
      HttpServerRequest.HttpServerRequest,
    )
    return request.url.endsWith("/no") ? Effect.fail(new Barred()) as never : handler
  }))

/** Scopes of requests that the handler has taken over. */
const kept: Array<Scope.Closeable> = []

const handlers = HttpApiBuilder.group(
  Api,
  "front",
  Effect.fnUntraced(function* (handlers) {
    const who = yield* Who
    return handlers.handleAll({
      look: ({ params, query }) => Effect.succeed({ sku: params.sku, ...query }),
      fixed: () => Effect.succeed("all of it"),
      order: ({ payload }) =>
        payload.n > 9 ? Effect.fail(new Taken({ n: payload.n })) : Effect.succeed(payload),
      dies: () => Effect.die(new Error("the secret inside")),
      who: () =>
        Effect.gen(function* () {
          const request = yield* HttpServerRequest.HttpServerRequest
          const address = Option.getOrElse(request.remoteAddress, () => "nobody")
          return `${who} ${address} ${yield* known}`
        }),
      guarded: ({ params }) => Effect.succeed(params.in),
      own: () =>
        Effect.as(
          HttpEffect.appendPreResponseHandler((_, response) =>
            Effect.succeed(HttpServerResponse.setHeader(response, "x-own", "yes"))
          ),
          "own",
        ),
      late: ({ request }) =>
        Effect.as(request.url.includes("ever") ? Effect.never : Effect.sleep("10 millis"), "late"),
      stream: () => Effect.succeed(Stream.make(new Uint8Array([104, 105]), new Uint8Array([33]))),
      kept: () =>
        Effect.map(Effect.scope, (scope) => {
          HttpEffect.scopeDisableClose(scope)
          kept.push(scope as Scope.Closeable)
          return "kept"
        }),
      empty: () => Effect.void,
    })
  }),
)

const resources = Layer.mergeAll(
  Layer.succeed(Who, "us"),
  GuardLive,
  Layer.effectDiscard(Bulkhead.make({ name: "slots", capacity: 1, queueCapacity: 1 })),
)

const json = { "content-type": "application/json" }
const order = (n: unknown) => ({ method: "POST", headers: json, body: JSON.stringify({ n }) })
const chunked = () => ({
  method: "POST",
  headers: json,
  body: new Blob(['{"n":', "3}"]).stream(),
  duplex: "half",
})

const cases: ReadonlyArray<readonly [string, () => RequestInit, number, string]> = [
  ["/stock/kettle", () => ({}), 200, '{"sku":"kettle"}'],
  ["/stock/blue%20kettle?n=7&m=8", () => ({}), 200, '{"sku":"blue kettle","n":7}'],
  ["/stock/kettle?n=many", () => ({}), 400, '"path":["query","n"]'],
  ["/stock/all", () => ({}), 200, "all of it"],
  ["/stock/kettle", () => ({ method: "HEAD" }), 200, ""],
  ["/stock/kettle", () => ({ method: "DELETE" }), 405, "method-not-allowed"],
  ["/stock", () => ({}), 404, "not-found"],
  ["/orders", () => order(3), 200, '{"n":3}'],
  ["/orders", chunked, 200, '{"n":3}'],
  ["/orders", () => order(10), 409, '{"_tag":"Taken","n":10}'],
  ["/orders", () => order("x"), 400, '"path":["payload","n"]'],
  ["/orders", () => ({ method: "POST", headers: json, body: "{" }), 400, "bad-request"],
  ["/orders", () => ({ method: "POST", body: "n" }), 415, "unsupported-media-type"],
  ["/dies", () => ({}), 500, '"type":"urn:weir:problem:internal"'],
  ["/who", () => ({}), 200, "us 127.0.0.1 us"],
  ["/guarded/yes", () => ({}), 200, "yes"],
  ["/guarded/no", () => ({}), 403, '{"_tag":"Barred"}'],
  ["/own", () => ({}), 200, "own"],
  ["/late", () => ({}), 200, "late"],
  ["/late", () => ({ headers: { "request-timeout": "1" } }), 504, "deadline-exceeded"],
  ["/stream", () => ({}), 200, "hi!"],
  ["/empty", () => ({}), 204, ""],
]

const service = Effect.gen(function* () {
  const registries: { tree?: TaskTree.TaskTree; saturation?: Saturation.Saturation } = {}
  const probe = Layer.effectDiscard(Effect.withFiber((fiber) => {
    registries.tree = fiber.getRef(TaskTree.TaskTree)
    registries.saturation = fiber.getRef(Saturation.Saturation)
    return Effect.void
  }))
  const context = yield* Layer.build(Service.layer(Api, {
    handlers,
    resources: Layer.merge(resources, probe),
    server: { port: 0 },
  }))
  const { port } = Context.get(context, Server.Server)
  return { url: `http://127.0.0.1:${port}`, ...registries as Required<typeof registries> }
})

const ask = (url: string, init: RequestInit) =>
  Effect.promise(async () => {
    const response = await fetch(url, init)
    const headers = Object.fromEntries(response.headers)
    delete headers["date"]
    return { status: response.status, headers, body: await response.text() }
  })

it.live("a request is answered the same the first and every other time", () =>
  Effect.gen(function* () {
    const { saturation, tree, url } = yield* service
    for (const [path, init, status, part] of cases) {
      const first = yield* ask(url + path, init())
      expect([path, first.status]).toEqual([path, status])
      expect(first.body).toContain(part)
      expect(first.headers["x-own"]).toBe(path === "/own" ? "yes" : undefined)
      for (let again = 0; again < 3; again++) {
        expect([path, yield* ask(url + path, init())]).toEqual([path, first])
      }
    }
    yield* until(() => tree.unsafe.live.size === 0)
    const counts = yield* tree.counts
    const ended = Object.values(counts.ended["request"]!).reduce((a, b) => a + b, 0)
    expect(counts.started["request"]).toBe(ended)
    expect(saturation.get("admission")!.stats(0).inUse).toBe(0)
    expect(saturation.get("slots")!.stats(0).waiting).toBe(0)
  }))

it.live("a request that was admitted and whose client leaves is cancelled with its reason", () =>
  Effect.gen(function* () {
    const { tree, url } = yield* service
    for (let time = 1; time <= 3; time++) {
      const abort = new AbortController()
      const answer = fetch(`${url}/late?for=ever`, { signal: abort.signal }).catch(() => "gone")
      yield* until(() => tree.unsafe.live.size === 1)
      abort.abort()
      expect(yield* Effect.promise(() => answer)).toBe("gone")
      yield* until(() => tree.unsafe.live.size === 0)
      expect((yield* tree.counts).ended["request"]!.cancelled).toBe(time)
    }
  }))

it.live("a scope that the handler has taken over stays open, and the task lives as long", () =>
  Effect.gen(function* () {
    const { tree, url } = yield* service
    for (let time = 1; time <= 3; time++) {
      expect((yield* ask(`${url}/kept`, {})).body).toBe('"kept"')
      const scope = kept.pop()!
      expect(scope.state._tag).not.toBe("Closed")
      expect(tree.unsafe.live.size).toBe(1)
      yield* Scope.close(scope, Exit.void)
      expect(tree.unsafe.live.size).toBe(0)
      expect((yield* tree.counts).ended["request"]!.completed).toBe(time)
    }
  }))
