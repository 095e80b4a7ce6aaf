/**
 * Spans that cost nothing until somebody looks: without a real tracer they are the identity.
 *
 * **Details** – *Bounded by* the export queue (`OTEL_BSP_MAX_QUEUE_SIZE`). *Owned by* the fiber that
 * runs the effect. *Seen in* any OTLP collector; names and attributes are in {@link table}.
 *
 * @module
 */
import type { Fiber } from "effect"
import { Effect, Tracer } from "effect"

/**
 * One kind of span.
 *
 * @category models
 * @since 0.1.0
 */
export interface Definition {
  /** Name of the span. */
  readonly name: string
  /** Kind, as OpenTelemetry has it. */
  readonly kind: Tracer.SpanKind
  /** Attributes it can carry. */
  readonly attributes: ReadonlyArray<string>
  /** One sentence for people. */
  readonly help: string
}

/**
 * The attribute names of Weir.
 *
 * @category models
 * @since 0.1.0
 */
export const attributes = {
  /** Tag of the cancel reason. */
  cancelReason: "weir.cancel.reason",
  /** Who asked for the cancel, or which parent or sibling caused it. */
  cancelBy: "weir.cancel.by",
  /** Why somebody asked for it. */
  cancelNote: "weir.cancel.note",
  /** Name of the endpoint. */
  endpoint: "weir.endpoint",
  /** Names of the bounded things that the policy names. */
  uses: "weir.admission.uses",
  /** Why the work was refused. */
  refusedReason: "weir.refused.reason",
  /** Name of the bounded thing that refused. */
  refusedResource: "weir.refused.resource",
  /** Path of the actor. */
  actor: "weir.actor.path",
  /** How the message was sent: `tell`, `offer` or `ask`. */
  actorHow: "weir.actor.how",
  /** Name of the pool. */
  pool: "weir.pool.name",
  /** OpenTelemetry's own: what kind of error it was. */
  errorType: "error.type",
} as const

const cancelled = [attributes.cancelReason, attributes.cancelBy, attributes.cancelNote]

/**
 * Every span of Weir. The span around an HTTP request and the one around an outgoing HTTP call come
 * from Effect itself; SQL statements have Effect's `sql.execute`.
 *
 * @category models
 * @since 0.1.0
 */
export const table: ReadonlyArray<Definition> = [
  {
    name: "{method} {route}",
    kind: "server",
    attributes: [
      "http.request.method",
      "http.response.status_code",
      "url.path",
      "http.route",
      ...cancelled,
    ],
    help: "One request, from its head to its response; made by Effect, marked by Weir.",
  },
  {
    name: "Admission.admit",
    kind: "internal",
    attributes: [
      attributes.endpoint,
      attributes.uses,
      attributes.refusedReason,
      attributes.refusedResource,
    ],
    help: "The decision whether the request may enter.",
  },
  {
    name: "ResourcePool.wait",
    kind: "internal",
    attributes: [attributes.pool, attributes.refusedReason, ...cancelled],
    help: "The wait for a slot.",
  },
  {
    name: "{actor}.{message}",
    kind: "consumer",
    attributes: [attributes.actor, attributes.actorHow, ...cancelled],
    help: "One run of a message's handler, below the span of its sender.",
  },
]

/**
 * True when spans of this fiber reach a real tracer.
 *
 * **Details** – Effect's native tracer counts as none, because nothing reads what it makes; Effect's
 * HTTP server decides the same way. Synchronous, two field reads.
 *
 * @category guards
 * @since 0.1.0
 */
export const isTracing = (fiber: Fiber.Fiber<unknown, unknown>): boolean => {
  const { tracer, tracerEnabled } = fiber.cache
  return tracer !== undefined && tracer !== Tracer.nativeTracer && tracerEnabled
}

/**
 * A cancel reason as this module needs it; every `CancelReason` is one.
 *
 * @category models
 * @since 0.1.0
 */
export interface Cancel {
  /** What happened. */
  readonly _tag: string
  /** Who asked. */
  readonly by?: string
  /** Why they asked. */
  readonly note?: string
  /** Name of the owner that ended. */
  readonly parent?: string
  /** Name of the sibling that failed. */
  readonly sibling?: string
}

/**
 * How to make a span.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Kind, as OpenTelemetry has it. Default `internal`. */
  readonly kind?: Tracer.SpanKind
  /** Attributes; asked only if there is a tracer. */
  readonly attributes?: (fiber: Fiber.Fiber<unknown, unknown>) => Readonly<Record<string, unknown>>
  /** Why the effect was cancelled; asked only if there is a tracer and it was interrupted. */
  readonly cancelReason?: (fiber: Fiber.Fiber<unknown, unknown>) => Cancel | undefined
}

/**
 * Cancels that mean the work did not do what it promised. The others are somebody's wish or the
 * normal end of a service: by OpenTelemetry's conventions no error of this operation.
 */
const errors: ReadonlySet<string> = new Set(["DeadlineExceeded", "SiblingFailed", "LeaseLost"])

/** OpenTelemetry's own span inside Effect's, which sets no status when it ends interrupted. */
interface Otel {
  readonly setStatus: (status: { readonly code: number; readonly message?: string }) => unknown
}

const otelSpan = (span: Tracer.Span): Otel | undefined => {
  const inner: unknown = "span" in span ? span.span : undefined
  return typeof inner === "object" && inner !== null && "setStatus" in inner
    ? inner as Otel
    : undefined
}

/**
 * Marks the current span of a fiber as cancelled, and why.
 *
 * **Details** – sets `weir.cancel.reason` (the tag), `weir.cancel.by` and `weir.cancel.note`. For
 * `DeadlineExceeded`, `SiblingFailed` and `LeaseLost` it also sets `error.type` and the status
 * Error; for the other reasons the status stays Unset. Does nothing without a tracer or a span.
 * Synchronous; must be called before the span ends, so from inside it.
 *
 * @category operations
 * @since 0.1.0
 */
export const annotateCancel = (
  fiber: Fiber.Fiber<unknown, unknown>,
  reason: Cancel,
): void => {
  const span = isTracing(fiber) ? fiber.cache.span : undefined
  if (span?._tag !== "Span" || span.status._tag === "Ended") return
  span.attribute(attributes.cancelReason, reason._tag)
  const by = reason.by ?? reason.parent ?? reason.sibling
  if (by !== undefined) span.attribute(attributes.cancelBy, by)
  if (reason.note !== undefined && reason.note !== "") {
    span.attribute(attributes.cancelNote, reason.note)
  }
  if (errors.has(reason._tag)) {
    span.attribute(attributes.errorType, reason._tag)
    // 2 is ERROR in OpenTelemetry's SpanStatusCode, whose package must not be loaded for this.
    otelSpan(span)?.setStatus({ code: 2, message: reason._tag })
  }
}

/**
 * Runs an effect inside a span; without a real tracer it runs the effect itself, with nothing round
 * it.
 *
 * **Details** – the span's parent is the fiber's current span. With a tracer a span costs some 10 to
 * 40 µs; its stack trace is not captured, because that would double it.
 *
 * **Fails with** – the effect's own errors, unchanged; they end the span with the status Error.
 *
 * **Interruption** – passes through; the span is marked with `cancelReason` and ends when the effect
 * has ended, its finalizers included.
 *
 * @example A step that shows up in traces
 * ```ts
 * import { Effect } from "effect"
 * import { Spans } from "@weir/runtime"
 * import { strictEqual } from "node:assert/strict"
 *
 * const step = Spans.withSpan("Report.sum", { attributes: () => ({ rows: 3 }) })(Effect.succeed(6))
 * strictEqual(await Effect.runPromise(step), 6)
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const withSpan = (
  name: string,
  options?: Options,
): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R> =>
(self) => Effect.withFiber((fiber) => isTracing(fiber) ? spanned(fiber, self, name, options) : self)

const spanned = <A, E, R>(
  fiber: Fiber.Fiber<unknown, unknown>,
  self: Effect.Effect<A, E, R>,
  name: string,
  options: Options | undefined,
): Effect.Effect<A, E, R> => {
  const cancelReason = options?.cancelReason
  const marked = cancelReason === undefined
    ? self
    : Effect.onInterrupt(self, () =>
      Effect.withFiber((inner) => {
        const reason = cancelReason(inner)
        if (reason !== undefined) annotateCancel(inner, reason)
        return Effect.void
      }))
  return Effect.withSpan(marked, name, {
    kind: options?.kind ?? "internal",
    attributes: options?.attributes?.(fiber),
    captureStackTrace: false,
  }) as Effect.Effect<A, E, R>
}
