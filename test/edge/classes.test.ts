import { describe, expect, it } from "@effect/vitest"
import {
  type Admission,
  Caller,
  type Criticality,
  Policy,
  Service,
  Supervised,
} from "@weir/runtime"
import { Context, Effect, Layer, Schema } from "effect"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { Compiled, type Env } from "../../src/edge/compiled.ts"
import { Ask } from "../../src/edge/run.ts"
import * as Server from "../../src/edge/Server.ts"
import { CurrentScope } from "../../src/task/scope.ts"
import * as Metrics from "../../src/telemetry/Metrics.ts"

const compiled = (priority?: Criticality.Criticality) =>
  new Compiled(
    "shop.look",
    Policy.resolve("shop.look", priority === undefined ? {} : { priority }),
    [],
    Metrics.makeUnsafe().endpoint("shop.look", "GET"),
  )

const ask = (
  priority: Criticality.Criticality | undefined,
  caller: Caller.Caller | undefined,
) => {
  let asked = 0
  const callers: Caller.Callers = { of: () => (asked++, caller) }
  const env = { callers } as Env
  return { ask: new Ask(compiled(priority), env, new Request("http://x/"), 0), asked: () => asked }
}

const somebody = (criticality: Criticality.Criticality | undefined): Caller.Caller => ({
  id: "ann",
  tenant: "acme",
  criticality,
})

describe("the class of a request", () => {
  it("is the less critical of what its endpoint and what its caller is worth", () => {
    const rank = (
      priority: Criticality.Criticality | undefined,
      caller: Caller.Caller | undefined,
    ) => ask(priority, caller).ask.criticality
    expect(rank(undefined, undefined)).toBe(1)
    expect(rank("sheddable", undefined)).toBe(3)
    expect(rank("critical-plus", somebody(undefined))).toBe(0)
    expect(rank("critical-plus", somebody("sheddable-plus"))).toBe(2)
    expect(rank("sheddable", somebody("critical-plus"))).toBe(3)
    expect(rank(undefined, somebody("critical-plus"))).toBe(1)
  })

  it("asks for the caller once, and not before somebody has to know", () => {
    const { ask: it, asked } = ask(undefined, somebody("sheddable"))
    expect(asked()).toBe(0)
    expect([it.criticality, it.tenant, it.caller?.id]).toEqual([
      3,
      Caller.tenantOf(it.caller),
      "ann",
    ])
    expect(asked()).toBe(1)
  })
})

class Api extends HttpApi.make("classes").add(
  HttpApiGroup.make("classes").add(
    HttpApiEndpoint.get("rank", "/rank", { success: Schema.Array(Schema.Number) }),
    HttpApiEndpoint.get("low", "/low", { success: Schema.Array(Schema.Number) })
      .annotate(Policy.Policy, { priority: "sheddable" }),
  ),
).middleware(Supervised.Supervised) {}

/** What the handler's own acquires would be worth. */
const here = Effect.map(CurrentScope, ({ rank, tenant }) => [rank, tenant])
const handlers = HttpApiBuilder.group(
  Api,
  "classes",
  (handlers) => handlers.handleAll({ rank: () => here, low: () => here }),
)

/** Who is known by the test; over HTTP a class never comes from a header. */
const callers = Layer.succeed(Caller.Callers, {
  of: (source: Request) =>
    source.headers.get("authorization") === "Bearer ann" ? somebody("sheddable-plus") : undefined,
})

// The loop of a machine that is busy with other tests may well be late.
const modes = { loopLag: "off" } as const

const service = (admission: Admission.Options = {}) =>
  Effect.gen(function* () {
    const layer = Service.layer(Api, {
      handlers,
      admission: { modes, ...admission },
      server: { port: 0 },
    })
    const { port } = Context.get(
      yield* Layer.build(Layer.provide(layer, callers)),
      Server.Server,
    )
    return (path: string, headers: Record<string, string> = {}) =>
      Effect.promise(async () => {
        const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers })
        const text = await response.text()
        return {
          status: response.status,
          body: text.startsWith("{") || text.startsWith("[") ? JSON.parse(text) : text,
        }
      })
  })

describe("a service", () => {
  it.live("gives its handlers the class and the tenant of the request, never those of a header", () =>
    Effect.gen(function* () {
      const get = yield* service()
      const ann = { authorization: "Bearer ann" }
      const claims = { "x-criticality": "critical-plus", "priority": "u=0", "x-tenant": "other" }
      expect((yield* get("/rank")).body).toEqual([1, 0])
      expect((yield* get("/rank", claims)).body).toEqual([1, 0])
      expect((yield* get("/rank", { ...ann, ...claims })).body)
        .toEqual([2, Caller.tenantOf(somebody(undefined))])
      expect((yield* get("/low")).body).toEqual([3, 0])
      // The second time the request takes the short way.
      expect((yield* get("/low", ann)).body).toEqual([3, Caller.tenantOf(somebody(undefined))])
    }))

  it.live("refuses by class while memory is short, and its own endpoints never, nor counts them", () =>
    Effect.gen(function* () {
      let heapUsed = 1
      const get = yield* service({
        maxConcurrent: 4096,
        memory: { heapLimit: 100, every: 1, read: () => ({ heapUsed, rss: 1 }) },
      })
      expect((yield* get("/low")).status).toBe(200)
      heapUsed = 90
      yield* Effect.sleep("5 millis")
      expect((yield* get("/rank")).status).toBe(200)
      expect(yield* get("/low")).toMatchObject({
        status: 503,
        body: { reason: "Overloaded", resource: "memory" },
      })
      heapUsed = 99
      yield* Effect.sleep("5 millis")
      expect((yield* get("/rank")).status).toBe(503)
      const own = [
        "/health/live",
        "/health/ready",
        "/saturation",
        "/metrics",
        "/tasks",
        "/openapi.json",
      ]
      for (let i = 0; i < 3; i++) {
        for (const path of own) expect([path, (yield* get(path)).status]).toEqual([path, 200])
      }
      const { bounded } = (yield* get("/saturation")).body
      const of = (name: string) => bounded.find((it: { name: string }) => it.name === name)
      expect(of("memory")).toMatchObject({ inUse: 2, refused: { Overloaded: 2 } })
      // Two were let in; the eighteen above are not among them.
      expect(of("admission")).toMatchObject({ inUse: 0, highWater: 1 })
      const metrics: string = (yield* get("/metrics")).body
      const requests = [...metrics.matchAll(/^weir_requests_total\{.*\} (\d+)$/gm)]
      expect(requests.reduce((sum, [, n]) => sum + Number(n), 0)).toBe(4)
    }))
})
