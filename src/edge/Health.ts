/**
 * What operators and orchestrators ask: alive, ready, how full, and all the numbers.
 *
 * **Details** – `GET /health/live`, `/health/ready`, and for operators `/saturation` and `/metrics`.
 * None of them is admitted, supervised or counted as a request. *Bounded by* one run of the checks
 * at a time; *owned by* the service; *seen in* the task tree as kind `health` while they run.
 *
 * @module
 */
import {
  Cache,
  Cause,
  Clock,
  Context,
  type Duration,
  Effect,
  Exit,
  Layer,
  type Scope,
} from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { Refused } from "../bounded/Refused.ts"
import { Saturation } from "../bounded/Saturation.ts"
import { durationMs } from "../internal/setting.ts"
import * as Task from "../task/Task.ts"
import * as Metrics from "../telemetry/Metrics.ts"
import { guard, Operators } from "./Operators.ts"
import * as Problem from "./Problem.ts"
import { resource } from "./resource.ts"
import { json } from "./view.ts"

/**
 * Options of {@link layer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<R> {
  /**
   * Checks by name; ready means that each of them succeeds, such as `{ database: Database.ping }`.
   * A check must not wait in a queue of ours: one that fails with `Refused` counts as passed,
   * because a service that is full is still ready.
   */
  readonly checks?: Readonly<Record<string, Effect.Effect<unknown, unknown, R>>>
  /** Time for each check. Default 1 second. */
  readonly timeout?: Duration.Input
  /** For how long a result is used again. Default 1 second. */
  readonly reuse?: Duration.Input
}

/**
 * Whether the service can do its work.
 *
 * @category models
 * @since 0.1.0
 */
export interface Readiness {
  /** Every check passed, and the service does not drain. */
  readonly ready: boolean
  /** `ok`, `failed` or `timed out`, by name of the check. */
  readonly checks: Readonly<Record<string, "ok" | "failed" | "timed out">>
}

/**
 * The state of the service as a whole.
 *
 * @category models
 * @since 0.1.0
 */
export interface Health {
  /** Whether it is ready; at most as old as `reuse`, but off at once when it drains. */
  readonly readiness: Effect.Effect<Readiness>
  /** Turns readiness off for good. */
  readonly drain: () => void
  /** Whether {@link Health.drain} was called. */
  readonly draining: () => boolean
  /** Calls back when it drains, at once if it does already; returns its removal. */
  readonly onDrain: (callback: () => void) => () => void
}

/**
 * The service.
 *
 * @category services
 * @since 0.1.0
 */
export const Health: Context.Service<Health, Health> = Context.Service<Health>("weir/edge/Health")

/**
 * The state of a service with these checks.
 *
 * **Fails with** – nothing.
 *
 * **Interruption** – does not wait.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <R = never>(
  options: Options<R> = {},
): Layer.Layer<Health, never, Exclude<R, Scope.Scope>> => Layer.effect(Health, make(options))

const make = Effect.fnUntraced(function* <R>(
  options: Options<R>,
): Effect.fn.Return<Health, never, R> {
  const context = yield* Effect.context<R>()
  const timeout = durationMs("health.timeout", options.timeout ?? "1 second")
  const busy = new Set<string>()
  const checks = Object.entries(options.checks ?? {}).map(([name, check]) =>
    Effect.map(
      run(name, Effect.provideContext(check, context), timeout, busy),
      (result) => [name, result] as const,
    )
  )
  const results = yield* Cache.make({
    capacity: 1,
    timeToLive: durationMs("health.reuse", options.reuse ?? "1 second"),
    lookup: (_: "checks") =>
      Effect.map(
        Effect.all(checks, { concurrency: "unbounded" }),
        Object.fromEntries,
      ) as Effect.Effect<
        Readiness["checks"]
      >,
  })
  const drained = new Set<() => void>()
  let draining = false
  return {
    readiness: Effect.suspend(() =>
      draining
        ? Effect.succeed({ ready: false, checks: {} })
        : Effect.map(Cache.get(results, "checks"), (checks) => ({
          ready: !draining && Object.values(checks).every((result) => result === "ok"),
          checks,
        }))
    ),
    drain: () => {
      if (draining) return
      draining = true
      for (const callback of drained) callback()
      drained.clear()
    },
    draining: () => draining,
    onDrain: (callback) => {
      if (draining) {
        callback()
        return () => {}
      }
      drained.add(callback)
      return () => {
        drained.delete(callback)
      }
    },
  }
})

/** One check in bounded time; while an abandoned run still hangs, no other one is started. */
const run = (
  name: string,
  check: Effect.Effect<unknown, unknown>,
  timeout: Duration.Input,
  busy: Set<string>,
): Effect.Effect<"ok" | "failed" | "timed out"> =>
  Effect.suspend(() => {
    if (busy.has(name)) return Effect.succeed("timed out")
    return Effect.map(
      Effect.exit(Task.run(
        `health.${name}`,
        // Within the task: one that is cancelled before it starts must not count as running.
        Effect.suspend(() => {
          busy.add(name)
          return Effect.ensuring(check, Effect.sync(() => busy.delete(name)))
        }),
        { kind: "health", deadline: timeout, cleanup: timeout },
      )),
      (exit) => {
        if (Exit.isSuccess(exit) || isFull(exit.cause)) return "ok"
        const error = exit.cause.reasons.find(Cause.isFailReason)?.error
        return error instanceof Task.CleanupAbandoned || isLate(error) ? "timed out" : "failed"
      },
    )
  })

const isLate = (error: unknown): boolean =>
  typeof error === "object" && error !== null && "_tag" in error &&
  error._tag === "DeadlineExceeded"

/** Refused for want of capacity, which is no reason to be taken out of service. */
const isFull = (cause: Cause.Cause<unknown>): boolean =>
  cause.reasons.some((reason) =>
    Cause.isFailReason(reason) && reason.error instanceof Refused &&
    reason.error.reason !== "Closed" && reason.error.reason !== "ShuttingDown"
  )

/**
 * The routes.
 *
 * **Fails with** – nothing.
 *
 * **Interruption** – does not wait.
 *
 * @category layers
 * @since 0.1.0
 */
export const routes: Layer.Layer<never, never, HttpRouter.HttpRouter | Health | Operators> =
  HttpRouter.use((router) =>
    Effect.gen(function* () {
      const health = yield* Health
      const operators = yield* Operators
      yield* router.addAll([
        ...resource("/health/live", { GET: () => Effect.succeed(live) }),
        ...resource("/health/ready", { GET: () => Effect.map(health.readiness, answer(health)) }),
        ...resource("/saturation", {
          GET: (request) => guard(operators, request, saturation),
        }),
        ...resource("/metrics", { GET: (request) => guard(operators, request, metrics) }),
      ])
    })
  )

const noStore = { "cache-control": "no-store" }
const live = json({ status: "live" }, { headers: noStore })

const answer = (health: Health) => (readiness: Readiness) => {
  if (readiness.ready) {
    return json({ status: "ready", checks: readiness.checks }, { headers: noStore })
  }
  const failed = Object.entries(readiness.checks).filter(([, result]) => result !== "ok")
    .map(([name, result]) => `${name} ${result}`)
  return Problem.render({
    slug: "not-ready",
    status: 503,
    title: "Not ready",
    detail: health.draining() ? "The service is shutting down." : `${failed.join(", ")}.`,
    extensions: {
      state: health.draining() ? "draining" : "failing",
      checks: readiness.checks,
    },
    headers: noStore,
  }, 0)
}

const saturation = Effect.withFiber((fiber) => {
  const now = fiber.getRef(Clock.Clock).currentTimeMillisUnsafe()
  return Effect.succeed(
    json({ at: new Date(now).toISOString(), bounded: fiber.getRef(Saturation).snapshot(now) }, {
      headers: noStore,
    }),
  )
})

const metrics = Effect.map(
  Metrics.render,
  (text) => HttpServerResponse.text(text, { contentType: Metrics.contentType, headers: noStore }),
)
