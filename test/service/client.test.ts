import { expect, it } from "@effect/vitest"
import { Context, Effect, Layer, Schema } from "effect"
import { FetchHttpClient } from "effect/http"
import {
  HttpApi,
  HttpApiBuilder,
  HttpApiClient,
  HttpApiEndpoint,
  HttpApiGroup,
} from "effect/http-api"
import { Database, Policy, Refused, Server, Service, Supervised, Task } from "@weir/runtime"

const get = <const Name extends string>(name: Name) =>
  HttpApiEndpoint.get(name, `/${name}`, { success: Schema.String, error: Database.NoRow })

class Api extends HttpApi.make("typed").add(
  HttpApiGroup.make("typed").add(
    get("missing"),
    get("refused"),
    get("slow").annotate(Policy.Policy, { deadline: "50 millis" }),
    get("task"),
  ),
).middleware(Supervised.Supervised) {}

const refusal = new Refused.Refused({
  reason: "QueueFull",
  kind: "pool",
  resource: "database",
  inUse: 10,
  capacity: 10,
  waiting: 3,
  predictedWaitMs: 40,
  retryAfterMs: 40,
})

const handlers = HttpApiBuilder.group(Api, "typed", (handlers) =>
  handlers.handleAll({
    missing: () => Effect.fail(new Database.NoRow()),
    refused: () => Effect.fail(refusal),
    slow: () => Effect.never,
    // What a task can fail with is declared as well: nothing to catch.
    task: () => Task.run("step", Effect.succeed("done")),
  }))

it.live("a typed client gets Weir's failures back as what they were", () =>
  Effect.gen(function* () {
    const context = yield* Layer.build(Service.layer(Api, { handlers, server: { port: 0 } }))
    const { port } = Context.get(context, Server.Server)
    const client = yield* HttpApiClient.make(Api, { baseUrl: `http://127.0.0.1:${port}` })
    expect(yield* Effect.flip(client.typed.missing())).toBeInstanceOf(Database.NoRow)
    const refused = yield* Effect.flip(client.typed.refused())
    expect(refused).toBeInstanceOf(Refused.Refused)
    expect(refused).toMatchObject({ reason: "QueueFull", resource: "database", waiting: 3 })
    expect(yield* Effect.flip(client.typed.slow())).toMatchObject({ _tag: "DeadlineExceeded" })
    expect(yield* client.typed.task()).toBe("done")
  }).pipe(Effect.provide(FetchHttpClient.layer)))
