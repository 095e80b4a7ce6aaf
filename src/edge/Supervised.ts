/**
 * The one middleware that an API needs: request → admission → task → handler → answer.
 *
 * @module
 */
import { Context, Effect, Layer } from "effect"
import {
  type HttpApi,
  type HttpApiEndpoint,
  type HttpApiGroup,
  HttpApiMiddleware,
} from "effect/http-api"
import { Admission } from "../admission/Admission.ts"
import type { Bounded } from "../bounded/Bounded.ts"
import { Saturation } from "../bounded/Saturation.ts"
import { Mistake } from "../internal/mistake.ts"
import { TaskTree } from "../task/TaskTree.ts"
import { Metrics } from "../telemetry/Metrics.ts"
import { Compiled } from "./compiled.ts"
import { type Errors, errors } from "./errors.ts"
import * as Policy from "./Policy.ts"
import { RespondAsync, respondAsync } from "./RespondAsync.ts"
import { streamed } from "./streams.ts"
import { supervise } from "./supervise.ts"

const Base: HttpApiMiddleware.ServiceClass<Supervised, "weir/edge/Supervised", {
  requires: never
  provides: never
  error: Errors
  clientError: never
  requiredForClient: false
  security: never
}> = HttpApiMiddleware.Service<Supervised>()("weir/edge/Supervised", { error: errors })

/**
 * The middleware. Add it to the API once, after its groups: `.middleware(Supervised.Supervised)`.
 *
 * **Details** – every request becomes a task with the deadline of its {@link Policy.Policy}, is
 * admitted only if it can finish before that deadline, and is cancelled when its client leaves. It
 * declares `Refused`, `DeadlineExceeded` and `DatabaseUnavailable`, so that handlers may simply fail
 * with them and clients get them typed.
 *
 * @category middleware
 * @since 0.1.0
 */
export class Supervised extends Base {}

/**
 * Options of {@link layer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Defaults for every endpoint; each field is overridden by API, group and endpoint. */
  readonly policy?: Policy.Policy
}

/**
 * Compiles the middleware for one API: policies are merged (service → API → group → endpoint) and
 * the names in `uses` resolved once per endpoint, while its handlers are built.
 *
 * **Details** – provide it to the layers of the handlers, above the pools that policies name.
 *
 * **Fails with** – nothing; a wrong policy or an unknown name in `uses` dies with one sentence while
 * the handlers are built, which fails the start.
 *
 * **Interruption** – does not wait.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <Id extends string, Groups extends HttpApiGroup.Constraint>(
  api: HttpApi.HttpApi<Id, Groups>,
  options: Options = {},
): Layer.Layer<Supervised, never, Admission> =>
  Layer.effect(
    Supervised,
    Effect.withFiber((fiber) => {
      const admission = Context.getUnsafe(
        fiber.context as Context.Context<Admission>,
        Admission,
      )
      const env = { admission, tree: fiber.getRef(TaskTree).unsafe }
      const registry = fiber.getRef(Saturation)
      const metrics = fiber.getRef(Metrics)
      const async = Context.getOrUndefined(fiber.context, RespondAsync)
      return Effect.succeed(Supervised.of((handler, { endpoint, group }) => {
        const name = `${group.identifier}.${endpoint.identifier}`
        const policy = Policy.resolve(
          name,
          options.policy ?? {},
          Context.get(api.annotations, Policy.Policy),
          Context.get(group.annotations, Policy.Policy),
          Context.get(endpoint.annotations, Policy.Policy),
        )
        const uses = policy.uses.map((thing) => resolveUse(registry, name, thing))
        const compiled = new Compiled(name, policy, uses, metrics.endpoint(name, endpoint.method))
        if (policy.async === "never") return supervise(compiled, env, handler as never) as never
        return respondAsync(
          compiled,
          env,
          later(async, policy, name, endpoint),
          handler as never,
        ) as never
      }))
    }),
  )

const later = (
  service: RespondAsync | undefined,
  policy: Policy.Resolved,
  name: string,
  endpoint: HttpApiEndpoint.Top,
): RespondAsync => {
  const stream = streamed(endpoint)
  if (stream !== undefined) {
    throw new Mistake(
      `Policy of ${name}: async is "${policy.async}", but its ${stream} is a stream, which cannot ` +
        'be kept for later. Set async to "never", or leave out the stream.',
    )
  }
  if (service === undefined) {
    throw new Mistake(
      `Policy of ${name}: async is "${policy.async}", but nothing keeps results. Use ` +
        "Service.layer, or provide RespondAsync.layer() to Supervised.layer.",
    )
  }
  return service
}

const resolveUse = (registry: Saturation, endpoint: string, name: string): Bounded => {
  const bounded = registry.get(name)
  if (bounded !== undefined) return bounded
  const known = registry.snapshot(0).map((stats) => `"${stats.name}"`).join(", ")
  throw new Mistake(
    `Policy of ${endpoint} uses "${name}", but there is no such pool. Known: ${
      known === "" ? "none" : known
    }. Provide its layer to the service, or correct the name.`,
  )
}
