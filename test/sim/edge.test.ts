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
import { setImmediate } from "node:timers"
import { weir } from "./ours.ts"
import type { Scenario } from "./scenario.ts"
import { simulate } from "./simulate.ts"

const serviceMs = 70
const deadlineMs = 311
const everyMs = 6
const count = 300

/** Three times what the pool can serve: 4 slots, 70 ms each. */
const scenario: Scenario = {
  id: "edge",
  title: "the same requests as over HTTP",
  catches: "a seam that does not do what the edge does",
  pool: { capacity: 4, serviceMs },
  deadlineMs,
  phases: [
    { name: "3x", seconds: count * everyMs / 1000, rate: 1000 / everyMs, arrival: "constant" },
  ],
}

const Done = Schema.Struct({ done: Schema.Boolean })

class Api extends HttpApi.make("sim").add(
  HttpApiGroup.make("sim").add(HttpApiEndpoint.get("work", "/work", { success: Done }))
    .annotate(Policy.Policy, { deadline: "5 seconds", uses: ["pool"] }),
).middleware(Supervised.Supervised) {}

const Pool = Context.Service<Bulkhead.Bulkhead>("weir/test/sim/Pool")

const Handlers = HttpApiBuilder.group(
  Api,
  "sim",
  Effect.fnUntraced(function* (handlers) {
    const pool = yield* Pool
    const query = pool.use(Effect.as(Effect.sleep(serviceMs), { done: true }))
    return handlers.handleAll({ work: () => query })
  }),
)

const layer = HttpApiBuilder.layer(Api).pipe(
  Layer.provideMerge(Handlers),
  Layer.provideMerge(HttpRouter.layer),
  Layer.provide(HttpServer.layerServices),
  Layer.provideMerge(Supervised.layer(Api)),
  Layer.provideMerge(Admission.layer()),
  Layer.provideMerge(Layer.effect(Pool, Bulkhead.make({ name: "pool", capacity: 4 }))),
  Layer.provide(Layer.sync(Saturation.Saturation, Saturation.makeUnsafe)),
)

/** Lets the platform's promises and the turns of the event loop pass; no virtual time does. */
const settle = Effect.promise(async () => {
  for (let i = 0; i < 3; i++) await new Promise<void>((resolve) => setImmediate(resolve))
})

const overHttp = Effect.gen(function* () {
  const router = yield* HttpRouter.HttpRouter
  const context = yield* Effect.scopedWith(() => Effect.context<never>())
  const clock = yield* Clock.Clock
  const tree = yield* TaskTree
  const handler = makeHandler(router.asHttpEffect(), context as never, undefined, new Set())
  const answers: Array<string> = []
  for (let i = 0; i < count; i++) {
    const request = new Request("http://x/work", {
      headers: { "request-timeout": String(deadlineMs) },
    })
    const sent = clock.currentTimeMillisUnsafe()
    Promise.resolve(handler(request, undefined as never)).then((response) => {
      answers[i] = `${response.status} after ${clock.currentTimeMillisUnsafe() - sent}`
    })
    yield* settle
    for (let ms = 0; ms < everyMs; ms += 2) yield* Effect.andThen(TestClock.adjust(2), settle)
  }
  for (let ms = 0; ms < deadlineMs; ms += 2) yield* Effect.andThen(TestClock.adjust(2), settle)
  expect(yield* tree.size).toBe(0)
  return answers
})

describe("the seam", () => {
  it.effect("decides for each of 300 requests as the service does behind HTTP", () =>
    Effect.gen(function* () {
      const answers: Array<string> = []
      simulate(scenario, weir, {
        onAnswer: (call, now) => {
          const status = call.outcome === "ok" ? 200 : 503
          answers[call.operation] = `${status} after ${Math.round(now - call.sentAt)}`
        },
      })
      expect(yield* overHttp).toEqual(answers)
      const served = answers.filter((answer) => answer.startsWith("200"))
      expect([served.length > 100, served.length < 200]).toEqual([true, true])
    }).pipe(Effect.provide(layer)))
})
