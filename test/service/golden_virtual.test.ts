import { describe, expect, it } from "@effect/vitest"
import { Clock, Context, Effect, Layer, Schema } from "effect"
import { HttpRouter, HttpServer } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { TestClock } from "effect/testing"
import * as Admission from "../../src/admission/Admission.ts"
import * as Saturation from "../../src/bounded/Saturation.ts"
import { makeHandler } from "../../src/edge/handler.ts"
import * as Policy from "../../src/edge/Policy.ts"
import * as Supervised from "../../src/edge/Supervised.ts"
import * as Bulkhead from "../../src/pool/Bulkhead.ts"
import { TaskTree } from "../../src/task/TaskTree.ts"
import * as Metrics from "../../src/telemetry/Metrics.ts"

const Done = Schema.Struct({ done: Schema.Boolean })

class Api extends HttpApi.make("golden").add(
  HttpApiGroup.make("golden").add(
    HttpApiEndpoint.get("get", "/work", { success: Done }),
    HttpApiEndpoint.post("post", "/work", {
      payload: Schema.Struct({ note: Schema.String }),
      success: Done,
    }),
  ).annotate(Policy.Policy, { deadline: "1100 millis", uses: ["pool"], expected: "200 millis" }),
).middleware(Supervised.Supervised) {}

interface Work {
  readonly pool: Bulkhead.Bulkhead
  started: number
}
const Work = Context.Service<Work>("weir/test/Work")

const WorkLive = Layer.effect(
  Work,
  Effect.map(
    Bulkhead.make({ name: "pool", capacity: 10 }),
    (pool): Work => ({ pool, started: 0 }),
  ),
)

const Handlers = HttpApiBuilder.group(
  Api,
  "golden",
  Effect.fnUntraced(function* (handlers) {
    const work = yield* Work
    const query = work.pool.use(Effect.suspend(() => {
      work.started++
      return Effect.as(Effect.sleep("200 millis"), { done: true })
    }))
    return handlers.handleAll({ get: () => query, post: () => query })
  }),
)

/** The service without its socket: the same handler that the server calls. */
const service = Effect.gen(function* () {
  const router = yield* HttpRouter.HttpRouter
  const context = yield* Effect.scopedWith(() => Effect.context<never>())
  const work = yield* Work
  const registry = yield* Saturation.Saturation
  const tree = yield* TaskTree
  const metrics = yield* Metrics.Metrics
  const handler = makeHandler(router.asHttpEffect(), context as never, undefined, new Set())
  return { handler, work, registry, tree, metrics }
})

const layer = HttpApiBuilder.layer(Api).pipe(
  Layer.provideMerge(Handlers),
  Layer.provideMerge(HttpRouter.layer),
  Layer.provide(HttpServer.layerServices),
  Layer.provideMerge(Supervised.layer(Api)),
  Layer.provideMerge(Admission.layer()),
  Layer.provideMerge(WorkLive),
  Layer.provide(Layer.sync(Saturation.Saturation, Saturation.makeUnsafe)),
)

/** Lets promises of the platform settle; no virtual time passes. */
const settle = Effect.promise(() => new Promise<void>((resolve) => setTimeout(resolve, 20)))

const burst = (method: "GET" | "POST", timeoutMs: number) =>
  Effect.gen(function* () {
    const { handler, work, tree } = yield* service
    const clock = yield* Clock.Clock
    const answers: Array<{ status: number; at: number; body: Record<string, unknown> }> = []
    for (let i = 0; i < 100; i++) {
      const request = new Request("http://x/work", {
        method,
        headers: { "request-timeout": String(timeoutMs), "content-type": "application/json" },
        ...(method === "POST" ? { body: JSON.stringify({ note: `request ${i}` }) } : {}),
      })
      Promise.resolve(handler(request, undefined as never)).then(async (response) => {
        const at = clock.currentTimeMillisUnsafe()
        answers.push({ status: response.status, at, body: await response.json() })
      })
    }
    yield* settle
    for (let wave = 0; wave < 10; wave++) {
      yield* TestClock.adjust("200 millis")
      yield* settle
    }
    expect(answers.length).toBe(100)
    return { answers, started: work.started, live: yield* tree.size }
  })

const cases = [
  { method: "GET" as const, timeoutMs: 1100, served: 50 },
  { method: "POST" as const, timeoutMs: 1100, served: 50 },
  { method: "GET" as const, timeoutMs: 500, served: 20 },
  { method: "POST" as const, timeoutMs: 500, served: 20 },
]

describe("100 requests in one instant on a pool of 10 whose work takes 200 ms", () => {
  it.effect.each(cases)(
    "$method with $timeoutMs ms: exactly $served are served, the rest refused in that instant",
    ({ method, timeoutMs, served }) =>
      Effect.gen(function* () {
        const { answers, started, live } = yield* burst(method, timeoutMs)
        const ok = answers.filter(({ status }) => status === 200)
        const refused = answers.filter(({ status }) => status === 503)
        expect([ok.length, refused.length]).toEqual([served, 100 - served])
        expect(started).toBe(served)
        expect(live).toBe(0)
        // Refused at once; served in waves of ten.
        expect(new Set(refused.map(({ at }) => at))).toEqual(new Set([0]))
        const waves = Object.groupBy(ok, ({ at }) => at)
        expect(Object.keys(waves).map(Number)).toEqual(
          Array.from({ length: served / 10 }, (_, i) => (i + 1) * 200),
        )
        expect(refused[0]!.body).toMatchObject({
          reason: "Infeasible",
          resource: "pool",
          capacity: 10,
          waiting: method === "GET" ? served - 10 : served,
          predictedWaitMs: served * 20,
        })
      }).pipe(Effect.provide(layer)),
  )
})
