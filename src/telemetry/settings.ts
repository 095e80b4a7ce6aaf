import { Redacted } from "effect"
import { ExportConfigError } from "./ExportConfigError.ts"

/** What OpenTelemetry calls the three kinds of data. */
export const signals = ["traces", "logs", "metrics"] as const
export type Signal = (typeof signals)[number]

/** gRPC cannot be spoken to an HTTP endpoint, so a wrong guess here would only fail later. */
const protocols = ["http/json", "http/protobuf"] as const
export type Protocol = (typeof protocols)[number]

/** Where and how one signal is sent. */
export interface Target {
  readonly url: string
  readonly protocol: Protocol
  readonly headers: Redacted.Redacted<Readonly<Record<string, string>>>
  readonly timeoutMs: number
  readonly compression: "gzip" | "none"
}

/** A queue that is sent in batches. */
export interface Batch {
  readonly scheduledDelayMillis: number
  readonly exportTimeoutMillis: number
  readonly maxQueueSize: number
  readonly maxExportBatchSize: number
}

export interface Sampler {
  readonly parentBased: boolean
  /** Share of the root spans that is kept, from 0 to 1. */
  readonly ratio: number
}

export interface Settings {
  readonly targets: Readonly<Partial<Record<Signal, Target>>>
  readonly spans: Batch
  readonly logs: Batch
  readonly metricIntervalMs: number
  readonly metricTimeoutMs: number
  readonly sampler: Sampler
  readonly serviceName: string | undefined
  readonly resource: Readonly<Record<string, string>>
}

/** The value of a variable; an empty one counts as unset, as OpenTelemetry prescribes. */
export type Lookup = (name: string) => string | undefined

const perSignal = (suffix: string): ReadonlyArray<string> => [
  `OTEL_EXPORTER_OTLP_${suffix}`,
  ...signals.map((signal) => `OTEL_EXPORTER_OTLP_${signal.toUpperCase()}_${suffix}`),
]

const batchNames = ["SCHEDULE_DELAY", "EXPORT_TIMEOUT", "MAX_QUEUE_SIZE", "MAX_EXPORT_BATCH_SIZE"]

/** Every variable that is read. docs/telemetry.md lists them, and a test compares the two. */
export const variables: ReadonlyArray<string> = [
  "OTEL_SDK_DISABLED",
  ...["ENDPOINT", "PROTOCOL", "HEADERS", "TIMEOUT", "COMPRESSION"].flatMap(perSignal),
  ...signals.map((signal) => `OTEL_${signal.toUpperCase()}_EXPORTER`),
  "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
  "OTEL_SERVICE_NAME",
  "OTEL_RESOURCE_ATTRIBUTES",
  "OTEL_TRACES_SAMPLER",
  "OTEL_TRACES_SAMPLER_ARG",
  ...batchNames.map((name) => `OTEL_BSP_${name}`),
  ...batchNames.map((name) => `OTEL_BLRP_${name}`),
  "OTEL_METRIC_EXPORT_INTERVAL",
  "OTEL_METRIC_EXPORT_TIMEOUT",
]

const wrong = (variable: string, problem: string, remedy: string): ExportConfigError =>
  new ExportConfigError({ variable, problem, remedy })

const quoted = (value: string): string => `is ${JSON.stringify(value)}`

const oneOf = <A extends string>(
  name: string,
  value: string | undefined,
  allowed: ReadonlyArray<A>,
  otherwise: A,
): A => {
  if (value === undefined) return otherwise
  const found = allowed.find((candidate) => candidate === value.trim())
  if (found === undefined) {
    throw wrong(
      name,
      `${quoted(value)}, which is none of ${allowed.join(", ")}`,
      `Set it to one of them, or unset it for ${otherwise}.`,
    )
  }
  return found
}

/** The longest delay that a timer of the platform can wait. */
const maxInteger = 2 ** 31 - 1

const integer = (get: Lookup, name: string, unit: string, otherwise: number): number => {
  const value = get(name)
  if (value === undefined) return otherwise
  const parsed = /^\s*\d+\s*$/.test(value) ? Number(value) : NaN
  if (!(parsed >= 1 && parsed <= maxInteger)) {
    throw wrong(
      name,
      `${quoted(value)}, which is no whole number of ${unit} from 1 to ${maxInteger}`,
      `Set it to such a number, or unset it for ${otherwise}.`,
    )
  }
  return parsed
}

/** `k=v,k=v` with percent-encoded values. The values may be secret, so no error shows them. */
const pairs = (name: string, value: string | undefined): Record<string, string> => {
  const found: Record<string, string> = {}
  for (const [i, pair] of (value ?? "").split(",").entries()) {
    if (pair.trim() === "") continue
    const at = pair.indexOf("=")
    try {
      const key = decodeURIComponent(pair.slice(0, Math.max(at, 0)).trim())
      if (key === "") throw new Error("no key")
      found[key] = decodeURIComponent(pair.slice(at + 1).trim())
    } catch {
      throw wrong(
        name,
        `has an entry that is not key=value with a percent-encoded value (number ${i + 1})`,
        "Write it as key1=value1,key2=value2.",
      )
    }
  }
  return found
}

const url = (name: string, value: string, path: string): string => {
  const parsed = URL.canParse(value) ? new URL(value) : undefined
  if (parsed === undefined || !/^https?:$/.test(parsed.protocol) || parsed.hostname === "") {
    throw wrong(
      name,
      `${quoted(value)}, which is no http:// or https:// address`,
      "Set it to the address of an OTLP/HTTP collector, such as http://127.0.0.1:4318, or unset it.",
    )
  }
  if (path !== "") parsed.pathname = `${parsed.pathname.replace(/\/+$/, "")}/${path}`
  return parsed.href
}

const target = (get: Lookup, signal: Signal): Target | undefined => {
  const own = `OTEL_EXPORTER_OTLP_${signal.toUpperCase()}_`
  const name = (suffix: string): string =>
    get(own + suffix) === undefined ? `OTEL_EXPORTER_OTLP_${suffix}` : own + suffix
  const endpoint = name("ENDPOINT")
  const address = get(endpoint)
  const switched = `OTEL_${signal.toUpperCase()}_EXPORTER`
  const exporter = oneOf(switched, get(switched), ["otlp", "none"], "otlp")
  if (address === undefined || exporter === "none") return undefined
  return {
    url: url(endpoint, address, endpoint.startsWith(own) ? "" : `v1/${signal}`),
    protocol: oneOf(name("PROTOCOL"), get(name("PROTOCOL")), protocols, "http/json"),
    headers: Redacted.make({
      ...pairs("OTEL_EXPORTER_OTLP_HEADERS", get("OTEL_EXPORTER_OTLP_HEADERS")),
      ...pairs(`${own}HEADERS`, get(`${own}HEADERS`)),
    }),
    timeoutMs: integer(get, name("TIMEOUT"), "milliseconds", 10_000),
    compression: oneOf(name("COMPRESSION"), get(name("COMPRESSION")), ["none", "gzip"], "none"),
  }
}

const batch = (get: Lookup, prefix: string, delay: number): Batch => {
  const maxQueueSize = integer(get, `${prefix}MAX_QUEUE_SIZE`, "items", 2048)
  const size = `${prefix}MAX_EXPORT_BATCH_SIZE`
  const maxExportBatchSize = integer(get, size, "items", Math.min(512, maxQueueSize))
  if (maxExportBatchSize > maxQueueSize) {
    throw wrong(
      size,
      `is ${maxExportBatchSize}, which is more than the queue holds (${maxQueueSize})`,
      `Set it to at most ${maxQueueSize}, or raise ${prefix}MAX_QUEUE_SIZE.`,
    )
  }
  return {
    scheduledDelayMillis: integer(get, `${prefix}SCHEDULE_DELAY`, "milliseconds", delay),
    exportTimeoutMillis: integer(get, `${prefix}EXPORT_TIMEOUT`, "milliseconds", 30_000),
    maxQueueSize,
    maxExportBatchSize,
  }
}

const sampler = (get: Lookup): Sampler => {
  const names = [
    ...["parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio"] as const,
    ...["always_on", "always_off", "traceidratio"] as const,
  ]
  const name = oneOf(
    "OTEL_TRACES_SAMPLER",
    get("OTEL_TRACES_SAMPLER"),
    names,
    "parentbased_always_on",
  )
  const parentBased = name.startsWith("parentbased_")
  if (name.endsWith("always_on")) return { parentBased, ratio: 1 }
  if (name.endsWith("always_off")) return { parentBased, ratio: 0 }
  const value = get("OTEL_TRACES_SAMPLER_ARG") ?? "1"
  const ratio = value.trim() === "" ? NaN : Number(value)
  if (!(ratio >= 0 && ratio <= 1)) {
    throw wrong(
      "OTEL_TRACES_SAMPLER_ARG",
      `${quoted(value)}, which is no number from 0 to 1`,
      "Set it to the share of traces to keep, such as 0.1.",
    )
  }
  return { parentBased, ratio }
}

const truth = (get: Lookup, name: string): boolean =>
  oneOf(name, get(name)?.toLowerCase(), ["true", "false"], "false") === "true"

/**
 * The settings of the export; `undefined` when nothing is to be exported.
 *
 * Throws {@link ExportConfigError} on the first wrong value. Nothing else is looked at while the
 * export is off, so a stray variable cannot stop a service that does not export.
 */
export const parse = (get: Lookup): Settings | undefined => {
  const endpoints = perSignal("ENDPOINT")
  if (endpoints.every((name) => get(name) === undefined)) return undefined
  if (truth(get, "OTEL_SDK_DISABLED")) return undefined
  const targets: Partial<Record<Signal, Target>> = {}
  for (const signal of signals) {
    const found = target(get, signal)
    if (found !== undefined) targets[signal] = found
  }
  if (Object.keys(targets).length === 0) return undefined
  const metricIntervalMs = integer(get, "OTEL_METRIC_EXPORT_INTERVAL", "milliseconds", 60_000)
  const temporality = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"
  oneOf(temporality, get(temporality)?.toLowerCase(), ["cumulative"], "cumulative")
  return {
    targets,
    spans: batch(get, "OTEL_BSP_", 5000),
    logs: batch(get, "OTEL_BLRP_", 1000),
    metricIntervalMs,
    metricTimeoutMs: Math.min(
      integer(get, "OTEL_METRIC_EXPORT_TIMEOUT", "milliseconds", 30_000),
      metricIntervalMs,
    ),
    sampler: sampler(get),
    serviceName: get("OTEL_SERVICE_NAME"),
    resource: pairs("OTEL_RESOURCE_ATTRIBUTES", get("OTEL_RESOURCE_ATTRIBUTES")),
  }
}
