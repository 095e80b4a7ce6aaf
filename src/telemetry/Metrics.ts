/**
 * The metrics of a service: counters for the hot path, and their text for Prometheus.
 *
 * **Details** – *Bounded by* the number of endpoints (1 000), pools (1 000), bounded things
 * (1 000), supervised children (1 000), names of actors (1 000), dependencies (1 000) and task kinds (100); what is beyond
 * counts under `other`. *Owned by* the service (or the process, outside one). *Seen in*
 * `GET /metrics` and in the OTLP export. Every name, unit and label is in {@link table} and in
 * `docs/telemetry.md`.
 *
 * @module
 */
import type { Scope } from "effect"
import { Clock, Context, Effect } from "effect"
import { getCurrentVersion } from "effect/Version"
import * as PrometheusMetrics from "effect/observability/PrometheusMetrics"
import process from "node:process"
import { version } from "../internal/version.ts"
import { definitions } from "./definitions.ts"
import { text } from "./prometheus.ts"
import { families, other, type Reading } from "./readings.ts"
import { EndpointSeries, type Family, type Sample, Timing } from "./series.ts"

export { type Definition, table } from "./definitions.ts"
export type {
  ActorReading,
  BoundedReading,
  DeadLetterReading,
  DependencyReading,
  Reading,
  TaskReading,
} from "./readings.ts"
export type { Family, Sample } from "./series.ts"

/**
 * The counters of one endpoint: synchronous, and without allocation.
 *
 * **Details** – a request calls `started`, then exactly one of `completed`, `failed`, `refused` and
 * `cancelled`, then `ended`; so started = Σ outcomes + in flight. Durations are in milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface Endpoint {
  /** A request came in. */
  started(): void
  /** A request has ended, its body included. */
  ended(): void
  /** The handler answered, with a success or with an error that it declares. */
  completed(durationMs: number, status: number): void
  /** The handler failed in a way it does not declare, or had a defect. */
  failed(durationMs: number, status: number): void
  /** Refused; `reason` is that of the refusal, or `RateLimited`. */
  refused(reason: string): void
  /** Cancelled; `reason` is the tag of the cancel reason, `Interrupted` when nobody knows. */
  cancelled(reason: string, durationMs: number): void
}

/**
 * The metrics of a service. Every method is synchronous.
 *
 * @category models
 * @since 0.1.0
 */
export interface Metrics {
  /** The counters of an endpoint; the same ones for the same name and method. */
  readonly endpoint: (name: string, method?: string) => Endpoint
  /** A histogram of the waits, in milliseconds, for slots of the pool of that name. */
  readonly poolWait: (name: string) => { observe(waitMs: number): void }
  /** Counts a restart of a supervised child. */
  readonly supervisorRestart: (supervisor: string, child: string) => void
  /** Counts spans or log records that were not delivered. */
  readonly exportDropped: (
    signal: "traces" | "logs",
    reason: "queue_full" | "failed",
    count: number,
  ) => void
  /** Adds what is asked at each reading (`now` in absolute milliseconds); returns its removal. */
  readonly addSourceUnsafe: (read: (now: number) => Reading) => () => void
  /** Every metric with its values; `now` in absolute milliseconds. */
  readonly read: (now: number) => ReadonlyArray<Family>
}

const maxEndpoints = 1000
const maxPools = 1000
const maxSupervised = 1000

/** The member of that key; the one called `other` once the map is full. */
const member = <A>(
  map: Map<string, A>,
  max: number,
  labels: ReadonlyArray<string>,
  make: (labels: ReadonlyArray<string>) => A,
): A => {
  const own = labels.join("\n")
  const known = map.get(own)
  if (known !== undefined) return known
  if (own !== other && map.size >= max) return member(map, Infinity, [other], make)
  const made = make(labels)
  map.set(own, made)
  return made
}

/** Platform calls on purpose: they describe the process, not the program. */
const processFamilies = (): ReadonlyArray<Family> => [
  {
    definition: definitions.memory,
    samples: [{ labels: [], value: process.memoryUsage().rss }],
  },
  { definition: definitions.uptime, samples: [{ labels: [], value: process.uptime() }] },
  {
    definition: definitions.build,
    samples: [{ labels: [version, getCurrentVersion(), runtime()], value: 1 }],
  },
]

const runtime = (): string => {
  const deno = (process.versions as Readonly<Record<string, string | undefined>>)["deno"]
  return deno === undefined ? `node ${process.versions.node}` : `deno ${deno}`
}

/**
 * Makes metrics at zero, without sources.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeUnsafe = (): Metrics => {
  const endpoints = new Map<string, EndpointSeries>()
  const pools = new Map<string, { readonly name: string; readonly timing: Timing }>()
  const restarts = new Map<string, { readonly labels: ReadonlyArray<string>; value: number }>()
  const dropped = new Map<string, { readonly labels: ReadonlyArray<string>; value: number }>()
  const sources = new Set<(now: number) => Reading>()
  return {
    endpoint: (name, method = "") =>
      member(endpoints, maxEndpoints, [name, method], (labels) => new EndpointSeries(labels)),
    poolWait: (name) =>
      member(pools, maxPools, [name], ([name]) => ({
        name: name as string,
        timing: new Timing(definitions.poolWait.buckets),
      })).timing,
    supervisorRestart: (supervisor, child) => {
      member(restarts, maxSupervised, [supervisor, child], ([supervisor, child]) => ({
        labels: [supervisor as string, child ?? other],
        value: 0,
      })).value++
    },
    exportDropped: (signal, reason, count) => {
      member(dropped, Infinity, [signal, reason], (labels) => ({ labels, value: 0 })).value += count
    },
    addSourceUnsafe: (read) => {
      sources.add(read)
      return () => void sources.delete(read)
    },
    read: (now) => {
      const all = Array.from(endpoints.values())
      const waits = Array.from(pools.values())
      const lost: ReadonlyArray<Sample> = Array.from(dropped.values(), (_) => ({ ..._ }))
      return [
        { definition: definitions.requests, samples: all.flatMap((_) => _.requests()) },
        { definition: definitions.duration, samples: all.map((_) => _.durations()) },
        { definition: definitions.inFlight, samples: all.map((_) => _.live()) },
        ...families(Array.from(sources, (read) => read(now))),
        {
          definition: definitions.poolWait,
          samples: waits.map(({ name, timing }) => timing.sample([name])),
        },
        {
          definition: definitions.supervisorRestarts,
          samples: Array.from(restarts.values(), (_) => ({ ..._ })),
        },
        { definition: definitions.exportDropped, samples: lost },
        ...processFamilies(),
      ]
    },
  }
}

/**
 * The metrics in force. The default is one per process; a service provides its own.
 *
 * @category services
 * @since 0.1.0
 */
export const Metrics: Context.Reference<Metrics> = Context.Reference<Metrics>(
  "weir/telemetry/Metrics",
  { defaultValue: makeUnsafe },
)

/**
 * Adds a source of task counts and bounded things until the scope closes. It is asked at each
 * reading, so it costs nothing in between.
 *
 * **Fails with** – nothing. A source must not throw.
 *
 * **Interruption** – does not wait.
 *
 * @category operations
 * @since 0.1.0
 */
export const source = (
  read: (now: number) => Reading,
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.withFiber((fiber) => {
    const metrics = fiber.getRef(Metrics)
    return Effect.asVoid(Effect.acquireRelease(
      Effect.sync(() => metrics.addSourceUnsafe(read)),
      (remove) => Effect.sync(remove),
    ))
  })

/**
 * The media type of {@link render}.
 *
 * @category rendering
 * @since 0.1.0
 */
export const contentType = "text/plain; version=0.0.4; charset=utf-8"

/**
 * All metrics in the Prometheus text format 0.0.4: Weir's own, then those that the application made
 * with Effect's `Metric`.
 *
 * **Details** – a metric of the application whose name begins with `weir_` is shown as `app_weir_…`,
 * because a name may stand only once in the text.
 *
 * **Fails with** – nothing.
 *
 * **Interruption** – does not wait.
 *
 * @example Counting a request
 * ```ts
 * import { Effect } from "effect"
 * import { Metrics } from "@weir/runtime"
 * import { match } from "node:assert/strict"
 *
 * const program = Effect.gen(function* () {
 *   const look = (yield* Metrics.Metrics).endpoint("stock.look", "GET")
 *   look.started()
 *   look.completed(12, 200)
 *   look.ended()
 *   return yield* Metrics.render
 * })
 * match(
 *   await Effect.runPromise(program),
 *   /weir_requests_total\{endpoint="stock.look",method="GET",outcome="completed",reason="2xx"\} 1/,
 * )
 * ```
 *
 * @see https://prometheus.io/docs/instrumenting/exposition_formats/
 * @category rendering
 * @since 0.1.0
 */
export const render: Effect.Effect<string> = Effect.withFiber((fiber) => {
  const now = fiber.getRef(Clock.Clock).currentTimeMillisUnsafe()
  const own = text(fiber.getRef(Metrics).read(now))
  const application = PrometheusMetrics.formatUnsafe(fiber.context, {
    metricNameMapper: (name) => /^weir[^a-zA-Z0-9]/.test(name) ? `app_${name}` : name,
  })
  return Effect.succeed(own + application)
})
