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

/** Three times what the pool can serve: 4 slots, 70 ms each. One in three leaves before it is served. */
const scenario: Scenario = {
  id: "edge",
  title: "the same requests as over HTTP",
  catches: "a seam that does not do what the edge does",
  pool: { capacity: 4, serviceMs },
  deadlineMs,
  clients: { default: { leaves: 1 / 3 } },
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

/** Sends the same requests at the same times over HTTP; their clients leave at the given times. */
const overHttp = (leaves: ReadonlyArray<number>) =>
  Effect.gen(function* () {
    const router = yield* HttpRouter.HttpRouter
    const context = yield* Effect.scopedWith(() => Effect.context<never>())
    const clock = yield* Clock.Clock
    const tree = yield* TaskTree
    const handler = makeHandler(router.asHttpEffect(), context as never, undefined, new Set())
    const answers: Array<string> = []
    const clients: Array<AbortController> = []
    for (let now = 0; now < count * everyMs + deadlineMs; now++) {
      if (now % everyMs === 0 && clients.length < count) {
        const i = clients.push(new AbortController()) - 1
        const request = new Request("http://x/work", {
          headers: { "request-timeout": String(deadlineMs) },
          signal: clients[i]!.signal,
        })
        Promise.resolve(handler(request, undefined as never)).then((response) => {
          const after = clock.currentTimeMillisUnsafe() - now
          answers[i] ??= response.status === 499 ? "left" : `${response.status} after ${after}`
        })
        yield* settle
      }
      leaves.forEach((at, i) => {
        if (at !== now || answers[i] !== undefined) return
        answers[i] = "left"
        clients[i]!.abort()
      })
      yield* settle
      yield* TestClock.adjust(1)
      yield* settle
    }
    expect(yield* tree.size).toBe(0)
    return answers
  })

describe("the seam", () => {
  it.effect("decides for each of 300 requests as the service does behind HTTP", () =>
    Effect.gen(function* () {
      const answers: Array<string> = []
      const leaves: Array<number> = []
      simulate(scenario, weir, {
        onAnswer: (call, now) => {
          leaves[call.operation] = call.leavesAt
          const status = call.outcome === "ok" ? 200 : 503
          const after = Math.round(now - call.sentAt)
          answers[call.operation] = call.outcome === "left" ? "left" : `${status} after ${after}`
        },
      })
      expect(yield* overHttp(leaves)).toEqual(answers)
      const served = answers.filter((answer) => answer.startsWith("200")).length
      const left = answers.filter((answer) => answer === "left").length
      expect([served > 80, left > 30]).toEqual([true, true])
    }).pipe(Effect.provide(layer)))
})
