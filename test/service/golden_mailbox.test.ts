import { describe, expect, it } from "@effect/vitest"
import { Clock, Effect, Layer, Schema } from "effect"
import { HttpRouter, HttpServer } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { Rpc } from "effect/rpc"
import { TestClock } from "effect/testing"
import * as Actor from "../../src/actor/Actor.ts"
import * as ActorSystem from "../../src/actor/ActorSystem.ts"
import * as Admission from "../../src/admission/Admission.ts"
import * as Saturation from "../../src/bounded/Saturation.ts"
import { makeHandler } from "../../src/edge/handler.ts"
import * as Policy from "../../src/edge/Policy.ts"
import * as Supervised from "../../src/edge/Supervised.ts"
import * as Bulkhead from "../../src/pool/Bulkhead.ts"
import { TaskTree } from "../../src/task/TaskTree.ts"

const Till = Actor.single("Till", [Rpc.make("Pay", { success: Schema.Number })], {
  mailbox: { capacity: 8 },
  expected: "100 millis",
  // A test that fails half-way would wait for a clock that nobody moves.
  grace: 0,
})
const Clerk = Actor.single("Clerk", [Rpc.make("Ask", { success: Schema.Number })], {
  grace: 0,
})

let started = 0
const actors = Layer.merge(
  Till.toLayer({
    Pay: () =>
      Effect.suspend(() => {
        started++
        return Effect.as(Effect.sleep("100 millis"), started)
      }),
  }),
  Clerk.toLayer(Effect.gen(function* () {
    const desk = yield* Bulkhead.make({ name: "desk", capacity: 2 })
    return Clerk.of({ Ask: () => Effect.orDie(desk.use(Effect.as(Effect.sleep("100 millis"), 1))) })
  })),
)

class Api extends HttpApi.make("golden").add(
  HttpApiGroup.make("golden").add(
    HttpApiEndpoint.get("ask", "/ask", { success: Schema.Number }),
    HttpApiEndpoint.post("asked", "/ask", {
      payload: Schema.Struct({ note: Schema.String }),
      success: Schema.Number,
    }),
    HttpApiEndpoint.get("tell", "/tell", { success: Schema.String }),
    HttpApiEndpoint.get("offer", "/offer", { success: Schema.String }),
    HttpApiEndpoint.get("through", "/through", { success: Schema.Number })
      .annotate(Policy.Policy, { uses: ["Clerk", "desk"] }),
  ).annotate(Policy.Policy, { deadline: "450 millis", uses: ["Till"] }),
).middleware(Supervised.Supervised) {}

const handlers = HttpApiBuilder.group(
  Api,
  "golden",
  Effect.fnUntraced(function* (handlers) {
    const till = yield* Till.client
    const clerk = yield* Clerk.client
    return handlers.handleAll({
      ask: () => till.ask.Pay(),
      asked: () => till.ask.Pay(),
      tell: () => Effect.as(till.tell.Pay(), "told"),
      offer: () => Effect.as(till.offer.Pay(), "offered"),
      through: () => clerk.ask.Ask(),
    })
  }),
)

const layer = Layer.suspend(() => {
  started = 0
  return HttpApiBuilder.layer(Api).pipe(
    Layer.provideMerge(handlers),
    Layer.provideMerge(HttpRouter.layer),
    Layer.provide(HttpServer.layerServices),
    Layer.provideMerge(Supervised.layer(Api)),
    Layer.provideMerge(Admission.layer()),
    Layer.provide(actors),
    Layer.provideMerge(ActorSystem.layer()),
    Layer.provideMerge(Layer.sync(Saturation.Saturation, Saturation.makeUnsafe)),
  )
})

/** Lets promises of the platform settle; no virtual time passes. */
const settle = Effect.promise(() => new Promise<void>((resolve) => setTimeout(resolve, 20)))

const server = Effect.gen(function* () {
  const router = yield* HttpRouter.HttpRouter
  const registry = yield* Saturation.Saturation
  const tree = yield* TaskTree
  const clock = yield* Clock.Clock
  const context = yield* Effect.context<never>()
  const handler = makeHandler(router.asHttpEffect(), context as never, undefined, new Set())
  const answers: Array<{ status: number; at: number; body: Record<string, unknown> }> = []
  const send = (path: string, init: RequestInit = {}) => {
    const request = new Request(`http://x${path}`, {
      ...init,
      headers: { "content-type": "application/json" },
    })
    Promise.resolve(handler(request, undefined as never)).then(async (response) => {
      const at = clock.currentTimeMillisUnsafe()
      answers.push({ status: response.status, at, body: await response.json() })
    })
  }
  const stats = (name: string) => registry.get(name)!.stats(0)
  return { answers, send, stats, tree }
})

describe("10 requests in one instant for an actor whose messages take 100 ms", () => {
  it.effect.each([{ method: "GET" }, { method: "POST" }])(
    "$method with 450 ms: exactly 4 are served, 6 are refused in that instant and never run",
    ({ method }) =>
      Effect.gen(function* () {
        const { answers, send, stats, tree } = yield* server
        for (let i = 0; i < 10; i++) {
          send("/ask", {
            method,
            ...(method === "POST" ? { body: JSON.stringify({ note: `request ${i}` }) } : {}),
          })
        }
        yield* settle
        for (let turn = 0; turn < 6; turn++) {
          yield* TestClock.adjust("100 millis")
          yield* settle
        }
        const ok = answers.filter(({ status }) => status === 200)
        const refused = answers.filter(({ status }) => status === 503)
        expect(ok.map(({ at }) => at)).toEqual([100, 200, 300, 400])
        expect(refused.map(({ at }) => at)).toEqual([0, 0, 0, 0, 0, 0])
        expect(refused[0]!.body).toMatchObject({
          type: "urn:weir:problem:refused",
          kind: "mailbox",
          resource: "Till",
          reason: "Infeasible",
          capacity: 1,
          predictedWaitMs: 400,
        })
        expect(started).toBe(4)
        // Only the two kinds themselves, and who supervises them.
        expect((yield* tree.dump).map(({ name }) => name)).toEqual(["actors", "Till", "Clerk"])
        expect(stats("Till")).toMatchObject({ inUse: 0, waiting: 0 })
      }).pipe(Effect.provide(layer)),
  )

  it.effect.each([{ path: "/tell" }, { path: "/offer" }])(
    "$path redeems the place that was taken at the door: nothing counts twice",
    ({ path }) =>
      Effect.gen(function* () {
        const { answers, send, stats } = yield* server
        for (let i = 0; i < 4; i++) send(path)
        yield* settle
        expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200])
        expect(stats("Till")).toMatchObject({ inUse: 1, waiting: 3 })
        // What it was told outlives the request.
        yield* TestClock.adjust("1 second")
        yield* settle
        expect(started).toBe(4)
      }).pipe(Effect.provide(layer)),
  )

  it.effect("a place that was not used is free again when its request ends", () =>
    Effect.gen(function* () {
      const { answers, send, stats } = yield* server
      // Its body does not fit, so its handler never runs.
      send("/ask", { method: "POST", body: "{" })
      yield* settle
      expect(answers.map(({ status }) => status)).toEqual([400])
      expect(stats("Till")).toMatchObject({ inUse: 0, waiting: 0 })
    }).pipe(Effect.provide(layer)))

  it.effect("an ask carries the other tickets of its request on to the actor", () =>
    Effect.gen(function* () {
      const { answers, send, stats } = yield* server
      send("/through")
      yield* settle
      // One slot in use and no ticket left: it was redeemed inside the actor.
      expect(stats("desk")).toMatchObject({ inUse: 1, waiting: 0 })
      yield* TestClock.adjust("100 millis")
      yield* settle
      expect(answers.map(({ status }) => status)).toEqual([200])
      expect(stats("desk")).toMatchObject({ inUse: 0, waiting: 0 })
    }).pipe(Effect.provide(layer)))
})
