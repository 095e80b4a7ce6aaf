import type { Effect } from "effect"
import type { HttpServerResponse } from "effect/http"
import type { Admission } from "../admission/Admission.ts"
import type { Callers } from "../admission/Caller.ts"
import { rankOf } from "../admission/Criticality.ts"
import type { Bounded } from "../bounded/Bounded.ts"
import * as ServiceTime from "../bounded/ServiceTime.ts"
import type { Tree } from "../task/tree.ts"
import type { Endpoint } from "../telemetry/Metrics.ts"
import type { Resolved } from "./Policy.ts"

/** What supervision needs of the service, resolved once. */
export interface Env {
  readonly tree: Tree
  readonly admission: Admission
  /** Who sends the requests. */
  readonly callers: Callers
}

/** What answers a request. */
export type Handler<E> = Effect.Effect<HttpServerResponse.HttpServerResponse, E, unknown>

/** One endpoint, compiled once at the start. */
export class Compiled {
  readonly name: string
  readonly policy: Resolved
  readonly uses: ReadonlyArray<Bounded>
  /** Work of the handler, waiting excluded. */
  readonly service: ServiceTime.ServiceTime
  readonly metrics: Endpoint
  /** The class of its requests, unless the caller is worth less. */
  readonly rank: number
  inFlight = 0

  constructor(
    name: string,
    policy: Resolved,
    uses: ReadonlyArray<Bounded>,
    metrics: Endpoint,
  ) {
    this.name = name
    this.policy = policy
    this.uses = uses
    this.metrics = metrics
    this.rank = rankOf(policy.priority)
    this.service = ServiceTime.make({ expectedMs: policy.expectedMs })
  }

  /**
   * What the next request expects to work, for admission. An endpoint on which nothing runs expects
   * nothing: its next request is the probe that finds out whether a slow dependency has recovered;
   * otherwise one outage, whose samples all lie beyond the deadline, would refuse for ever.
   */
  expectedMs(): number | undefined {
    if (this.inFlight === 0) return 0
    return this.service.known ? this.service.estimate : undefined
  }

  /** Counts a request that was refused at the door. */
  refused(reason: string): void {
    this.metrics.started()
    this.metrics.refused(reason)
    this.metrics.ended()
  }
}
