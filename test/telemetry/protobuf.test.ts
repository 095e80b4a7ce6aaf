import { describe, expect, it } from "@effect/vitest"
import { ConfigProvider, Effect, Logger, Metric } from "effect"
import * as Export from "../../src/telemetry/Export.ts"
import * as Metrics from "../../src/telemetry/Metrics.ts"
import * as Spans from "../../src/telemetry/Spans.ts"
import { fields, messages, texts } from "../support/protobuf.ts"
import { quick } from "../support/otlp.ts"

/** Takes whatever is posted, as bytes. */
const receiver = Effect.gen(function* () {
  const posts: Array<{ readonly path: string; readonly type: string; readonly body: Uint8Array }> =
    []
  const server = yield* Effect.acquireRelease(
    Effect.sync(() =>
      Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
        const type = request.headers.get("content-type") ?? ""
        const body = await request.bytes()
        posts.push({ path: new URL(request.url).pathname, type, body })
        return new Response(new Uint8Array(), { headers: { "content-type": type } })
      })
    ),
    (server) => Effect.promise(() => server.shutdown()),
  )
  return { endpoint: `http://127.0.0.1:${server.addr.port}`, posts }
})

/** A span with a child, a log line and a metric, sent with these settings. */
const sent = (env: Readonly<Record<string, string>>) =>
  Effect.gen(function* () {
    const { endpoint, posts } = yield* receiver
    const lines: Array<string> = []
    const console_ = Logger.layer([Logger.make(({ message }) => void lines.push(String(message)))])
    yield* Effect.log("hello").pipe(
      Spans.withSpan("child"),
      Effect.andThen(Metric.update(Metric.counter("sold"), 3)),
      Spans.withSpan("parent"),
      Effect.provide(Export.layer({ serviceName: "shop" })),
      Effect.provide(console_),
      Effect.provideService(
        ConfigProvider.ConfigProvider,
        ConfigProvider.fromEnvRecord({ ...quick(endpoint), ...env }),
      ),
      Effect.provideService(Metrics.Metrics, Metrics.makeUnsafe()),
      Effect.provideService(Metric.MetricRegistry, new Map()),
    )
    const at = (path: string) => posts.filter((post) => post.path === path)
    return { at, lines }
  })

const protobuf = "application/x-protobuf"

describe("http/protobuf", () => {
  it.live("sends all three signals in protobuf", () =>
    Effect.gen(function* () {
      const { at, lines } = yield* sent({ OTEL_EXPORTER_OTLP_PROTOCOL: "http/protobuf" })
      for (const path of ["/v1/traces", "/v1/logs", "/v1/metrics"]) {
        expect(at(path).map(({ type }) => type), path).toContain(protobuf)
        for (const { body } of at(path)) {
          // resource_… → resource → attributes → key
          expect(texts(body, 1, 1, 1, 1)).toContain("service.name")
          expect(texts(body, 1, 1, 1, 2, 1)).toContain("shop")
        }
      }
      // resource_spans → scope_spans → spans
      const spans = at("/v1/traces").flatMap(({ body }) => messages(body, 1, 2, 2))
      const named = (name: string) => fields(spans.find((span) => texts(span, 5)[0] === name)!)
      const [child, parent] = [named("child"), named("parent")]
      expect((child.get(1)![0] as Uint8Array).length).toBe(16)
      expect(child.get(1)).toEqual(parent.get(1))
      expect(child.get(4)).toEqual(parent.get(2))
      expect(child.get(8)![0]! >= child.get(7)![0]!).toBe(true)
      // resource_logs → scope_logs → log_records → body → string_value
      expect(at("/v1/logs").flatMap(({ body }) => texts(body, 1, 2, 2, 5, 1))).toContain("hello")
      // resource_metrics → scope_metrics → metrics → name
      expect(at("/v1/metrics").flatMap(({ body }) => texts(body, 1, 2, 2, 1))).toContain("sold")
      expect(lines.filter((line) => line.includes("json"))).toEqual([])
    }))

  it.live("is asked for by signal too", () =>
    Effect.gen(function* () {
      const { at } = yield* sent({ OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: "http/protobuf" })
      expect(at("/v1/traces").map(({ type }) => type)).toContain(protobuf)
      expect(at("/v1/logs").map(({ type }) => type)).toContain("application/json")
      expect(at("/v1/metrics").map(({ type }) => type)).toContain("application/json")
    }))
})
