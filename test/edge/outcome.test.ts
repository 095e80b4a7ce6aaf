import { expect, it } from "@effect/vitest"
import { Context, Effect, Layer, Schedule, Schema } from "effect"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { Policy, Refused, Server, Service, Supervised } from "@weir/runtime"
import { parse } from "../support/prometheus.ts"

class Api extends HttpApi.make("late").add(
  HttpApiGroup.make("late").add(
    HttpApiEndpoint.get("refused", "/refused", { success: Schema.String }),
    HttpApiEndpoint.get("served", "/served", { success: Schema.String }),
  ).annotate(Policy.Policy, { deadline: "100 millis" }),
).middleware(Supervised.Supervised) {}

const refusal = new Refused.Refused({
  reason: "QueueFull",
  kind: "pool",
  resource: "elsewhere",
  inUse: 1,
  capacity: 1,
  waiting: 1,
  predictedWaitMs: 1,
  retryAfterMs: 1,
})

/** Cleanup that is still at work when the deadline passes. */
const slowCleanup = Effect.addFinalizer(() => Effect.sleep("250 millis"))

const handlers = HttpApiBuilder.group(Api, "late", (handlers) =>
  handlers.handleAll({
    refused: () => Effect.andThen(slowCleanup, Effect.fail(refusal)),
    served: () => Effect.andThen(slowCleanup, Effect.succeed("done")),
  }))

it.live("a deadline that passes while finalizers run does not change how the request ended", () =>
  Effect.gen(function* () {
    const context = yield* Layer.build(Service.layer(Api, { handlers, server: { port: 0 } }))
    const { port } = Context.get(context, Server.Server)
    const get = (path: string) =>
      Effect.promise(async () => {
        const response = await fetch(`http://127.0.0.1:${port}${path}`)
        return { status: response.status, text: await response.text() }
      })
    expect((yield* get("/refused")).status).toBe(503)
    expect((yield* get("/served")).status).toBe(200)
    const ended = Effect.map(
      get("/metrics"),
      ({ text }) =>
        parse(text).find(({ name }) => name === "weir_requests_total")!.series
          .filter(({ value }) => value > 0)
          .map(({ labels, value }) => `${labels["endpoint"]} ${labels["outcome"]} ${value}`).sort(),
    )
    const all = yield* Effect.repeat(ended, {
      until: (lines) => lines.length >= 2,
      schedule: Schedule.max([Schedule.spaced("20 millis"), Schedule.recurs(200)]),
    })
    expect(all).toEqual(["late.refused refused 1", "late.served completed 1"])
  }))
