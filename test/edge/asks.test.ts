import { describe, expect, it } from "@effect/vitest"
import { Actor, Policy, Server, Service, Supervised } from "@weir/runtime"
import { Context, Effect, Layer, Logger, Schema } from "effect"
import { FetchHttpClient } from "effect/http"
import {
  HttpApi,
  HttpApiBuilder,
  HttpApiClient,
  HttpApiEndpoint,
  HttpApiGroup,
} from "effect/http-api"
import { Rpc } from "effect/rpc"

const secret = "the secret inside"

const Work = Rpc.make("Work")
const Slow = Actor.make("Slow", [Work], { mailbox: { capacity: 1 } })
const Brittle = Actor.make("Brittle", [Work])
const Spent = Actor.make("Spent", [Work], { failedStatus: 503 })
const Selfish = Actor.make("Selfish", [Rpc.make("Work", { error: Actor.AskCycle })])
const Quits = Actor.single("Quits", [Work])

const actors = Layer.mergeAll(
  Slow.toLayer({ Work: () => Effect.never }),
  Brittle.toLayer({ Work: () => Effect.die(new Error(secret)) }),
  Spent.toLayer({ Work: () => Effect.die(new Error(secret)) }),
  Selfish.toLayer(Effect.gen(function* () {
    const me = yield* Selfish.self
    // It fails with what it was failed with.
    return Selfish.of({
      Work: () => Effect.catchIf(me.ask.Work(), (error) => error._tag !== "AskCycle", Effect.die),
    })
  })),
  Quits.toLayer({ Work: () => Effect.void }),
)

const get = <const Name extends string>(name: Name) =>
  HttpApiEndpoint.get(name, `/${name}`, { success: Schema.Void })

class Api extends HttpApi.make("asks").add(
  HttpApiGroup.make("asks").add(
    get("full"),
    get("timeout").annotate(Policy.Policy, { deadline: "10 seconds" }),
    get("failed"),
    get("spent"),
    get("cycle"),
    get("stopped"),
  ).annotate(Policy.Policy, { deadline: "2 seconds" }),
).middleware(Supervised.Supervised) {}

const handlers = HttpApiBuilder.group(
  Api,
  "asks",
  Effect.fnUntraced(function* (handlers) {
    const slow = yield* Slow.client
    const brittle = yield* Brittle.client
    const spent = yield* Spent.client
    const selfish = yield* Selfish.client
    const quits = yield* Quits.client
    return handlers.handleAll({
      // One runs and one waits: there is no room for a third.
      full: Effect.fnUntraced(function* () {
        const ref = slow("ada@example.org")
        for (let i = 0; i < 2; i++) {
          yield* Effect.forkChild(ref.ask.Work(), { startImmediately: true })
        }
        yield* ref.ask.Work()
      }),
      timeout: () => slow("grace@example.org").ask.Work(undefined, { timeout: "20 millis" }),
      failed: () => brittle("hedy@example.org").ask.Work(),
      spent: () => spent("joan@example.org").ask.Work(),
      cycle: () => selfish("A/x").ask.Work(),
      stopped: () => Effect.andThen(quits.stop, quits.ask.Work()),
    })
  }),
)

const started = (log: Array<string> = []) =>
  Effect.map(
    Layer.build(
      Service.layer(Api, { handlers, resources: actors, server: { port: 0 } }).pipe(
        Layer.provide(Logger.layer([
          Logger.make(({ message }) => {
            log.push(String(message))
          }),
        ])),
      ),
    ),
    (context) => `http://127.0.0.1:${Context.get(context, Server.Server).port}`,
  )

const cases = [
  {
    name: "full",
    status: 503,
    slug: "mailbox-full",
    more: { reason: "Full", actor: "Slow", tag: "Work", waiting: 1, capacity: 1 },
    tag: "MailboxFull",
    after: true,
  },
  {
    name: "timeout",
    status: 504,
    slug: "ask-timeout",
    more: { actor: "Slow", tag: "Work", state: "running", afterMs: 20 },
    tag: "AskTimeout",
    after: false,
  },
  {
    name: "failed",
    status: 500,
    slug: "actor-failed",
    more: { actor: "Brittle", tag: "Work", status: 500 },
    tag: "ActorFailed",
    after: false,
  },
  {
    name: "spent",
    status: 503,
    slug: "actor-failed",
    more: { actor: "Spent", tag: "Work", status: 503 },
    tag: "ActorFailed",
    after: true,
  },
  {
    name: "cycle",
    status: 500,
    slug: "ask-cycle",
    more: { tag: "Work" },
    tag: "AskCycle",
    after: false,
  },
  {
    name: "stopped",
    status: 503,
    slug: "stopped",
    more: { actor: "Quits", tag: "Work", started: false },
    tag: "Stopped",
    after: true,
  },
] as const

describe("what an ask fails with, over a real socket", () => {
  it.live.each(cases)(
    "$tag is $status $slug, and a typed client gets it back",
    ({ after, more, name, slug, status, tag }) =>
      Effect.gen(function* () {
        const log: Array<string> = []
        const url = yield* started(log)
        const answer = yield* Effect.promise(async () => {
          const response = await fetch(`${url}/${name}`)
          return { headers: response.headers, status: response.status, body: await response.text() }
        })
        expect(answer.status).toBe(status)
        expect(answer.headers.get("content-type")).toBe("application/problem+json")
        expect(JSON.parse(answer.body)).toMatchObject({
          type: `urn:weir:problem:${slug}`,
          status,
          ...more,
        })
        // Neither what it died of nor whose actor it was.
        expect(answer.body).not.toMatch(/secret|example\.org|\.ts|A\/x/)
        expect(answer.headers.has("retry-after")).toBe(after)
        if (after) expect(Number(answer.headers.get("retry-after"))).toBeGreaterThanOrEqual(1)
        // Only a bug that nobody else has logged.
        expect(log.some((line) => line.includes("this is a bug")), log.join("\n"))
          .toBe(tag === "AskCycle")

        const client = yield* HttpApiClient.make(Api, { baseUrl: url })
        expect(yield* Effect.flip(client.asks[name]())).toMatchObject({ _tag: tag, ...more })
      }).pipe(Effect.provide(FetchHttpClient.layer)),
  )

  it.live("what an actor turns away counts as refused, with its reason", () =>
    Effect.gen(function* () {
      const url = yield* started()
      const text = (path: string) =>
        Effect.promise(() => fetch(`${url}${path}`).then((response) => response.text()))
      yield* text("/full")
      yield* text("/stopped")
      const metrics = (yield* text("/metrics")).split("\n")
      const ended = metrics.filter((line) =>
        line.startsWith("weir_requests_total") && line.includes('outcome="refused"') &&
        !line.endsWith(" 0")
      )
      expect(ended.map((line) => /reason="(\w+)"/.exec(line)?.[1]).sort()).toEqual([
        "Closed",
        "QueueFull",
      ])
    }))
})
