import { describe, expect, it } from "@effect/vitest"
import {
  ConfigProvider,
  Deferred,
  Effect,
  Fiber,
  Layer,
  Logger,
  Metric,
  Schedule,
  type Scope,
} from "effect"
import {
  FetchHttpClient,
  HttpClient,
  HttpRouter,
  HttpServerRequest,
  HttpServerResponse,
} from "effect/http"
import * as CancelReason from "../../src/task/CancelReason.ts"
import * as Export from "../../src/telemetry/Export.ts"
import { ExportConfigError } from "../../src/telemetry/ExportConfigError.ts"
import * as Metrics from "../../src/telemetry/Metrics.ts"
import * as Spans from "../../src/telemetry/Spans.ts"
import { collector, outline, quick, type Span } from "../support/otlp.ts"
import { root } from "../support/tree.ts"

type Env = Readonly<Record<string, string>>

/** Log lines of the console, in place of the console. */
const console_ = () => {
  const lines: Array<string> = []
  const logger = Logger.make(({ message }) => void lines.push(String(message)))
  return { lines, layer: Logger.layer([logger]) }
}

interface Fixture {
  readonly metrics: Metrics.Metrics
  readonly lines: ReadonlyArray<string>
  /** Runs with the export on; returning closes it. */
  readonly exporting: <A, E>(
    effect: Effect.Effect<A, E, Scope.Scope>,
    options?: Export.Options,
  ) => Effect.Effect<A, E | ExportConfigError>
}

const fixture = (env: Env): Fixture => {
  const metrics = Metrics.makeUnsafe()
  const { lines, layer } = console_()
  const registry = new Map()
  const exporting: Fixture["exporting"] = (effect, options) =>
    Effect.scoped(effect).pipe(
      Effect.provide(Export.layer(options)),
      Effect.provide(layer),
      Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnvRecord(env)),
      Effect.provideService(Metrics.Metrics, metrics),
      Effect.provideService(Metric.MetricRegistry, registry),
      Effect.catchTag("ConfigError", Effect.die),
    ) as Effect.Effect<never, ExportConfigError>
  return { metrics, lines, exporting }
}

/** Serves an app with Effect's own web handler on a loopback port. */
const served = (app: Layer.Layer<never, never, HttpRouter.HttpRouter>) =>
  Effect.gen(function* () {
    const context = yield* Effect.context<never>()
    const { handler, dispose } = HttpRouter.toWebHandler(
      Layer.provide(app, Layer.succeedContext(context)),
      { disableLogger: true },
    )
    yield* Effect.addFinalizer(() => Effect.promise(dispose))
    const server = yield* Effect.acquireRelease(
      Effect.sync(() =>
        Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) =>
          handler(request, context))
      ),
      (server) =>
        Effect.promise(() => server.shutdown()),
    )
    return `http://127.0.0.1:${server.addr.port}`
  })

/** Takes connections and never answers. */
const silent = Effect.acquireRelease(
  Effect.sync(() => {
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 })
    const accepted: Array<Deno.Conn> = []
    const accepting = (async () => {
      for await (const connection of listener) accepted.push(connection)
    })().catch(() => {})
    return { listener, accepted, accepting }
  }),
  ({ accepted, accepting, listener }) =>
    Effect.promise(async () => {
      listener.close()
      await accepting
      for (const connection of accepted) connection.close()
    }),
).pipe(Effect.map(({ listener }) => `http://127.0.0.1:${listener.addr.port}`))

describe("Export", () => {
  it.live("sends spans with parent, attributes and resource", () =>
    Effect.gen(function* () {
      const otlp = yield* collector
      const { exporting } = fixture({
        ...quick(otlp.endpoint),
        OTEL_RESOURCE_ATTRIBUTES: "deployment.environment.name=test,team=a%20b",
      })
      yield* Effect.void.pipe(
        Spans.withSpan("inner", { attributes: () => ({ rows: 3, names: ["a", "b"] }) }),
        Spans.withSpan("outer"),
        (work) => exporting(work, { serviceName: "shop", serviceVersion: "1.2.3" }),
      )
      const outer = otlp.span("outer")!
      expect(outline(otlp.spansOf(outer.traceId))).toBe("outer\n  inner")
      expect(otlp.span("inner")?.attributes).toEqual({ rows: 3, names: ["a", "b"] })
      expect(outer.resource).toMatchObject({
        "service.name": "shop",
        "service.version": "1.2.3",
        "deployment.environment.name": "test",
        team: "a b",
      })
      expect(outer.status).toBe(1)
    }))

  it.live("lets the environment name the service", () =>
    Effect.gen(function* () {
      const otlp = yield* collector
      const { exporting } = fixture({ ...quick(otlp.endpoint), OTEL_SERVICE_NAME: "from-env" })
      yield* exporting(Spans.withSpan("step")(Effect.void), { serviceName: "shop" })
      expect(otlp.span("step")?.resource["service.name"]).toBe("from-env")
    }))

  it.live("marks the span of an interrupted effect with the cancel reason", () =>
    Effect.gen(function* () {
      const otlp = yield* collector
      const { exporting } = fixture(quick(otlp.endpoint))
      const cancelled = (name: string, reason: CancelReason.CancelReason) =>
        Effect.gen(function* () {
          const running = yield* Deferred.make<void>()
          const fiber = yield* Deferred.succeed(running, undefined).pipe(
            Effect.andThen(Effect.never),
            Spans.withSpan(name, { cancelReason: () => reason }),
            Effect.forkChild({ startImmediately: true }),
          )
          yield* Deferred.await(running)
          yield* Fiber.interrupt(fiber)
        })
      yield* exporting(Effect.andThen(
        cancelled("left", CancelReason.ClientAbort),
        cancelled("late", CancelReason.DeadlineExceeded(1)),
      ))
      expect(otlp.span("left")?.attributes["weir.cancel.reason"]).toBe("ClientAbort")
      expect(otlp.span("left")?.status).toBe(0)
      expect(otlp.span("late")?.attributes).toMatchObject({
        "weir.cancel.reason": "DeadlineExceeded",
        "error.type": "DeadlineExceeded",
      })
      expect(otlp.span("late")?.status).toBe(2)
    }))

  it.live("sends logs with their annotations and their span, and still to the console", () =>
    Effect.gen(function* () {
      const otlp = yield* collector
      const { exporting, lines } = fixture(quick(otlp.endpoint))
      yield* exporting(
        Effect.logWarning("stock is low").pipe(
          Effect.annotateLogs("sku", "a-1"),
          Spans.withSpan("check"),
        ),
      )
      const log = otlp.arrived().logs.find(({ body }) => body === "stock is low")
      const span = otlp.span("check")
      expect(log).toMatchObject({ severity: "Warn", traceId: span?.traceId, spanId: span?.spanId })
      expect(log?.attributes["sku"]).toBe("a-1")
      expect(log?.resource["service.name"]).toBe("weir")
      expect(lines).toContain("stock is low")
    }))

  it.live("sends Weir's metrics and the application's own, again and again", () =>
    Effect.gen(function* () {
      const otlp = yield* collector
      const { exporting, metrics } = fixture(quick(otlp.endpoint))
      metrics.addSourceUnsafe(() => ({
        tasks: { started: { request: 2 }, ended: { request: { completed: 1 } }, abandoned: 0 },
      }))
      const look = metrics.endpoint("stock.look", "GET")
      yield* exporting(Effect.gen(function* () {
        yield* Metric.update(Metric.counter("orders_total"), 3)
        look.started()
        look.completed(12, 200)
        yield* otlp.until(({ points }) => points.some(({ name }) => name === "orders_total"))
        look.completed(3000, 200)
        yield* otlp.until(({ points }) =>
          points.some(({ name, value }) => name === "weir_requests_total" && value === 2)
        )
      }))
      const last = (name: string) =>
        otlp.arrived().points.filter((point) => point.name === name).at(-1)
      expect(last("orders_total")).toMatchObject({ type: "sum", value: 3 })
      expect(last("weir_requests_total")).toMatchObject({
        type: "sum",
        value: 2,
        attributes: {
          endpoint: "stock.look",
          method: "GET",
          outcome: "completed",
          reason: "2xx",
        },
      })
      expect(last("weir_requests_in_flight")).toMatchObject({ type: "gauge", value: 1 })
      expect(last("weir_tasks_live")).toMatchObject({ attributes: { kind: "request" }, value: 1 })
      const duration = last("weir_request_duration_seconds")
      expect(duration).toMatchObject({ type: "histogram", unit: "s", count: 2 })
      expect(duration?.value).toBeCloseTo(3.012)
      expect(duration?.buckets).toHaveLength(15)
    }))

  it.live("takes the trace of a request in, and sends it on with the next one", () =>
    Effect.gen(function* () {
      const otlp = yield* collector
      const { exporting } = fixture(quick(otlp.endpoint))
      const seen: Array<string | undefined> = []
      const back = HttpRouter.add(
        "GET",
        "/back",
        Effect.map(HttpServerRequest.HttpServerRequest, ({ headers }) => {
          seen.push(headers["traceparent"])
          return HttpServerResponse.text("back")
        }),
      )
      const traceId = "0af7651916cd43dd8448eb211c80319c"
      yield* exporting(Effect.gen(function* () {
        const next = yield* served(back)
        const front = HttpRouter.add(
          "GET",
          "/front",
          HttpClient.get(`${next}/back`).pipe(
            Spans.withSpan("call"),
            Effect.as(HttpServerResponse.text("front")),
            Effect.orDie,
            Effect.provide(FetchHttpClient.layer),
          ),
        )
        const address = yield* served(front)
        const response = yield* Effect.promise(() =>
          fetch(`${address}/front`, {
            headers: { traceparent: `00-${traceId}-b7ad6b7169203331-01` },
          })
        )
        expect(yield* Effect.promise(() => response.text())).toBe("front")
      }))
      const spans = otlp.spansOf(traceId)
      expect(outline(spans)).toBe("GET\n  call\n    GET\n      GET")
      const [server, , client, inner] = spans as [Span, Span, Span, Span]
      expect(server).toMatchObject({ kind: 2, parentSpanId: "b7ad6b7169203331" })
      expect(server.attributes).toMatchObject({ "http.route": "/front", "url.path": "/front" })
      expect(client.kind).toBe(3)
      expect(inner).toMatchObject({ kind: 2, parentSpanId: client.spanId })
      expect(seen).toEqual([`00-${traceId}-${client.spanId}-01`])
    }))

  it.live("sends the configured headers, and never logs them", () =>
    Effect.gen(function* () {
      const otlp = yield* collector
      const address = otlp.endpoint.replace("//", "//user:pass@")
      const { exporting, lines } = fixture({
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${address}/v1/traces?token=query`,
        OTEL_EXPORTER_OTLP_HEADERS: "api-key=s3cret",
      })
      yield* exporting(Spans.withSpan("step")(Effect.void))
      expect(otlp.requests().map(({ path }) => path)).toEqual(["/v1/traces"])
      expect(otlp.requests()[0]?.headers.get("api-key")).toBe("s3cret")
      expect(lines).toEqual([`Sending traces to ${otlp.endpoint}/v1/traces.`])
    }))

  it.live("keeps the share of traces that the sampler says", () =>
    Effect.gen(function* () {
      const otlp = yield* collector
      const { exporting } = fixture({
        ...quick(otlp.endpoint),
        OTEL_TRACES_SAMPLER: "parentbased_always_off",
      })
      yield* exporting(Spans.withSpan("dropped")(Effect.log("hello")))
      expect(otlp.arrived().spans).toEqual([])
      expect(otlp.arrived().logs.map(({ body }) => body)).toContain("hello")
    }))

  it.live("drops and counts the spans that the queue has no room for", () =>
    Effect.gen(function* () {
      const otlp = yield* collector
      const { exporting, metrics } = fixture({
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${otlp.endpoint}/v1/traces`,
        OTEL_BSP_MAX_QUEUE_SIZE: "10",
        OTEL_BSP_SCHEDULE_DELAY: "60000",
      })
      // One synchronous run: nothing can be sent between two of these spans.
      yield* exporting(Effect.repeat(Spans.withSpan("step")(Effect.void), Schedule.recurs(99)))
      const dropped = metrics.read(0).find(({ definition }) =>
        definition.name === "weir_export_dropped_total"
      )?.samples ?? []
      const arrived = otlp.arrived().spans.length
      const lost = dropped.reduce((sum, { value }) => sum + value, 0)
      expect(arrived + lost).toBe(100)
      expect(lost).toBeGreaterThan(0)
      expect(dropped.map(({ labels }) => labels)).toEqual([["traces", "queue_full"]])
    }))

  it.live("says once that the collector refuses, once that it takes again, and counts the loss", () =>
    Effect.gen(function* () {
      const otlp = yield* collector
      const { exporting, lines, metrics } = fixture({
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${otlp.endpoint}/v1/traces`,
        OTEL_BSP_SCHEDULE_DELAY: "20",
      })
      const dropped = () =>
        metrics.read(0).find(({ definition }) => definition.name === "weir_export_dropped_total")
          ?.samples
      const requests = (count: number) => otlp.until(() => otlp.requests().length >= count)
      otlp.answer(400)
      yield* exporting(Effect.gen(function* () {
        for (let i = 1; i <= 5; i++) {
          yield* Spans.withSpan("lost")(Effect.void)
          yield* requests(i)
        }
        otlp.answer(200)
        yield* Spans.withSpan("kept")(Effect.void)
        yield* otlp.until(({ spans }) => spans.length === 1)
      }))
      expect(otlp.arrived().spans.map(({ name }) => name)).toEqual(["kept"])
      expect(dropped()).toEqual([{ labels: ["traces", "failed"], value: 5 }])
      expect(lines.slice(1)).toEqual([
        `Cannot send traces to ${otlp.endpoint}/v1/traces: HTTP 400. The service goes on without ` +
        "(exports failed: 1, items lost: 1). Start the collector, or unset OTEL_EXPORTER_OTLP_ENDPOINT.",
        "Sending traces works again (exports failed: 5, items lost: 5).",
      ])
    }))

  it.live("neither fails nor waits long for a collector that is not there", () =>
    Effect.gen(function* () {
      const port = Deno.listen({ hostname: "127.0.0.1", port: 0 })
      const endpoint = `http://127.0.0.1:${port.addr.port}`
      port.close()
      const { exporting } = fixture(quick(endpoint))
      const answer = yield* exporting(
        Spans.withSpan("step")(Effect.as(Effect.log("hello"), 42)),
        { flushTimeout: "100 millis" },
      ).pipe(Effect.timeout("10 seconds"))
      expect(answer).toBe(42)
    }))

  it.live("stops waiting for a collector that never answers, and says so", () =>
    Effect.gen(function* () {
      const endpoint = yield* silent
      const { exporting, lines } = fixture(quick(endpoint))
      yield* exporting(Spans.withSpan("step")(Effect.void), { flushTimeout: "100 millis" }).pipe(
        Effect.timeout("9 seconds"),
      )
      expect(lines.at(-1)).toBe(
        "Stopped sending telemetry after 100 ms; what had not arrived by then is lost.",
      )
    }))

  it.live("refuses a wrong variable at the start, in one sentence", () =>
    Effect.gen(function* () {
      const { exporting } = fixture({ OTEL_EXPORTER_OTLP_ENDPOINT: "localhost:4318" })
      const error = yield* Effect.flip(exporting(Effect.void))
      expect(error).toBeInstanceOf(ExportConfigError)
      expect(error.message).toBe(
        'Cannot start the telemetry export: OTEL_EXPORTER_OTLP_ENDPOINT is "localhost:4318", ' +
          "which is no http:// or https:// address. Set it to the address of an OTLP/HTTP " +
          "collector, such as http://127.0.0.1:4318, or unset it.",
      )
    }))

  it.live("installs nothing while no endpoint is set", () =>
    Effect.gen(function* () {
      const { exporting, lines } = fixture({ OTEL_TRACES_SAMPLER: "nonsense" })
      const tracing = yield* exporting(
        Effect.withFiber((fiber) => Effect.succeed(Spans.isTracing(fiber))),
      )
      expect(tracing).toBe(false)
      expect(lines).toEqual([])
    }))
})

describe("a process with the export", () => {
  const probe = (env: Env) =>
    Effect.promise(async () => {
      const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--config", "deno.json", "test/support/telemetry_probe.ts"],
        cwd: root,
        env,
      }).output()
      if (!success) throw new Error(new TextDecoder().decode(stderr))
      return JSON.parse(new TextDecoder().decode(stdout)) as {
        readonly loaded: number
        readonly protobuf: number
      }
    })

  it.live("loads no package of OpenTelemetry while no endpoint is set", () =>
    Effect.gen(function* () {
      // Not even with a protocol: without an endpoint nothing is sent.
      const env = {
        OTEL_EXPORTER_OTLP_ENDPOINT: "",
        OTEL_EXPORTER_OTLP_PROTOCOL: "http/protobuf",
      }
      expect((yield* probe(env)).loaded).toBe(0)
    }))

  it.live("loads the exporters for protobuf only when protobuf is asked for", () =>
    Effect.gen(function* () {
      const endpoint = yield* silent
      expect((yield* probe(quick(endpoint))).protobuf).toBe(0)
      const asked = { ...quick(endpoint), OTEL_EXPORTER_OTLP_PROTOCOL: "http/protobuf" }
      expect((yield* probe(asked)).protobuf).toBeGreaterThan(0)
    }))

  it.live("loads them once one is set, and ends by itself after sending", () =>
    Effect.gen(function* () {
      const otlp = yield* collector
      expect((yield* probe(quick(otlp.endpoint))).loaded).toBeGreaterThan(0)
      expect(otlp.span("work")).toBeDefined()
    }))

  it.live("ends by itself although the collector never answers", () =>
    Effect.gen(function* () {
      const endpoint = yield* silent
      // Longer than the time limit of this test: the process must not wait for it.
      const patient = { ...quick(endpoint), OTEL_EXPORTER_OTLP_TIMEOUT: "600000" }
      expect((yield* probe(patient)).loaded).toBeGreaterThan(0)
    }))
})
