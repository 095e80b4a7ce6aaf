import { Cause, Clock, Context, Effect, Scope } from "effect"
import { HttpServerRequest, type HttpServerResponse } from "effect/http"
import type { Admission } from "../admission/Admission.ts"
import { isRefusal } from "../bounded/Refused.ts"
import { Refused } from "../bounded/Refused.ts"
import { type Outcome, TaskRecord } from "../task/record.ts"
import { CancelScope, CurrentScope, root } from "../task/scope.ts"
import type { Tree } from "../task/tree.ts"
import type { Compiled } from "./compiled.ts"
import { exchangeOf } from "./exchange.ts"
import * as Problem from "./Problem.ts"

/** What supervision needs of the service, resolved once. */
export interface Env {
  readonly tree: Tree
  readonly admission: Admission
}

type Handler<E> = Effect.Effect<HttpServerResponse.HttpServerResponse, E, unknown>

/**
 * Runs one request: deadline, admission, task, handler, answer.
 *
 * The task is the request fiber itself, which is a root fiber already: no fork. It lasts until the
 * request scope closes, and so covers a streamed body. When it is cancelled and does not end within
 * that turn, the client is answered at once and the cleanup goes on behind the answer.
 */
export const supervise = <E>(endpoint: Compiled, env: Env, inner: Handler<E>): Handler<E> =>
  Effect.withFiber((fiber) => {
    const request = Context.getUnsafe(
      fiber.context as Context.Context<HttpServerRequest.HttpServerRequest>,
      HttpServerRequest.HttpServerRequest,
    )
    const clock = fiber.getRef(Clock.Clock)
    const now = clock.currentTimeMillisUnsafe()
    const deadline = now + allowedMs(request, endpoint.policy.deadlineMs)
    const tickets = env.admission.enter(endpoint.uses, {
      now,
      deadline,
      service: endpoint.expectedMs(),
    })
    endpoint.metrics.started()
    if (isRefusal(tickets)) {
      endpoint.metrics.refused(tickets.reason)
      endpoint.metrics.ended()
      return Effect.succeed(Problem.render(Problem.fromRefusal(tickets), Problem.randomOf(fiber)))
    }
    const record = new TaskRecord(
      env.tree,
      clock,
      endpoint.name,
      "request",
      undefined,
      now,
      endpoint.policy.cleanupMs,
    )
    record.scope = new CancelScope(root, deadline, record, tickets, undefined)
    record.fiber = fiber
    endpoint.inFlight++
    env.tree.add(record)

    let outcome: Outcome = "failed"
    let status = 500
    const finish = () => {
      const elapsed = clock.currentTimeMillisUnsafe() - now
      const worked = elapsed - record.waitedMs
      endpoint.inFlight--
      env.admission.leave(tickets)
      const reason = record.cancelledAt >= 0 ? record.scope.effectiveReason() : undefined
      if (reason !== undefined && outcome !== "completed") outcome = "cancelled"
      switch (outcome) {
        case "completed":
          endpoint.service.observe(worked)
          endpoint.metrics.completed(elapsed, status)
          break
        case "cancelled":
          // How long it would have taken is unknown, but it was at least this long.
          endpoint.service.observeCensored(worked)
          endpoint.metrics.cancelled(reason?._tag ?? "Interrupted", elapsed)
          break
        case "failed":
          endpoint.metrics.failed(elapsed, status)
          break
      }
      endpoint.metrics.ended()
      record.end(outcome)
    }

    const exchange = exchangeOf(request)
    if (exchange !== undefined) {
      exchange.record = record
      exchange.suspended?.(record)
    }

    // The enclosing request restores the fiber's context.
    const context = Context.add(fiber.context, CurrentScope, record.scope)
    fiber.setContext(context)
    if (exchange !== undefined) exchange.context = context
    return Effect.flatMap(
      // First in, so last out: the task ends after everything that the handler acquired.
      Scope.addFinalizer(
        Context.getUnsafe(fiber.context as Context.Context<Scope.Scope>, Scope.Scope),
        Effect.sync(finish),
      ),
      () =>
        Effect.uninterruptibleMask((restore) =>
          Effect.matchCauseEffect(restore(inner), {
            onSuccess: (response) => {
              outcome = "completed"
              const polished = Problem.polish(response)
              status = polished.status
              return Effect.succeed(polished)
            },
            onFailure: (cause) => {
              if (Cause.hasInterrupts(cause)) outcome = "cancelled"
              const ours = cause.reasons.find((reason) =>
                reason._tag === "Fail" && reason.error instanceof Refused
              )
              if (ours !== undefined) {
                outcome = "refused"
                endpoint.metrics.refused(((ours as Cause.Fail<unknown>).error as Refused).reason)
              } else if (!Cause.hasInterrupts(cause) && !Cause.hasDies(cause)) {
                // A declared error is an answer.
                outcome = "completed"
                status = 400
              }
              return Problem.answers(cause)
                ? Problem.fromCause(cause) as Handler<E>
                : Effect.failCause(cause)
            },
          })
        ),
    )
  })

/**
 * The time the client grants, never more than the policy: `Request-Timeout` in milliseconds, or
 * `wait` of `Prefer` (RFC 7240) in seconds. A value that makes no sense is ignored.
 */
const allowedMs = (request: HttpServerRequest.HttpServerRequest, policyMs: number): number => {
  const headers = (request.source as Request).headers
  let allowed = policyMs
  const timeout = headers.get("request-timeout")
  if (timeout !== null) allowed = clamp(Number(timeout), allowed)
  const prefer = headers.get("prefer")
  if (prefer !== null) {
    const wait = /(?:^|[,;\s])wait\s*=\s*"?(\d+)"?/i.exec(prefer)
    if (wait !== null && !/respond-async/i.test(prefer)) {
      allowed = clamp(Number(wait[1]) * 1000, allowed)
    }
  }
  return allowed
}

const clamp = (ms: number, most: number): number =>
  Number.isFinite(ms) && ms > 0 ? Math.min(ms, most) : most
