/**
 * One API, its handlers and its resources, served: the only place that wires everything.
 *
 * @module
 */
import { Config, Console, Context, Duration, Effect, Layer, Schema, type Scope } from "effect"
import { HttpMiddleware, HttpRouter, HttpServer } from "effect/http"
import { type HttpApi, HttpApiBuilder, type HttpApiGroup, HttpApiScalar } from "effect/http-api"
import { type ActorSystem, layer as actorSystem } from "../actor/ActorSystem.ts"
import * as Admission from "../admission/Admission.ts"
import * as RateLimit from "../admission/RateLimit.ts"
import * as Saturation from "../bounded/Saturation.ts"
import { compiling, type Doors } from "../edge/compiling.ts"
import * as Health from "../edge/Health.ts"
import { documented } from "../edge/openapi.ts"
import * as Operators from "../edge/Operators.ts"
import type * as Policy from "../edge/Policy.ts"
import type * as Principal from "../edge/Principal.ts"
import * as Problem from "../edge/Problem.ts"
import * as RespondAsync from "../edge/RespondAsync.ts"
import { CurrentFront, recording, RouteTable } from "../edge/routes.ts"
import * as Server from "../edge/Server.ts"
import * as Supervised from "../edge/Supervised.ts"
import * as TasksApi from "../edge/TasksApi.ts"
import { Mistake } from "../internal/mistake.ts"
import { durationMs } from "../internal/setting.ts"
import * as TaskTree from "../task/TaskTree.ts"
import * as Export from "../telemetry/Export.ts"
import type { ExportConfigError } from "../telemetry/ExportConfigError.ts"
import * as Metrics from "../telemetry/Metrics.ts"
import { closesWithin } from "./close.ts"
import { drain } from "./drain.ts"
import { runMain } from "./main.ts"

/**
 * Options of {@link layer} and {@link run}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<
  Id extends string,
  Groups extends HttpApiGroup.Constraint,
  R,
  E,
  ER,
  RP = never,
  EP = never,
> {
  /** The layers of the API's groups, merged. A handler may ask for what `resources` has, too. */
  readonly handlers: Layer.Layer<
    HttpApiGroup.ToService<Id, Groups>,
    E,
    R | Given | HttpRouter.Request.From<"Requires", R>
  >
  /** What the handlers need: pools, databases, actors. Built first, closed last. */
  readonly resources?: Layer.Layer<R, ER, ActorSystem>
  /** Where to listen, and limits of the socket. */
  readonly server?: Server.Options
  /** Defaults for every endpoint's policy. */
  readonly policy?: Policy.Policy
  /**
   * Who is calling: `Principal.layer()`, with `ApiKeys.layer()` in the resources. Needed where a
   * policy has `auth`.
   */
  readonly principals?: Layer.Layer<Principal.Principals, EP, RP | ActorSystem>
  /** How much each caller may do; handlers may change it through `RateLimit`. Default: no limits. */
  readonly limits?: RateLimit.Options
  /** Bounds on the whole service, and what refuses by class. */
  readonly admission?: Admission.Options
  /** What readiness depends on. */
  readonly health?: Health.Options<R>
  /** Bounds on answers given later. */
  readonly async?: RespondAsync.Options
  /** Bounds on those who follow tasks. */
  readonly tasks?: TasksApi.Options
  /** Who may use `/tasks`, `/saturation` and `/metrics`. */
  readonly operators?: Operators.Options
  /** How it stops. */
  readonly drain?: DrainOptions
}

/**
 * What handlers may need without anybody providing it, asked for where the group is built or in the
 * handler itself.
 *
 * @category models
 * @since 0.1.0
 */
export type Given = Own | HttpRouter.Request.From<"Requires", Own>

type Own = Supervised.Supervised | ActorSystem | RateLimit.RateLimit | Admission.Admission

/**
 * Makes `resources` required where the handlers, or the principals, need some.
 *
 * @category models
 * @since 0.1.0
 */
export type Needed<R, ER> = [Exclude<R, Given>] extends [never] ? unknown
  : { readonly resources: Layer.Layer<R, ER, ActorSystem> }

/**
 * How a service stops; the budgets add up to the longest time that it can take.
 *
 * @category models
 * @since 0.1.0
 */
export interface DrainOptions {
  /** Between readiness off and the end of accepting, for load balancers to notice. Default 0. */
  readonly readinessDelay?: Duration.Input
  /** For requests in flight to finish by themselves. Default 20 seconds. */
  readonly grace?: Duration.Input
  /** For the cleanup of those that had to be cancelled. Default 5 seconds. */
  readonly cleanup?: Duration.Input
  /** For all actors together to handle what they have been told. Default 25 seconds. */
  readonly actors?: Duration.Input
  /** For the handlers to close, and again for the resources. Default 5 seconds. */
  readonly close?: Duration.Input
}

/**
 * How a service can fail to start, besides its own resources and handlers.
 *
 * @category errors
 * @since 0.1.0
 */
export type StartError = Server.ListenError | ExportConfigError | Config.ConfigError

/**
 * The service as a layer: resources below, handlers above them, the listener last and therefore
 * closed first.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <
  Id extends string,
  Groups extends HttpApiGroup.Constraint,
  R,
  E,
  ER = never,
  RP = never,
  EP = never,
>(
  api: HttpApi.HttpApi<Id, Groups>,
  options: Options<Id, Groups, R, E, ER, RP, EP> & Needed<R | RP, ER>,
): Layer.Layer<Server.Server, E | ER | EP | StartError> => {
  const table = new RouteTable()
  const checked = Layer.effectDiscard(
    Effect.sync(() => demandSupervision(api as unknown as HttpApi.Top)),
  )
  const closeMs = drainMs(options.drain, "close", "5 seconds")
  const resources = closesWithin(
    (options.resources ?? Layer.empty) as Layer.Layer<R, ER, ActorSystem>,
    "resources",
    closeMs,
  )
  const door = limited(options.admission ?? {})
  const inner = Layer.mergeAll(
    door,
    RespondAsync.layer(options.async),
    Health.layer(options.health),
  )
  const doors: Doors = new Map()
  const principals = options.principals ?? Layer.empty
  const supervised = Layer.provide(
    compiling(Supervised.Supervised, api, options.policy, doors),
    principals,
  )
  // Apart from `inner`, so that the handlers' context, which every request copies, stays small; of it
  // they get the door alone, to change its limits.
  const handlers = closesWithin(
    options.handlers.pipe(Layer.provide(Layer.provide(supervised, inner)), Layer.provide(door)),
    "handlers",
    closeMs,
  )
  const document = documented(
    api,
    options.policy ?? {},
    options.limits?.peer !== undefined,
  )
  const routes = Layer.mergeAll(
    HttpApiBuilder.layer(document, { openapiPath: "/openapi.json" }),
    HttpApiScalar.layer(document, { path: "/docs" }),
  ).pipe(Layer.provide(HttpServer.layerServices))
  const surface = Layer.mergeAll(
    Layer.provide(TasksApi.layer(options.tasks), principals),
    Health.routes,
  ).pipe(Layer.provide(Operators.layer(options.operators)))
  const budget = {
    readinessDelayMs: drainMs(options.drain, "readinessDelay", "0 millis"),
    graceMs: drainMs(options.drain, "grace", "20 seconds"),
    cleanupMs: drainMs(options.drain, "cleanup", "5 seconds"),
  }
  const app = Layer.effectDiscard(Effect.gen(function* () {
    const router = yield* HttpRouter.HttpRouter
    const http = yield* HttpServer.HttpServer
    const parts = {
      server: yield* Server.Server,
      admission: yield* Admission.Admission,
      tree: yield* TaskTree.TaskTree,
      notReady: (yield* Health.Health).drain,
    }
    yield* http.serve(router.asHttpEffect()).pipe(
      Effect.provideService(CurrentFront, table.front),
      Effect.provideService(Problem.AllowedMethods, table.allowed),
      Effect.provideService(HttpMiddleware.SpanNameGenerator, table.spanName),
      Effect.updateContext((context: Context.Context<Scope.Scope | Inner>) =>
        Context.omit(
          Admission.Admission,
          RespondAsync.RespondAsync,
          Health.Health,
          RateLimit.RateLimit,
        )(context)
      ),
    )
    // Added last, so it runs first, while everything below is still there.
    yield* Effect.addFinalizer(() =>
      Effect.flatMap(drain(parts, budget), (report) =>
        Effect.logInfo(
          `Drained: ${report.inFlight} in flight, ${report.cancelled} cancelled, ` +
            `${report.abandoned} abandoned`,
        ))
    )
  }))
  return app.pipe(
    Layer.provide(Layer.merge(routes as Layer.Layer<never>, surface)),
    Layer.provideMerge(recording(table, doors)),
    Layer.provideMerge(Server.layer(options.server)),
    Layer.provide(inner),
    Layer.provide(handlers),
    Layer.provide(resources),
    Layer.provide(RateLimit.layer(options.limits)),
    Layer.provide(checked),
    Layer.provide(actorSystem({ stop: options.drain?.actors ?? "25 seconds" })),
    Layer.provide(Layer.provideMerge(telemetry(api.identifier), registries())),
  ) as Layer.Layer<Server.Server, E | ER | EP | StartError>
}

/** The door, which asks the limits after any quota of the program's own. */
const limited = (options: Admission.Options) =>
  Layer.unwrap(Effect.map(RateLimit.RateLimit, (limits) => {
    const { quota } = options
    return Admission.layerGuarded({
      ...options,
      quota: quota === undefined ? limits : both(quota, limits),
    })
  }))

const both = (quota: Admission.Quotas, limits: RateLimit.RateLimit): Admission.Quotas => ({
  check: (caller, now, dark) => {
    const own = quota.check(caller, now, dark)
    if (own !== undefined) return own
    const over = limits.check(caller, now, dark)
    if (over !== undefined && dark !== true) quota.refund?.(caller, now)
    return over
  },
  refund: (caller, now) => {
    quota.refund?.(caller, now)
    limits.refund(caller, now)
  },
})

/** An endpoint without the middleware would have no deadline, no admission and no task. */
const demandSupervision = (api: HttpApi.Top): void => {
  for (const group of Object.values(api.groups)) {
    for (const endpoint of Object.values(group.endpoints)) {
      if (!endpoint.middlewares.has(Supervised.Supervised as never)) {
        throw new Mistake(
          `Endpoint ${group.identifier}.${endpoint.identifier} is not supervised. ` +
            "Add .middleware(Supervised.Supervised) to the API, after .add(…).",
        )
      }
    }
  }
}

type Inner =
  | Admission.Admission
  | RespondAsync.RespondAsync
  | Health.Health
  | RateLimit.RateLimit

/** Every service has registries of its own, so that two in one process do not meet in them. */
const registries = () =>
  Layer.mergeAll(
    Layer.sync(Saturation.Saturation, Saturation.makeUnsafe),
    Layer.sync(TaskTree.TaskTree, TaskTree.makeUnsafe),
    Layer.sync(Metrics.Metrics, Metrics.makeUnsafe),
  )

/** Exporters are built first and closed last: they tell also how everything else ended. */
const telemetry = (serviceName: string) =>
  Layer.provideMerge(
    Export.layer({ serviceName }),
    Layer.effectDiscard(Effect.withFiber((fiber) => {
      const tree = fiber.getRef(TaskTree.TaskTree)
      const saturation = fiber.getRef(Saturation.Saturation)
      return Metrics.source((now) => ({
        tasks: Effect.runSync(tree.counts),
        bounded: saturation.snapshot(now),
      }))
    })),
  )

/**
 * Runs the service as the process: the last line of a program.
 *
 * **Details** – listens on `HOST` (127.0.0.1) and `PORT` (8080) unless the options say otherwise,
 * until SIGINT or SIGTERM; then drains and exits with 0. A further signal, more than a second later,
 * exits at once with 130 or 143. A supervisor of a layer that gives up drains the service as well;
 * that, a start that fails, and a layer that does not close in its time, print one sentence and exit
 * with 1.
 *
 * @category constructors
 * @since 0.1.0
 */
export const run = <
  Id extends string,
  Groups extends HttpApiGroup.Constraint,
  R,
  E,
  ER = never,
  RP = never,
  EP = never,
>(
  api: HttpApi.HttpApi<Id, Groups>,
  options: Options<Id, Groups, R, E, ER, RP, EP> & Needed<R | RP, ER>,
): void =>
  runMain(
    Layer.unwrap(Effect.map(address, ({ hostname, port }) =>
      layer(api, { ...options, server: { hostname, port, ...options.server } }))),
    (services) => {
      const server = Context.get(services, Server.Server)
      const url = `http://${server.hostname}:${server.port}`
      return Console.error(
        `${api.identifier} listens on ${url}\n` +
          `  try   ${url}/docs and ${url}/health/ready\n` +
          "  stop  Ctrl+C (finishes the requests in flight)",
      )
    },
    () =>
      Console.error(
        `Draining: what was accepted may finish (up to ${
          Duration.format(Duration.millis(drainMs(options.drain, "grace", "20 seconds")))
        }). Press Ctrl+C once more, after a second, to stop now.`,
      ),
  )

const address = Config.all({
  hostname: Config.withDefault(Config.String("HOST"), "127.0.0.1"),
  // `Config.Port` does not take 0, which means "any free one".
  port: Config.withDefault(
    Config.schema(
      Schema.FiniteFromString.check(
        Schema.isInt(),
        Schema.isBetween({ minimum: 0, maximum: 65_535 }),
      ),
      "PORT",
    ),
    8080,
  ),
})

const drainMs = (
  options: DrainOptions | undefined,
  option: keyof DrainOptions,
  otherwise: Duration.Input,
): number => durationMs(`drain.${option}`, options?.[option] ?? otherwise)
