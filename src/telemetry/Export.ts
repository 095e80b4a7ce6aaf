/**
 * Traces, logs and metrics over OTLP/HTTP, switched on by OpenTelemetry's standard variables.
 *
 * **Details** – *Bounded by* `OTEL_BSP_MAX_QUEUE_SIZE` spans and `OTEL_BLRP_MAX_QUEUE_SIZE` log
 * records (2 048 each). *Owned by* the layer's scope. *Seen in* your collector; what did not arrive
 * is in `weir_export_dropped_total`. Every variable is in `docs/telemetry.md`.
 *
 * @module
 */
import { Clock, Config, type Duration, Effect, Layer, Option, type Scope } from "effect"
import { durationMs } from "../internal/setting.ts"
import { ExportConfigError } from "./ExportConfigError.ts"
import { Metrics } from "./Metrics.ts"
import { make as makeOutages, shown } from "./outages.ts"
import { parse, type Settings, variables } from "./settings.ts"

/**
 * What the application says about itself; the variables of the environment win.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** `service.name` unless `OTEL_SERVICE_NAME` or `OTEL_RESOURCE_ATTRIBUTES` has one. Default `weir`. */
  readonly serviceName?: string | undefined
  /** `service.version` unless `OTEL_RESOURCE_ATTRIBUTES` has one. */
  readonly serviceVersion?: string | undefined
  /** Longest time that closing the layer waits for the collector. Default 2 s. */
  readonly flushTimeout?: Duration.Input | undefined
}

const read: Effect.Effect<Settings | undefined, ExportConfigError | Config.ConfigError> = Effect
  .gen(
    function* () {
      const values = new Map<string, string>()
      for (const name of variables) {
        const value = yield* Config.option(Config.String(name))
        if (Option.isSome(value) && value.value.trim() !== "") values.set(name, value.value)
      }
      return yield* Effect.try({
        try: () => parse((name) => values.get(name)),
        catch: (error) => {
          if (error instanceof ExportConfigError) return error
          throw error
        },
      })
    },
  )

const announce = (settings: Settings): Effect.Effect<void> => {
  const targets = Object.entries(settings.targets)
    .map(([signal, target]) => `${signal} to ${shown(target.url)}`)
  return Effect.logInfo(`Sending ${targets.join(", ")}.`)
}

const started = Effect.fnUntraced(function* (
  options: Options | undefined,
): Effect.fn.Return<Layer.Layer<never>, ExportConfigError | Config.ConfigError, Scope.Scope> {
  const settings = yield* read
  if (settings === undefined) return Layer.empty
  yield* announce(settings)
  const context = yield* Effect.context<never>()
  const clock = yield* Clock.Clock
  const metrics = yield* Metrics
  // Loaded only now: without an export a service neither waits for these packages nor holds them.
  const sdk = yield* Effect.promise(() => import("./sdk.ts"))
  const { "service.name": name, "service.version": version } = settings.resource
  return yield* sdk.start({
    settings,
    serviceName: settings.serviceName ?? name ?? options?.serviceName ?? "weir",
    serviceVersion: version ?? options?.serviceVersion,
    metrics,
    clock,
    outages: makeOutages(context, clock, metrics, settings.targets),
    flushMs: durationMs("Export: flushTimeout", options?.flushTimeout ?? "2 seconds"),
  })
})

/**
 * Installs the export for everything that is built above this layer; does nothing, and loads
 * nothing, while no endpoint is set.
 *
 * **Details** – on when `OTEL_EXPORTER_OTLP_ENDPOINT`, or that of one signal, is set and
 * `OTEL_SDK_DISABLED` is not `true`. Sends Effect's spans, its logs, Weir's metrics and those made
 * with Effect's `Metric`. A collector that is down costs one log line a minute, never the service.
 * Closing sends what is left, at most `flushTimeout` long.
 *
 * **Fails with** – {@link ExportConfigError} when a variable has a wrong value, before anything is
 * sent; `ConfigError` when the configuration itself cannot be read.
 *
 * **Interruption** – of its construction: nothing stays behind.
 *
 * **Gotchas** – do not set `OTEL_DENO=true` as well: Deno would send spans of its own for the same
 * requests.
 *
 * @see https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options?: Options,
): Layer.Layer<never, ExportConfigError | Config.ConfigError> => Layer.unwrap(started(options))
