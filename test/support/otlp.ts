/** A collector for tests: takes OTLP/HTTP in JSON on a loopback port and keeps what arrives. */
import { Effect, type Scope } from "effect"

type Json = Readonly<Record<string, unknown>>
export type Attributes = Readonly<Record<string, unknown>>

export interface Span {
  readonly traceId: string
  readonly spanId: string
  /** Empty for a root. */
  readonly parentSpanId: string
  readonly name: string
  /** 1 internal, 2 server, 3 client. */
  readonly kind: number
  readonly attributes: Attributes
  /** 0 unset, 1 ok, 2 error. */
  readonly status: number
  readonly startNanos: bigint
  readonly endNanos: bigint
  readonly resource: Attributes
}

export interface Log {
  readonly body: unknown
  readonly severity: string
  readonly traceId: string
  readonly spanId: string
  readonly attributes: Attributes
  readonly resource: Attributes
}

export interface Point {
  readonly name: string
  readonly unit: string
  readonly type: "sum" | "gauge" | "histogram"
  readonly attributes: Attributes
  /** Of a histogram, the sum. */
  readonly value: number
  readonly count: number | undefined
  readonly buckets: ReadonlyArray<number> | undefined
  readonly resource: Attributes
}

export interface Arrived {
  readonly spans: ReadonlyArray<Span>
  readonly logs: ReadonlyArray<Log>
  readonly points: ReadonlyArray<Point>
}

export interface Collector {
  /** `http://127.0.0.1:port`, for `OTEL_EXPORTER_OTLP_ENDPOINT`. */
  readonly endpoint: string
  /** Everything that has arrived so far, in the order of its arrival. */
  readonly arrived: () => Arrived
  /** Headers of each export so far. */
  readonly requests: () => ReadonlyArray<{ readonly path: string; readonly headers: Headers }>
  /** The spans of one trace, by start. */
  readonly spansOf: (traceId: string) => ReadonlyArray<Span>
  /** The first span of that name. */
  readonly span: (name: string) => Span | undefined
  /** Waits until what has arrived satisfies the predicate, and returns it. */
  readonly until: (predicate: (arrived: Arrived) => boolean) => Effect.Effect<Arrived>
  /** Answers the following exports with this status; 200 to begin with. */
  readonly answer: (status: number) => void
}

const list = (value: unknown): ReadonlyArray<Json> => Array.isArray(value) ? value : []
const text = (value: unknown): string => typeof value === "string" ? value : ""

/** OTLP's `AnyValue`. */
const anyValue = (value: unknown): unknown => {
  const json = (value ?? {}) as Json
  if ("intValue" in json) return Number(json["intValue"])
  if ("arrayValue" in json) return list((json["arrayValue"] as Json)["values"]).map(anyValue)
  if ("kvlistValue" in json) return attributes((json["kvlistValue"] as Json)["values"])
  return json["stringValue"] ?? json["boolValue"] ?? json["doubleValue"]
}

const attributes = (value: unknown): Attributes =>
  Object.fromEntries(list(value).map((pair) => [text(pair["key"]), anyValue(pair["value"])]))

/** The records of all scopes, each with the attributes of its resource. */
const records = (body: Json, resources: string, scopes: string, items: string) =>
  list(body[resources]).flatMap((one) => {
    const resource = attributes(((one["resource"] ?? {}) as Json)["attributes"])
    return list(one[scopes]).flatMap((scope) =>
      list(scope[items]).map((json) => ({ json, resource }))
    )
  })

const spans = (body: Json): ReadonlyArray<Span> =>
  records(body, "resourceSpans", "scopeSpans", "spans").map(({ json, resource }) => ({
    traceId: text(json["traceId"]),
    spanId: text(json["spanId"]),
    parentSpanId: text(json["parentSpanId"]),
    name: text(json["name"]),
    kind: Number(json["kind"]),
    attributes: attributes(json["attributes"]),
    status: Number(((json["status"] ?? {}) as Json)["code"] ?? 0),
    startNanos: BigInt(text(json["startTimeUnixNano"])),
    endNanos: BigInt(text(json["endTimeUnixNano"])),
    resource,
  }))

const logs = (body: Json): ReadonlyArray<Log> =>
  records(body, "resourceLogs", "scopeLogs", "logRecords").map(({ json, resource }) => ({
    body: anyValue(json["body"]),
    severity: text(json["severityText"]),
    traceId: text(json["traceId"]),
    spanId: text(json["spanId"]),
    attributes: attributes(json["attributes"]),
    resource,
  }))

const points = (body: Json): ReadonlyArray<Point> =>
  records(body, "resourceMetrics", "scopeMetrics", "metrics").flatMap(({ json, resource }) => {
    const type = (["sum", "gauge", "histogram"] as const).find((type) => type in json)
    if (type === undefined) throw new Error(`unknown kind of metric: ${JSON.stringify(json)}`)
    return list((json[type] as Json)["dataPoints"]).map((point) => ({
      name: text(json["name"]),
      unit: text(json["unit"]),
      type,
      attributes: attributes(point["attributes"]),
      value: Number(point["asDouble"] ?? point["asInt"] ?? point["sum"]),
      count: point["count"] === undefined ? undefined : Number(point["count"]),
      buckets: (point["bucketCounts"] as ReadonlyArray<number> | undefined)?.map(Number),
      resource,
    }))
  })

/** Starts a collector that stops with the scope. */
export const collector: Effect.Effect<Collector, never, Scope.Scope> = Effect.gen(function* () {
  const arrived = {
    spans: [] as Array<Span>,
    logs: [] as Array<Log>,
    points: [] as Array<Point>,
  }
  const requests: Array<{ readonly path: string; readonly headers: Headers }> = []
  const waiting = new Set<() => void>()
  let status = 200
  const handle = async (request: Request): Promise<Response> => {
    const path = new URL(request.url).pathname
    const answer = status
    const body: Json = await request.json()
    requests.push({ path, headers: request.headers })
    if (answer === 200) {
      if (path.endsWith("/v1/traces")) arrived.spans.push(...spans(body))
      else if (path.endsWith("/v1/logs")) arrived.logs.push(...logs(body))
      else if (path.endsWith("/v1/metrics")) arrived.points.push(...points(body))
      else return new Response(null, { status: 404 })
    }
    for (const look of waiting) look()
    return Response.json({}, { status: answer })
  }
  const server = yield* Effect.acquireRelease(
    Effect.sync(() => Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, handle)),
    (server) => Effect.promise(() => server.shutdown()),
  )
  const until: Collector["until"] = (predicate) =>
    Effect.callback<Arrived>((resume) => {
      const look = (): void => {
        if (!predicate(arrived)) return
        waiting.delete(look)
        resume(Effect.succeed(arrived))
      }
      waiting.add(look)
      look()
      return Effect.sync(() => void waiting.delete(look))
    })
  return {
    endpoint: `http://127.0.0.1:${server.addr.port}`,
    arrived: () => arrived,
    requests: () => requests,
    spansOf: (traceId) =>
      arrived.spans.filter((span) => span.traceId === traceId)
        .sort((a, b) => a.startNanos < b.startNanos ? -1 : a.startNanos > b.startNanos ? 1 : 0),
    span: (name) => arrived.spans.find((span) => span.name === name),
    until,
    answer: (next) => void (status = next),
  }
})

/** A trace as a tree of names, indented by depth, for comparing whole traces in tests. */
export const outline = (spans: ReadonlyArray<Span>): string => {
  const known = new Set(spans.map(({ spanId }) => spanId))
  const below = (parent: string | undefined, depth: number): ReadonlyArray<string> =>
    spans.filter((span) =>
      parent === undefined ? !known.has(span.parentSpanId) : span.parentSpanId === parent
    ).flatMap((span) => ["  ".repeat(depth) + span.name, ...below(span.spanId, depth + 1)])
  return below(undefined, 0).join("\n")
}

/** Settings that make every signal leave within 50 ms. */
export const quick = (endpoint: string): Readonly<Record<string, string>> => ({
  OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
  OTEL_BSP_SCHEDULE_DELAY: "50",
  OTEL_BLRP_SCHEDULE_DELAY: "50",
  OTEL_METRIC_EXPORT_INTERVAL: "50",
})
