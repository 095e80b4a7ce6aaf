/**
 * One API, its handlers and its resources, served: the only place that wires everything.
 *
 * @module
 */
import { Clock, Effect, Layer, type Scope } from "effect"
import { HttpRouter, HttpServer } from "effect/http"
import { type HttpApi, HttpApiBuilder, type HttpApiGroup, HttpApiScalar } from "effect/http-api"
import * as Admission from "../admission/Admission.ts"
import * as Saturation from "../bounded/Saturation.ts"
import type * as Policy from "../edge/Policy.ts"
import * as Problem from "../edge/Problem.ts"
import { recording, RouteTable } from "../edge/routes.ts"
import * as Server from "../edge/Server.ts"
import * as Supervised from "../edge/Supervised.ts"
import * as TaskTree from "../task/TaskTree.ts"

/**
 * Options of {@link layer} and {@link run}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<Id extends string, Groups extends HttpApiGroup.Constraint, R, E, ER> {
  /** The layers of the API's groups, merged. */
  readonly handlers: Layer.Layer<HttpApiGroup.ToService<Id, Groups>, E, R | Supervised.Supervised>
  /** What the handlers need: pools, databases. Built first, closed last. */
  readonly resources?: Layer.Layer<R, ER>
  /** Where to listen, and limits of the socket. */
  readonly server?: Server.Options
  /** Defaults for every endpoint's policy. */
  readonly policy?: Policy.Policy
  /** Bounds on the whole service. */
  readonly admission?: Admission.Options
}

/**
 * The service as a layer: resources below, handlers above them, the listener last and therefore
 * closed first.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <Id extends string, Groups extends HttpApiGroup.Constraint, R, E, ER = never>(
  api: HttpApi.HttpApi<Id, Groups>,
  options: Options<Id, Groups, R, E, ER>,
): Layer.Layer<Server.Server, E | ER | Server.ListenError> => {
  const table = new RouteTable()
  const resources = (options.resources ?? Layer.empty) as Layer.Layer<R, ER>
  const core = Layer.provideMerge(
    Supervised.layer(api, options.policy === undefined ? {} : { policy: options.policy }),
    Admission.layer(options.admission),
  )
  const routes = Layer.mergeAll(
    HttpApiBuilder.layer(api, { openapiPath: "/openapi.json" }),
    HttpApiScalar.layer(api, { path: "/docs" }),
  ).pipe(Layer.provide(options.handlers), Layer.provide(HttpServer.layerServices))
  const app = Layer.effectDiscard(Effect.gen(function* () {
    const router = yield* HttpRouter.HttpRouter
    const http = yield* HttpServer.HttpServer
    yield* Effect.provideService(
      http.serve(router.asHttpEffect()),
      Problem.AllowedMethods,
      table.allowed,
    )
  }))
  return app.pipe(
    Layer.provide(routes as Layer.Layer<never>),
    Layer.provideMerge(recording(table)),
    Layer.provideMerge(Server.layer(options.server)),
    Layer.provide(core),
    Layer.provide(resources),
    Layer.provide(Layer.mergeAll(
      Layer.sync(Saturation.Saturation, Saturation.makeUnsafe),
      Layer.sync(TaskTree.TaskTree, TaskTree.makeUnsafe),
    )),
  ) as Layer.Layer<Server.Server, E | ER | Server.ListenError>
}
