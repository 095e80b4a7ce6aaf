import { Cause, type Clock, Context, Effect, type Fiber, Scope } from "effect"
import type { HttpServerRequest, HttpServerResponse } from "effect/http"
import type { Request as Asked } from "../admission/Admission.ts"
import { type Caller, nobody, tenantOf } from "../admission/Caller.ts"
import { rankOf } from "../admission/Criticality.ts"
import { Peer } from "../admission/peer.ts"
import type { Ticket } from "../bounded/Bounded.ts"
import type { ServiceTime } from "../bounded/ServiceTime.ts"
import { type Reason, Refused } from "../bounded/Refused.ts"
import * as CancelReason from "../task/CancelReason.ts"
import { type Outcome, TaskRecord } from "../task/record.ts"
import { CancelScope, CurrentScope, root } from "../task/scope.ts"
import * as Spans from "../telemetry/Spans.ts"
import { answers, polish, statusOf } from "./answer.ts"
import { turnedAway } from "./asks.ts"
import type { Compiled, Env, Handler } from "./compiled.ts"
import { bodyStopped } from "./disconnect.ts"
import type { Entered, Exchange, Running } from "./exchange.ts"
import { allowedMs } from "./head.ts"
import { Current, type Principal } from "./Principal.ts"
import * as Problem from "./Problem.ts"

/**
 * What a request asks of admission. The client's own limit, and who it is, are looked for only when
 * somebody asks.
 */
export class Ask implements Asked {
  readonly now: number
  readonly service: number | undefined
  readonly expectation: ServiceTime
  private readonly request: HttpServerRequest.HttpServerRequest | Request
  private readonly policyMs: number
  private readonly rank: number
  private readonly env: Env
  private readonly arrived: number
  private limit = -1
  private known = false
  /** Its key's; not an address, nor what others tell. */
  readonly principal: Principal | undefined
  private who: Caller | undefined = undefined

  constructor(
    endpoint: Compiled,
    env: Env,
    request: HttpServerRequest.HttpServerRequest | Request,
    now: number,
    /** Who it is, where the door has found that out. */
    seen: Caller | undefined = undefined,
    /** When it came, if it had to wait before it could ask. */
    arrived = now,
  ) {
    this.now = now
    this.arrived = arrived
    this.principal = seen instanceof Peer ? undefined : seen as Principal | undefined
    if (seen !== undefined) {
      this.known = true
      this.who = seen
    }
    this.service = endpoint.expectedMs()
    this.expectation = endpoint.service
    this.request = request
    this.policyMs = endpoint.policy.deadlineMs
    this.rank = endpoint.rank
    this.env = env
  }

  get deadline(): number {
    if (this.limit < 0) this.limit = this.arrived + allowedMs(this.request, this.policyMs)
    return this.limit
  }

  get caller(): Caller | undefined {
    if (this.known) return this.who
    this.known = true
    const { callers } = this.env
    if (callers === nobody) return undefined
    const source = this.request instanceof Request ? this.request : this.request.source
    return this.who = source instanceof Request ? callers.of(source) : undefined
  }

  /** The less critical of what the endpoint and what the caller is worth. */
  get criticality(): number {
    const cap = this.caller?.criticality
    return cap === undefined ? this.rank : Math.max(this.rank, rankOf(cap))
  }

  get tenant(): number {
    return tenantOf(this.caller)
  }
}

/** One admitted request: its task, and what becomes of it. */
export class Run extends TaskRecord implements Entered, Running {
  private readonly endpoint: Compiled
  private readonly env: Env
  private readonly tickets: ReadonlyArray<Ticket>
  readonly principal: Principal | undefined
  private requestScope: Scope.Scope | undefined = undefined
  private result: Outcome = "failed"
  private status = 500
  private refusedFor: Reason = "Closed"
  /** The answer is complete and was not the cancel's. */
  private final = false

  constructor(
    endpoint: Compiled,
    env: Env,
    clock: Clock.Clock,
    ask: Ask,
    tickets: ReadonlyArray<Ticket>,
  ) {
    super(env.tree, clock, endpoint.name, "request", undefined, ask.now, endpoint.policy.cleanupMs)
    this.scope = new CancelScope(
      root,
      ask.deadline,
      this,
      tickets,
      undefined,
      ask.criticality,
      ask.tenant,
    )
    this.endpoint = endpoint
    this.env = env
    this.tickets = tickets
    this.principal = ask.principal
    endpoint.metrics.started()
  }

  giveBack(): void {
    this.env.admission.leave(this.tickets)
    this.endpoint.metrics.failed(0, 500)
    this.endpoint.metrics.ended()
  }

  start<E>(
    fiber: Fiber.Fiber<unknown, unknown>,
    exchange: Exchange | undefined,
    handler: Handler<E>,
  ): Handler<E> {
    const scope = Context.getUnsafe(fiber.context as Context.Context<Scope.Scope>, Scope.Scope)
    // The enclosing request restores the fiber's context.
    const context = this.within(Context.add(fiber.context, CurrentScope, this.scope))
    fiber.setContext(context)
    this.begin(fiber, scope, context, exchange)
    const matched = Effect.matchCauseEffect(handler, {
      onSuccess: (response) => Effect.succeed(this.succeeded(response)),
      onFailure: (cause) => {
        this.failed(cause)
        return answers(cause) ? Problem.fromCause(cause) as Handler<E> : Effect.failCause(cause)
      },
    })
    if (exchange?.running === this) return matched
    // First in, so last out: the task ends after everything that the handler acquired.
    return Effect.flatMap(
      Scope.addFinalizer(scope, Effect.sync(() => this.finish())),
      () => matched,
    )
  }

  /** The context with the caller in it, if it is known. */
  within<R>(context: Context.Context<R>): Context.Context<R> {
    const { principal } = this
    return principal === undefined ? context : Context.add(context, Current, principal)
  }

  /** Begins the task; the fiber is uninterruptible, and runs in that context. */
  begin(
    fiber: Fiber.Fiber<unknown, unknown>,
    scope: Scope.Scope,
    context: Context.Context<never>,
    exchange: Exchange | undefined,
  ): void {
    this.fiber = fiber
    this.requestScope = scope
    this.endpoint.inFlight++
    this.env.tree.add(this)
    if (exchange === undefined) return
    exchange.record = this
    exchange.context = context
    if (exchange.ends && exchange.running === undefined) exchange.running = this
    exchange.suspended?.(this)
  }

  /** Notes that the handler has answered, and returns the answer as the client shall see it. */
  succeeded(
    response: HttpServerResponse.HttpServerResponse,
  ): HttpServerResponse.HttpServerResponse {
    this.result = "completed"
    this.final = response.body._tag !== "Stream" && this.cancelledAt < 0
    const polished = polish(response)
    this.status = polished.status
    return polished
  }

  /** Notes how the handler ended, when it did not answer. */
  failed(cause: Cause.Cause<unknown>): void {
    const refused = refusedIn(cause)
    this.final = this.cancelledAt < 0
    if (bodyStopped(cause)) this.scope.cancel(CancelReason.ClientAbort)
    if (Cause.hasInterrupts(cause) || this.scope.reason !== undefined) {
      this.result = "cancelled"
      const reason = this.scope.effectiveReason()
      if (reason !== undefined) Spans.annotateCancel(this.fiber!, reason)
    } else if (refused !== undefined) {
      this.result = "refused"
      this.refusedFor = refused
    } else if (!Cause.hasDies(cause)) {
      // An error that the endpoint or the middleware declares is an answer.
      this.result = "completed"
      this.status = statusOf(cause)
    }
  }

  /** The exchange has ended, and the scope of the request with it, unless somebody has taken it over. */
  close(): void {
    const scope = this.requestScope!
    if (scope.state._tag === "Closed") this.finish()
    else Effect.runFork(Scope.addFinalizer(scope, Effect.sync(() => this.finish())))
  }

  /** Runs when the request scope has closed: exactly once, body included. */
  private finish(): void {
    const { endpoint } = this
    const elapsed = this.clock.currentTimeMillisUnsafe() - this.startedAt
    const worked = elapsed - this.waitedMs
    endpoint.inFlight--
    this.env.admission.leave(this.tickets)
    const reason = this.scope.reason
    // A cancel before the handler's answer has been the answer, whatever it still achieved; one
    // after it came while finalizers ran, and changes nothing for the client.
    if (reason !== undefined && !this.final) this.result = "cancelled"
    switch (this.result) {
      case "completed":
        endpoint.service.observe(worked)
        endpoint.metrics.completed(elapsed, this.status)
        break
      case "cancelled":
        // How long it would have taken is unknown, but it was at least this long.
        endpoint.service.observeCensored(worked)
        endpoint.metrics.cancelled(reason?._tag ?? "Interrupted", elapsed)
        break
      case "failed":
        endpoint.metrics.failed(elapsed, this.status)
        break
      case "refused":
        endpoint.metrics.refused(this.refusedFor)
        break
    }
    endpoint.metrics.ended()
    this.end(this.result)
  }
}

/** Why it was refused, by a bounded thing or by an actor. */
const refusedIn = (cause: Cause.Cause<unknown>): Reason | undefined => {
  for (const reason of cause.reasons) {
    if (reason._tag !== "Fail") continue
    if (reason.error instanceof Refused) return reason.error.reason
    const turned = turnedAway(reason.error)
    if (turned !== undefined) return turned
  }
  return undefined
}
