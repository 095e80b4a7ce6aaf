/**
 * The one middleware that an API needs: request → admission → task → handler → answer.
 *
 * @module
 */
import type { Layer } from "effect"
import { type HttpApi, type HttpApiGroup, HttpApiMiddleware } from "effect/http-api"
import type { Admission } from "../admission/Admission.ts"
import { compiling } from "./compiling.ts"
import { type Errors, errors } from "./errors.ts"
import type * as Policy from "./Policy.ts"

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
 * declares `Refused`, `DeadlineExceeded`, `DatabaseUnavailable`, `Cancelled` and `CleanupAbandoned`
 * of tasks, `Unauthenticated` of principals, and `MailboxFull`, `Stopped`, `AskTimeout`, `ActorFailed` and `AskCycle` of actors, so that
 * handlers may simply fail with them and clients get them typed. (`ActorFailed` while its status is
 * 500 or 503: who sets another `failedStatus` declares an error of that status at the endpoint.)
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
  compiling(Supervised, api, options.policy, undefined)
