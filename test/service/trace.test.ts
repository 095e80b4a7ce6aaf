import { expect, it } from "@effect/vitest"
import { ConfigProvider, Effect, Layer } from "effect"
import * as TestLab from "../support/lab.ts"
import { collector, quick, type Span } from "../support/otlp.ts"

/** The ids of a client in another process: only the W3C header travels. */
const remote = { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331" }

const call = (url: string, headers: Readonly<Record<string, string>> = {}) =>
  Effect.promise(async () => {
    const traceparent = `00-${remote.traceId}-${remote.spanId}-01`
    const response = await fetch(url, { headers: { traceparent, ...headers } })
    await response.body?.cancel()
    return response.status
  })

it.live("one trace leads from the client through request, admission and pool to SQL", () =>
  Effect.gen(function* () {
    const otlp = yield* collector
    yield* Effect.gen(function* () {
      const lab = yield* TestLab.Lab
      expect(yield* call(`${lab.url}/query/0.01`)).toBe(200)
      expect(yield* call(`${lab.url}/query/30`, { "request-timeout": "150" })).toBe(504)
      yield* Effect.promise(() => fetch(`${lab.url}/defect`))
    }).pipe(
      Effect.provide(Layer.provide(
        TestLab.layer({ connections: 1 }),
        ConfigProvider.layer(ConfigProvider.fromEnvRecord(quick(otlp.endpoint))),
      )),
    )
    // Closing the service has flushed everything.
    const spans = otlp.spansOf(remote.traceId)
    const server = spans.filter((span) => span.kind === 2)
    expect(server.map((span) => span.name)).toEqual(["GET /query/:seconds", "GET /query/:seconds"])
    const [first, second] = server
    const below = (id: string) => spans.filter((span) => span.parentSpanId === id)
    const isSql = (span: Span) => span.attributes["db.system.name"] === "postgresql"
    expect(below(first!.spanId).map((span) => isSql(span) ? "SQL" : span.name)).toEqual(
      expect.arrayContaining(["Admission.admit", "ResourcePool.wait", "SQL"]),
    )
    expect(first!.parentSpanId).toBe(remote.spanId)
    expect(first!.attributes).toMatchObject({
      "http.request.method": "GET",
      "http.route": "/query/:seconds",
      "http.response.status_code": 200,
    })
    const admit = below(first!.spanId).find((span) => span.name === "Admission.admit")!
    expect(admit.attributes).toMatchObject({
      "weir.endpoint": "lab.query",
      "weir.admission.uses": "database",
    })
    // The cancelled one says why, and its query is a child of the same request.
    expect(second!.attributes["weir.cancel.reason"]).toBe("DeadlineExceeded")
    expect(second!.status).toBe(2)
    expect(below(second!.spanId).some(isSql)).toBe(true)
    for (const span of spans) expect(span.resource["service.name"]).toBe("lab")

    const { logs, points } = otlp.arrived()
    const bug = logs.find((log) => String(log.body).includes("this is a bug"))
    expect(bug?.severity).toBe("Error")
    expect(
      points.some((point) =>
        point.name === "weir_requests_total" &&
        point.attributes["outcome"] === "cancelled" &&
        point.attributes["reason"] === "DeadlineExceeded" && point.value === 1
      ),
    ).toBe(true)
    expect(points.some((point) => point.name === "weir_tasks_total")).toBe(true)
    expect(
      points.some((point) =>
        point.name === "weir_bounded_capacity" && point.attributes["name"] === "database"
      ),
    ).toBe(true)
  }))
