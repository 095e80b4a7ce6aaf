/**
 * The only module that loads OpenTelemetry's packages (with `producer.ts`, and `json.ts` or
 * `protobuf.ts`); itself loaded only when something is to be exported.
 *
 * `NodeSdk.layer` of @effect/opentelemetry would do most of this, but it closes traces, metrics and
 * logs one after the other, each with a time of its own, and reads wrong variables silently.
 */
import * as OtelLogger from "@effect/opentelemetry/OtelLogger"
import * as OtelMetrics from "@effect/opentelemetry/OtelMetrics"
import * as OtelTracer from "@effect/opentelemetry/OtelTracer"
import * as OtelResource from "@effect/opentelemetry/Resource"
import { createNoopMeter, type Meter, type MeterProvider } from "@opentelemetry/api"
import type { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http"
import { type Resource, resourceFromAttributes } from "@opentelemetry/resources"
import { BatchLogRecordProcessor, LoggerProvider } from "@opentelemetry/sdk-logs"
import { PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics"
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BasicTracerProvider,
  BatchSpanProcessor,
  ParentBasedSampler,
  type Sampler,
  TraceIdRatioBasedSampler,
} from "@opentelemetry/sdk-trace-base"
import { type Clock, Effect, Layer, Logger, type Scope, Tracer } from "effect"
import { version } from "../internal/version.ts"
import { type Link, make as makeLink } from "./link.ts"
import type { Metrics } from "./Metrics.ts"
import type { Outages } from "./outages.ts"
import { producer } from "./producer.ts"
import type { Settings, Signal, Target } from "./settings.ts"

export interface Sdk {
  readonly settings: Settings
  readonly serviceName: string
  readonly serviceVersion: string | undefined
  readonly metrics: Metrics
  readonly clock: Clock.Clock
  readonly outages: Outages
  readonly flushMs: number
}

/** What the parts are made with. */
interface Context extends Sdk {
  readonly resource: Resource
  readonly link: Link
}

type ExporterOptions = NonNullable<ConstructorParameters<typeof OTLPTraceExporter>[0]>

const exporters = {
  "http/json": Effect.promise(() => import("./json.ts")),
  "http/protobuf": Effect.promise(() => import("./protobuf.ts")),
}

const options = ({ link }: Context, target: Target): ExporterOptions => ({
  url: target.url,
  headers: link.headers(target),
  httpAgentOptions: link.agent,
  timeoutMillis: target.timeoutMs,
  compression: target.compression as NonNullable<ExporterOptions["compression"]>,
})

interface Exporter<Items> {
  export(items: Items, done: (result: { code: number; error?: Error }) => void): void
}

/** Lets the outages hear each result; the SDK itself tells nobody. */
const watched = <Items, E extends Exporter<Items>>(
  { link, outages }: Context,
  signal: Signal,
  exporter: E & Exporter<Items>,
  size: (items: Items) => number,
): E => {
  const send = exporter.export.bind(exporter)
  exporter.export = (items, done) =>
    send(items, (result) => {
      if (result.code === 0) outages.delivered(signal)
      else outages.failed(signal, size(items), result.error, link.closed)
      done(result)
    })
  return exporter
}

/** The SDK tells what a full queue dropped only as a metric of its own, so this is its meter. */
const dropMeter = (metrics: Metrics, signal: "traces" | "logs"): MeterProvider => {
  const meter: Meter = Object.assign(createNoopMeter(), {
    createCounter: () => ({
      add: (count: number, attributes?: Readonly<Record<string, unknown>>) => {
        if (attributes?.["error.type"] === "queue_full") {
          metrics.exportDropped(signal, "queue_full", count)
        }
      },
    }),
  })
  return { getMeter: () => meter }
}

const sampler = ({ parentBased, ratio }: Settings["sampler"]): Sampler => {
  const root = ratio === 1
    ? new AlwaysOnSampler()
    : ratio === 0
    ? new AlwaysOffSampler()
    : new TraceIdRatioBasedSampler(ratio)
  return parentBased ? new ParentBasedSampler({ root }) : root
}

interface Part {
  readonly layer: Layer.Layer<never>
  /** Sends what is left and ends. */
  readonly close: () => Promise<unknown>
}

const traces = Effect.fnUntraced(function* (
  sdk: Context,
  target: Target,
): Effect.fn.Return<Part> {
  const { OTLPTraceExporter } = yield* exporters[target.protocol]
  const exporter = watched(
    sdk,
    "traces",
    new OTLPTraceExporter(options(sdk, target)),
    (_) => _.length,
  )
  const batch = {
    ...sdk.settings.spans,
    selfObsMeterProvider: dropMeter(sdk.metrics, "traces"),
  }
  const provider = new BasicTracerProvider({
    resource: sdk.resource,
    sampler: sampler(sdk.settings.sampler),
    spanProcessors: [new BatchSpanProcessor(exporter, batch)],
  })
  return yield* OtelTracer.make.pipe(
    Effect.provideService(OtelTracer.OtelTracer, provider.getTracer("weir", version)),
    Effect.map((tracer) => ({
      layer: Layer.succeed(Tracer.Tracer, tracer),
      close: () => provider.shutdown(),
    })),
  )
})

const logs = Effect.fnUntraced(function* (
  sdk: Context,
  target: Target,
): Effect.fn.Return<Part> {
  const { OTLPLogExporter } = yield* exporters[target.protocol]
  const exporter = watched(sdk, "logs", new OTLPLogExporter(options(sdk, target)), (_) => _.length)
  const provider = new LoggerProvider({
    resource: sdk.resource,
    processors: [
      new BatchLogRecordProcessor({
        ...sdk.settings.logs,
        exporter,
        selfObsMeterProvider: dropMeter(sdk.metrics, "logs"),
      }),
    ],
  })
  return yield* OtelLogger.make.pipe(
    Effect.provideService(OtelLogger.OtelLoggerProvider, provider),
    Effect.map((logger) => ({
      layer: Logger.layer([logger], { mergeWithExisting: true }),
      close: () => provider.shutdown(),
    })),
  )
})

const metrics = (sdk: Context, target: Target): Effect.Effect<Part> =>
  Effect.all([OtelMetrics.makeProducer("cumulative"), exporters[target.protocol]]).pipe(
    Effect.provideService(OtelResource.Resource, sdk.resource),
    Effect.map(([application, { OTLPMetricExporter }]) => {
      const exporter = watched(
        sdk,
        "metrics",
        new OTLPMetricExporter(options(sdk, target)),
        () => 0,
      )
      const reader = new PeriodicExportingMetricReader({
        exporter,
        exportIntervalMillis: sdk.settings.metricIntervalMs,
        exportTimeoutMillis: sdk.settings.metricTimeoutMs,
        metricProducers: [producer(sdk.metrics, sdk.clock, sdk.resource)],
      })
      // Effect's registry, with the application's own metrics, takes the place of OpenTelemetry's.
      reader.setMetricProducer(application)
      return { layer: Layer.empty, close: () => reader.shutdown() }
    }),
  )

/** All parts at once and in one bounded time, so that a dead collector delays a stop only once. */
const close = (sdk: Context, parts: ReadonlyArray<Part>): Effect.Effect<void> =>
  Effect.promise(() => Promise.allSettled(parts.map((part) => part.close()))).pipe(
    Effect.interruptible,
    Effect.timeoutOrElse({
      duration: sdk.flushMs,
      orElse: () =>
        Effect.logWarning(
          `Stopped sending telemetry after ${sdk.flushMs} ms; what had not arrived by then is lost.`,
        ),
    }),
    Effect.andThen(Effect.sync(sdk.link.close)),
  )

/** Starts the export of every signal that has a target; stops it when the scope closes. */
export const start = (sdk: Sdk): Effect.Effect<Layer.Layer<never>, never, Scope.Scope> =>
  Effect.suspend(() => {
    const { targets, resource: attributes } = sdk.settings
    const resource = resourceFromAttributes(OtelResource.configToAttributes({
      serviceName: sdk.serviceName,
      ...(sdk.serviceVersion === undefined ? {} : { serviceVersion: sdk.serviceVersion }),
      attributes,
    }))
    const context: Context = { ...sdk, resource, link: makeLink() }
    const parts = [
      ...(targets.metrics === undefined ? [] : [metrics(context, targets.metrics)]),
      ...(targets.logs === undefined ? [] : [logs(context, targets.logs)]),
      ...(targets.traces === undefined ? [] : [traces(context, targets.traces)]),
    ]
    return Effect.acquireRelease(Effect.all(parts), (made) => close(context, made)).pipe(
      Effect.map((made) =>
        made.reduce<Layer.Layer<never>>((all, part) => Layer.merge(all, part.layer), Layer.empty)
      ),
    )
  })
