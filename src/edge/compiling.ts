import { Context, Effect, Layer } from "effect"
import type { HttpApi, HttpApiEndpoint, HttpApiGroup, HttpApiMiddleware } from "effect/http-api"
import { Admission } from "../admission/Admission.ts"
import { Callers } from "../admission/Caller.ts"
import type { Bounded } from "../bounded/Bounded.ts"
import { Quota } from "../bounded/quota.ts"
import { Saturation } from "../bounded/Saturation.ts"
import { Mistake } from "../internal/mistake.ts"
import { TaskTree } from "../task/TaskTree.ts"
import { Metrics } from "../telemetry/Metrics.ts"
import { Compiled } from "./compiled.ts"
import { Door, doorKey, type Doors } from "./door.ts"
import type { Errors } from "./errors.ts"
import * as Policy from "./Policy.ts"
import { RespondAsync, respondAsync } from "./RespondAsync.ts"
import { streamed } from "./streams.ts"
import { supervise } from "./supervise.ts"

export type { Doors } from "./door.ts"

type Middleware = HttpApiMiddleware.HttpApiMiddleware<never, Errors, never>

/**
 * The middleware, compiled for one API. With `doors`, endpoints whose outermost middleware it is are
 * noted there: the service then decides at their route, before Effect copies contexts for the
 * handler, and a refusal costs half as much.
 */
export const compiling = <Self, Id extends string, Groups extends HttpApiGroup.Constraint>(
  service: Context.Key<Self, Middleware>,
  api: HttpApi.HttpApi<Id, Groups>,
  defaults: Policy.Policy | undefined,
  doors: Doors | undefined,
): Layer.Layer<Self, never, Admission> =>
  Layer.effect(
    service,
    Effect.withFiber((fiber) => {
      const admission = Context.getUnsafe(
        fiber.context as Context.Context<Admission>,
        Admission,
      )
      const env = {
        admission,
        tree: fiber.getRef(TaskTree).unsafe,
        callers: fiber.getRef(Callers),
      }
      const registry = fiber.getRef(Saturation)
      const metrics = fiber.getRef(Metrics)
      const async = Context.getOrUndefined(fiber.context, RespondAsync)
      const middleware: Middleware = (handler, { endpoint, group }) => {
        const name = `${group.identifier}.${endpoint.identifier}`
        const policy = Policy.resolve(
          name,
          defaults ?? {},
          Context.get(api.annotations, Policy.Policy),
          Context.get(group.annotations, Policy.Policy),
          Context.get(endpoint.annotations, Policy.Policy),
        )
        const uses = policy.uses.map((thing) => resolveUse(registry, name, thing))
        const compiled = new Compiled(name, policy, uses, metrics.endpoint(name, endpoint.method))
        if (policy.async !== "never") {
          return respondAsync(
            compiled,
            env,
            later(async, policy, name, endpoint),
            handler as never,
          ) as never
        }
        const outermost = Array.from(endpoint.middlewares).at(-1) === service as unknown
        if (doors !== undefined && outermost) {
          doors.set(
            doorKey(endpoint.method, endpoint.path),
            new Door(compiled, env, handler as never),
          )
        }
        return supervise(compiled, env, handler as never) as never
      }
      return Effect.succeed(middleware)
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
  // A quota has no line, so it would refuse every ticket.
  const find = (name: string) => {
    const bounded = registry.get(name)
    return bounded instanceof Quota ? undefined : bounded
  }
  const bounded = find(name)
  if (bounded !== undefined) return bounded
  if (registry.get(name)?.kind === "actors") {
    throw new Mistake(
      `Policy of ${endpoint} uses "${name}", which are actors with keys: in which mailbox to take a ` +
        "place is not known before the handler names the key. Leave it out, and let the handler " +
        "fail with MailboxFull when that mailbox is full.",
    )
  }
  const known = registry.snapshot(0).filter((stats) => find(stats.name) !== undefined)
    .map((stats) => `"${stats.name}"`).join(", ")
  throw new Mistake(
    `Policy of ${endpoint} uses "${name}", but there is no such pool or actor. Known: ${
      known === "" ? "none" : known
    }. Provide its layer to the service, or correct the name.`,
  )
}
