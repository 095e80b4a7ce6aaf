import { describe, expect, it } from "@effect/vitest"
import { Redacted } from "effect"
import { readFile } from "node:fs/promises"
import { ExportConfigError } from "../../src/telemetry/ExportConfigError.ts"
import { parse, type Settings, variables } from "../../src/telemetry/settings.ts"
import { root } from "../support/tree.ts"

type Env = Readonly<Record<string, string>>

/** Fails the test when a variable is read that the list of variables lacks. */
const parsed = (env: Env): Settings | undefined =>
  parse((name) => {
    expect(variables).toContain(name)
    return env[name]
  })

const base = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:4318" }

const refused = (env: Env): string => {
  try {
    parsed({ ...base, ...env })
  } catch (error) {
    expect(error).toBeInstanceOf(ExportConfigError)
    return (error as ExportConfigError).message
  }
  throw new Error("accepted")
}

describe("settings of the export", () => {
  it("are off without an endpoint, whatever else is set", () => {
    expect(parsed({})).toBeUndefined()
    expect(parsed({ OTEL_TRACES_SAMPLER: "nonsense", OTEL_BSP_MAX_QUEUE_SIZE: "-1" }))
      .toBeUndefined()
  })

  it("are off when the SDK is disabled, or every signal is", () => {
    expect(parsed({ ...base, OTEL_SDK_DISABLED: "TRUE" })).toBeUndefined()
    const none = {
      OTEL_TRACES_EXPORTER: "none",
      OTEL_LOGS_EXPORTER: "none",
      OTEL_METRICS_EXPORTER: "none",
    }
    expect(parsed({ ...base, ...none })).toBeUndefined()
  })

  it("have the defaults of OpenTelemetry", () => {
    const settings = parsed(base)
    expect(settings).toMatchObject({
      spans: {
        scheduledDelayMillis: 5000,
        exportTimeoutMillis: 30_000,
        maxQueueSize: 2048,
        maxExportBatchSize: 512,
      },
      logs: { scheduledDelayMillis: 1000, maxQueueSize: 2048 },
      metricIntervalMs: 60_000,
      metricTimeoutMs: 30_000,
      sampler: { parentBased: true, ratio: 1 },
      serviceName: undefined,
      resource: {},
    })
    expect(settings?.targets.traces).toMatchObject({
      timeoutMs: 10_000,
      compression: "none",
      protocol: "http/json",
    })
  })

  it("add the path of the signal to the base address only", () => {
    const { targets } = parsed({
      OTEL_EXPORTER_OTLP_ENDPOINT: "https://collector.example/otlp/",
      OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: "http://127.0.0.1:3100/own",
    })!
    expect(targets.traces?.url).toBe("https://collector.example/otlp/v1/traces")
    expect(targets.metrics?.url).toBe("https://collector.example/otlp/v1/metrics")
    expect(targets.logs?.url).toBe("http://127.0.0.1:3100/own")
  })

  it("send one signal alone when only its address is set", () => {
    const settings = parsed({ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "http://127.0.0.1/t" })
    expect(Object.keys(settings?.targets ?? {})).toEqual(["traces"])
  })

  it("decode headers, let those of a signal win, and never print them", () => {
    const { targets } = parsed({
      ...base,
      OTEL_EXPORTER_OTLP_HEADERS: "api-key=a%3Db%2Cc, tenant = one",
      OTEL_EXPORTER_OTLP_LOGS_HEADERS: "tenant=two",
    })!
    expect(Redacted.value(targets.traces!.headers)).toEqual({ "api-key": "a=b,c", tenant: "one" })
    expect(Redacted.value(targets.logs!.headers)).toEqual({ "api-key": "a=b,c", tenant: "two" })
    expect(JSON.stringify(targets)).not.toContain("api-key")
  })

  it.each([
    ["always_on", undefined, { parentBased: false, ratio: 1 }],
    ["always_off", undefined, { parentBased: false, ratio: 0 }],
    ["parentbased_always_off", undefined, { parentBased: true, ratio: 0 }],
    ["traceidratio", "0.25", { parentBased: false, ratio: 0.25 }],
    ["parentbased_traceidratio", undefined, { parentBased: true, ratio: 1 }],
  ])("know the sampler %s %s", (name, arg, expected) => {
    const settings = parsed({
      ...base,
      OTEL_TRACES_SAMPLER: name,
      ...(arg === undefined ? {} : { OTEL_TRACES_SAMPLER_ARG: arg }),
    })
    expect(settings?.sampler).toEqual(expected)
  })

  it("never wait longer for an export of metrics than until the next one", () => {
    const settings = parsed({ ...base, OTEL_METRIC_EXPORT_INTERVAL: "1000" })
    expect(settings).toMatchObject({ metricIntervalMs: 1000, metricTimeoutMs: 1000 })
  })

  it("shrink the default batch to a small queue", () => {
    const settings = parsed({ ...base, OTEL_BSP_MAX_QUEUE_SIZE: "100" })
    expect(settings?.spans).toMatchObject({ maxQueueSize: 100, maxExportBatchSize: 100 })
  })

  it.each([
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: "localhost:4318" }, "no http:// or https:// address"],
    [{ OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: "grpc://x" }, "no http:// or https:// address"],
    [{ OTEL_SDK_DISABLED: "yes" }, "none of true, false"],
    [{ OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" }, "none of http/json, http/protobuf"],
    [{ OTEL_EXPORTER_OTLP_LOGS_PROTOCOL: "grpc" }, "none of http/json, http/protobuf"],
    [{ OTEL_TRACES_EXPORTER: "zipkin" }, "none of otlp, none"],
    [{ OTEL_EXPORTER_OTLP_TIMEOUT: "10s" }, "no whole number of milliseconds"],
    [{ OTEL_EXPORTER_OTLP_METRICS_TIMEOUT: "0" }, "no whole number of milliseconds"],
    [{ OTEL_EXPORTER_OTLP_COMPRESSION: "zstd" }, "none of none, gzip"],
    [{ OTEL_TRACES_SAMPLER: "sometimes" }, "none of parentbased_always_on"],
    [{ OTEL_BSP_MAX_QUEUE_SIZE: "-1" }, "no whole number of items"],
    [{ OTEL_BLRP_SCHEDULE_DELAY: "1e3" }, "no whole number of milliseconds"],
    [{ OTEL_METRIC_EXPORT_INTERVAL: "99999999999" }, "no whole number of milliseconds"],
    [
      { OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE: "delta" },
      "none of cumulative",
    ],
    [
      { OTEL_RESOURCE_ATTRIBUTES: "a=1,b" },
      "not key=value with a percent-encoded value (number 2)",
    ],
    [{ OTEL_RESOURCE_ATTRIBUTES: "a=%zz" }, "(number 1)"],
  ] as ReadonlyArray<[Env, string]>)("refuse %j in one sentence", (env, part) => {
    const message = refused(env)
    const [name = "", value = ""] = Object.entries(env)[0] ?? []
    expect(message).toMatch(new RegExp(`^Cannot start the telemetry export: ${name} `))
    expect(message).toContain(part)
    if (!name.includes("ATTRIBUTES")) expect(message).toContain(JSON.stringify(value))
    expect(message).toMatch(/\. (Set|Write) .+\.$/)
    expect(message).not.toContain("\n")
  })

  it("refuse a share that is no share, only for a sampler that uses it", () => {
    const arg = { OTEL_TRACES_SAMPLER_ARG: "1.5" }
    expect(refused({ ...arg, OTEL_TRACES_SAMPLER: "traceidratio" })).toContain("from 0 to 1")
    expect(parsed({ ...base, ...arg })?.sampler.ratio).toBe(1)
  })

  it("refuse a batch larger than its queue", () => {
    const env = { OTEL_BLRP_MAX_QUEUE_SIZE: "10", OTEL_BLRP_MAX_EXPORT_BATCH_SIZE: "11" }
    expect(refused(env)).toContain("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE is 11, which is more than")
  })

  it("never show a wrong header, which may be a secret", () => {
    const message = refused({ OTEL_EXPORTER_OTLP_HEADERS: "s3cret" })
    expect(message).toContain("OTEL_EXPORTER_OTLP_HEADERS has an entry that is not key=value")
    expect(message).not.toContain("s3cret")
  })

  it("are the ones in docs/telemetry.md", async () => {
    const page = await readFile(`${root}/docs/telemetry.md`, "utf8")
    const table = page.slice(page.indexOf("## Variables"), page.indexOf("## When"))
    const named = [...table.matchAll(/`(OTEL_\w+)`/g)].map(([, name]) => name)
    expect([...new Set(named)].sort()).toEqual([...variables].sort())
  })
})
