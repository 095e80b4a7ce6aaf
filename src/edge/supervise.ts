import { Cause, Clock, Context, Effect, Fiber, Scope } from "effect"
import { HttpServerRequest, type HttpServerResponse } from "effect/http"
import type { Admission } from "../admission/Admission.ts"
import type { Ticket } from "../bounded/Bounded.ts"
import { isRefusal, type Reason, type Refusal, Refused } from "../bounded/Refused.ts"
import * as CancelReason from "../task/CancelReason.ts"
import { type Outcome, TaskRecord } from "../task/record.ts"
import { CancelScope, CurrentScope, root } from "../task/scope.ts"
import type { Tree } from "../task/tree.ts"
import * as Spans from "../telemetry/Spans.ts"
import { answers, polish, statusOf } from "./answer.ts"
import type { Compiled } from "./compiled.ts"
import { bodyStopped } from "./disconnect.ts"
import { type Entered, exchangeOf } from "./exchange.ts"
import { randomOf } from "./jitter.ts"
import * as Problem from "./Problem.ts"
import { parsePrefer } from "./prefer.ts"
import { renderRefusal } from "./refusal.ts"

/** What supervision needs of the service, resolved once. */
export interface Env {
  readonly tree: Tree
  readonly admission: Admission
}

/** What answers a request. */
export type Handler<E> = Effect.Effect<HttpServerResponse.HttpServerResponse, E, unknown>

/**
 * Runs one request: deadline, admission, task, handler, answer.
 *
 * The task is the request fiber itself, which is a root fiber already: no fork. It lasts until the
 * request scope closes, and so covers a streamed body. When it is cancelled and does not end within
 * that turn, the client is answered at once and the cleanup goes on behind the answer.
 */
export const supervise = <E>(endpoint: Compiled, env: Env, inner: Handler<E>): Handler<E> =>
  // Uninterruptible from here to the handler: between taking the tickets and the finalizer that
  // gives them back the fiber may yield, and must not be interrupted there.
  Effect.uninterruptibleMask((restore) => {
    const fiber = Fiber.getCurrent()!
    const handler = restore(inner)
    const exchange = exchangeOf(requestOf(fiber))
    const entered = exchange?.entered
    if (exchange !== undefined && entered !== undefined) {
      exchange.entered = undefined
      return entered.start(handler)
    }
    const run = new Run(endpoint, env, fiber)
    return Spans.isTracing(fiber)
      ? Effect.flatMap(traced(run, endpoint), (tickets) => run.proceed(tickets, handler))
      : run.proceed(run.admit(), handler)
  })

/**
 * Decides about a request at its route, before Effect has prepared anything for the handler. What is
 * admitted is taken over by {@link supervise} further in, or given back when the request ends
 * without having got there.
 */
export const atTheDoor = <E>(endpoint: Compiled, env: Env, route: Handler<E>): Handler<E> =>
  Effect.withFiber((fiber) => {
    const exchange = exchangeOf(requestOf(fiber))
    // With a tracer the decision is a span, which belongs inside the request's.
    if (exchange === undefined || Spans.isTracing(fiber)) return route
    const run = new Run(endpoint, env, fiber)
    const tickets = run.admit()
    if (isRefusal(tickets)) return run.refuse(tickets)
    run.enter(tickets)
    exchange.entered = run
    return route
  })

const requestOf = (
  fiber: Fiber.Fiber<unknown, unknown>,
): HttpServerRequest.HttpServerRequest =>
  Context.getUnsafe(
    fiber.context as Context.Context<HttpServerRequest.HttpServerRequest>,
    HttpServerRequest.HttpServerRequest,
  )

/** The decision of admission as a span. */
const traced = (run: Run, endpoint: Compiled) =>
  Spans.withSpan("Admission.admit", {
    attributes: () => ({
      [Spans.attributes.endpoint]: endpoint.name,
      [Spans.attributes.uses]: endpoint.policy.uses.join(","),
    }),
  })(Effect.suspend((): Effect.Effect<ReadonlyArray<Ticket> | Refusal> => {
    const tickets = run.admit()
    return isRefusal(tickets)
      ? Effect.as(
        Effect.annotateCurrentSpan({
          [Spans.attributes.refusedReason]: tickets.reason,
          [Spans.attributes.refusedResource]: tickets.resource,
        }),
        tickets,
      )
      : Effect.succeed(tickets)
  }))

/** One request on its way through. */
class Run implements Entered {
  private readonly endpoint: Compiled
  private readonly env: Env
  private readonly fiber: Fiber.Fiber<unknown, unknown>
  private readonly clock: Clock.Clock
  private readonly request: HttpServerRequest.HttpServerRequest
  private readonly startedAt: number
  private readonly deadline: number
  private outcome: Outcome = "failed"
  private status = 500
  private refusedFor: Reason = "Closed"
  /** The answer is complete and was not the cancel's. */
  private final = false
  private tickets: ReadonlyArray<Ticket> = []
  private record!: TaskRecord

  constructor(endpoint: Compiled, env: Env, fiber: Fiber.Fiber<unknown, unknown>) {
    this.endpoint = endpoint
    this.env = env
    this.fiber = fiber
    this.clock = fiber.getRef(Clock.Clock)
    this.request = requestOf(fiber)
    this.startedAt = this.clock.currentTimeMillisUnsafe()
    this.deadline = this.startedAt + allowedMs(this.request, endpoint.policy.deadlineMs)
  }

  admit(): ReadonlyArray<Ticket> | Refusal {
    return this.env.admission.enter(this.endpoint.uses, {
      now: this.startedAt,
      deadline: this.deadline,
      service: this.endpoint.expectedMs(),
    })
  }

  proceed<E>(tickets: ReadonlyArray<Ticket> | Refusal, handler: Handler<E>): Handler<E> {
    if (isRefusal(tickets)) return this.refuse(tickets)
    this.enter(tickets)
    return this.start(handler)
  }

  refuse(refusal: Refusal): Effect.Effect<HttpServerResponse.HttpServerResponse> {
    this.endpoint.metrics.started()
    this.endpoint.metrics.refused(refusal.reason)
    this.endpoint.metrics.ended()
    return Effect.succeed(renderRefusal(refusal, randomOf(this.fiber)))
  }

  enter(tickets: ReadonlyArray<Ticket>): void {
    this.endpoint.metrics.started()
    this.tickets = tickets
  }

  /** It ended before its handler began. */
  abandon(): void {
    this.env.admission.leave(this.tickets)
    this.endpoint.metrics.failed(0, 500)
    this.endpoint.metrics.ended()
  }

  /** Begins the task; runs uninterruptibly but for the handler. */
  start<E>(handler: Handler<E>): Handler<E> {
    const { endpoint, env, fiber, tickets } = this
    const record = new TaskRecord(
      env.tree,
      this.clock,
      endpoint.name,
      "request",
      undefined,
      this.startedAt,
      endpoint.policy.cleanupMs,
    )
    record.scope = new CancelScope(root, this.deadline, record, tickets, undefined)
    record.fiber = fiber
    this.record = record
    endpoint.inFlight++
    env.tree.add(record)
    // The enclosing request restores the fiber's context.
    const context = Context.add(fiber.context, CurrentScope, record.scope)
    fiber.setContext(context)
    const exchange = exchangeOf(this.request)
    if (exchange !== undefined) {
      exchange.record = record
      exchange.context = context
      exchange.suspended?.(record)
    }
    return Effect.flatMap(
      // First in, so last out: the task ends after everything that the handler acquired.
      Scope.addFinalizer(
        Context.getUnsafe(fiber.context as Context.Context<Scope.Scope>, Scope.Scope),
        Effect.sync(() => this.finish()),
      ),
      () =>
        Effect.matchCauseEffect(handler, {
          onSuccess: (response) => this.succeeded(response),
          onFailure: (cause) => this.failed(cause),
        }),
    )
  }

  private succeeded(
    response: HttpServerResponse.HttpServerResponse,
  ): Effect.Effect<HttpServerResponse.HttpServerResponse> {
    this.outcome = "completed"
    this.final = response.body._tag !== "Stream" && this.record.cancelledAt < 0
    const polished = polish(response)
    this.status = polished.status
    return Effect.succeed(polished)
  }

  private failed<E>(cause: Cause.Cause<E>): Handler<E> {
    const refused = refusedIn(cause)
    this.final = this.record.cancelledAt < 0
    if (bodyStopped(cause)) this.record.scope.cancel(CancelReason.ClientAbort)
    if (Cause.hasInterrupts(cause) || this.record.scope.reason !== undefined) {
      this.outcome = "cancelled"
      const reason = this.record.scope.effectiveReason()
      if (reason !== undefined) Spans.annotateCancel(this.fiber, reason)
    } else if (refused !== undefined) {
      this.outcome = "refused"
      this.refusedFor = refused.reason
    } else if (!Cause.hasDies(cause)) {
      // An error that the endpoint or the middleware declares is an answer.
      this.outcome = "completed"
      this.status = statusOf(cause)
    }
    return answers(cause) ? Problem.fromCause(cause) as Handler<E> : Effect.failCause(cause)
  }

  /** Runs when the request scope closes: exactly once, body included. */
  private finish(): void {
    const { endpoint, record } = this
    const elapsed = this.clock.currentTimeMillisUnsafe() - this.startedAt
    const worked = elapsed - record.waitedMs
    endpoint.inFlight--
    this.env.admission.leave(this.tickets)
    const reason = record.scope.reason
    // A cancel before the handler's answer has been the answer, whatever it still achieved; one
    // after it came while finalizers ran, and changes nothing for the client.
    if (reason !== undefined && !this.final) this.outcome = "cancelled"
    switch (this.outcome) {
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
    record.end(this.outcome)
  }
}

const refusedIn = (cause: Cause.Cause<unknown>): Refused | undefined => {
  for (const reason of cause.reasons) {
    if (reason._tag === "Fail" && reason.error instanceof Refused) return reason.error
  }
  return undefined
}

/**
 * The time the client grants, never more than the policy: `Request-Timeout` in milliseconds, or
 * `wait` of `Prefer` (RFC 7240) in seconds. A value that makes no sense is ignored.
 */
const allowedMs = (request: HttpServerRequest.HttpServerRequest, policyMs: number): number => {
  let allowed = policyMs
  const timeout = header(request, "request-timeout")
  if (timeout !== null) allowed = clamp(Number(timeout), allowed)
  const prefer = header(request, "prefer")
  if (prefer !== null) {
    const { respondAsync, wait } = parsePrefer(prefer)
    // With respond-async it says how long to wait for an answer, not for the work.
    if (wait !== undefined && !respondAsync) allowed = clamp(wait * 1000, allowed)
  }
  return allowed
}

const clamp = (ms: number, most: number): number =>
  Number.isFinite(ms) && ms > 0 ? Math.min(ms, most) : most

// One native look-up; Effect's `headers` would copy all of them first.
const header = (request: HttpServerRequest.HttpServerRequest, name: string): string | null =>
  request.source instanceof Request
    ? request.source.headers.get(name)
    : request.headers[name] ?? null
