import { Cause, Clock, Effect, type Exit, Fiber, Random, type Schedule } from "effect"
import type { Bounded, Request, Stats, Ticket } from "../bounded/Bounded.ts"
import { fromRefusal, isOwn, type Reason, type Refusal, type Refused } from "../bounded/Refused.ts"
import { DeadlineExceeded, within } from "../task/Deadline.ts"
import { CurrentScope, frameOf } from "../task/scope.ts"
import * as Metrics from "../telemetry/Metrics.ts"
import { Timing } from "../telemetry/series.ts"
import { outcomeOf } from "./breaking.ts"
import { type Circuit, type Outcome, refused } from "./circuit.ts"
import { hedged, type Hedging } from "./hedging.ts"
import { type Hint, hintOf } from "./hints.ts"
import type { Latency } from "./latency.ts"
import type { Line, Sample, Watch } from "./limitedline.ts"
import type { RetryBudget } from "./RetryBudget.ts"
import { type Denied, retrying } from "./retrying.ts"
import type { Share } from "./share.ts"

/** Which call of a call it is. */
export type Kind = "first" | "retry" | "hedge"

export type HintOf = (error: unknown, now: number) => Hint

/** The parts of a dependency; what is switched off is undefined. */
export interface Parts {
  readonly name: string
  readonly line: Line
  readonly circuit: Circuit | undefined
  readonly share: Share | undefined
  readonly hedging: Hedging | undefined
  readonly budget: RetryBudget
  readonly latency: Latency
  readonly timeoutMs: number
  readonly retry:
    | {
      readonly attempts: number
      readonly schedule: Schedule.Schedule<unknown, unknown>
      readonly maxDelayMs: number
    }
    | undefined
}

/** Work that ended by its caller's deadline has had its time if it took so many p95s. */
const overdue = 3
/** Samples without which no p95 is known. */
const enough = 20

const bounds = Metrics.table.find(({ name }) => name === "weir_dependency_duration_seconds")!
  .buckets!

/** The counters of a dependency. */
export class Totals {
  calls = 0
  readonly attempts: Record<Kind, Record<Outcome, number>> = {
    first: { success: 0, failure: 0, ignored: 0 },
    retry: { success: 0, failure: 0, ignored: 0 },
    hedge: { success: 0, failure: 0, ignored: 0 },
  }
  readonly denied: Record<Denied, number> = {
    attempts: 0,
    deadline: 0,
    budget: 0,
    nested: 0,
    hint: 0,
  }
  readonly duration: Timing = new Timing(bounds)
}

/** What one call may say for itself. */
export interface Asked<E> {
  readonly idempotent: boolean
  readonly hint: HintOf | undefined
  readonly discard?: ((error: E) => Effect.Effect<void>) | undefined
}

/**
 * Calls through all the parts, in their order. One object with the synchronous cores of the parts,
 * because a frame for each of them would cost ten times what they decide.
 */
export class Caller {
  readonly parts: Parts
  readonly totals: Totals = new Totals()
  readonly #inTime: ReturnType<typeof within>

  constructor(parts: Parts) {
    this.parts = parts
    this.#inTime = within(parts.timeoutMs, parts.name)
  }

  call<A, E, R>(
    effect: Effect.Effect<A, E, R>,
    asked: Asked<E>,
  ): Effect.Effect<A, E | Refused | DeadlineExceeded, R> {
    return Effect.withFiber((fiber) => {
      const { budget, latency, retry } = this.parts
      this.totals.calls++
      budget.deposit(fiber.getRef(Clock.Clock).currentTimeMillisUnsafe())
      const hint = asked.hint ?? hintOf
      const limited = this.#inTime(effect)
      if (retry === undefined || !asked.idempotent) {
        return this.#once(limited, hint, "first", asked.idempotent)
      }
      let kind: Kind = "first"
      return retrying(
        Effect.suspend(() => this.#once(limited, hint, kind, true)),
        {
          ...retry,
          budget,
          hint: (error, now) => hintOfAny(error, now, hint),
          expectedMs: () => latency.percentile(0.5),
          discard: asked.discard as never,
          onRetry: () => {
            kind = "retry"
          },
          onDenied: (why) => {
            this.totals.denied[why]++
          },
        },
      )
    })
  }

  // Uninterruptible from the token to the frame that settles it.
  #once<A, E, R>(
    effect: Effect.Effect<A, E, R>,
    hint: HintOf,
    kind: Kind,
    idempotent: boolean,
  ): Effect.Effect<A, E | Refused, R> {
    return Effect.uninterruptibleMask((restore) => {
      const fiber = Fiber.getCurrent()!
      const { circuit, hedging, line, share } = this.parts
      const clock = fiber.getRef(Clock.Clock)
      const now = clock.currentTimeMillisUnsafe()
      // While the breaker finds out, it alone decides how much is sent.
      const closed = circuit === undefined || circuit.phase(now) === "closed"
      if (share !== undefined && closed) {
        const random = fiber.getRef(Random.Random).nextDoubleUnsafe()
        if (!share.admit(now, random)) {
          return Effect.fail(fromRefusal(this.refusal("Throttled", now)))
        }
      }
      const token = circuit?.enter(now) ?? 0
      if (token === refused) return Effect.fail(fromRefusal(this.refusal("BreakerOpen", now)))
      const watch = new Attempt(this, hint, kind, token)
      const after = idempotent ? hedging?.after(now, frameOf(fiber).deadline - now) : undefined
      const work = after === undefined ? line.use(effect, watch) : hedged(
        (second) => line.use(effect, second ? new Attempt(this, hint, "hedge", token) : watch),
        after,
        (now) => hedging!.may(now),
      )
      return Effect.onExitPrimitive(restore(work), (exit) => {
        const end = clock.currentTimeMillisUnsafe()
        const elapsed = watch.since < 0 ? 0 : end - watch.since
        const outcome = after === undefined
          ? watch.outcome
          : this.judge(exit, elapsed, end, hint).outcome
        if (circuit !== undefined) {
          circuit.settle(token, end, outcome, elapsed)
          // It has just found out that the other side is well.
          if (!closed && circuit.phase(end) === "closed") share?.clear()
        }
        if (outcome !== "ignored") share?.ended(end, outcome === "success")
        return undefined
      }, true)
    })
  }

  /** What the end of a call says about the other side, and about the limit. */
  judge(
    exit: Exit.Exit<unknown, unknown>,
    elapsedMs: number,
    now: number,
    hint: HintOf,
  ): Verdict {
    if (exit._tag === "Success") return succeeded
    const { hedging, latency } = this.parts
    const outcome = outcomeOf(exit)
    if (outcome === "ignored") {
      // A caller's deadline is its own, but one that gave it three times what it mostly takes has
      // met a call that hangs.
      const late = Cause.hasInterrupts(exit.cause) && latency.count >= enough &&
        elapsedMs > overdue * latency.percentile(0.95) && ranOutOfTime()
      return late ? dropped : ignored
    }
    let verdict = failed
    for (const reason of exit.cause.reasons) {
      if (reason._tag !== "Fail") continue
      const { error } = reason
      const known = hintOfAny(error, now, hint)
      if (known.failure === false) return works
      if (known.pushback === true) hedging?.pushback(now, known.retryAfterMs ?? 0)
      if (
        known.pushback === true || error instanceof DeadlineExceeded || Cause.isTimeoutError(error)
      ) {
        verdict = dropped
      }
    }
    return verdict
  }

  refusal(reason: "BreakerOpen" | "Throttled", now: number): Refusal {
    const { circuit, line, name } = this.parts
    const { capacity, inUse, waiting } = line.slots.stats(now)
    const wait = reason === "BreakerOpen" ? circuit!.opensIn(now) : 0
    return {
      _tag: "Refusal",
      reason,
      kind: "dependency",
      resource: name,
      inUse,
      capacity,
      waiting,
      predictedWaitMs: wait,
      retryAfterMs: wait > 0 ? wait : 1000,
    }
  }
}

interface Verdict {
  readonly outcome: Outcome
  readonly sample: Sample
}
const succeeded: Verdict = { outcome: "success", sample: "completed" }
const works: Verdict = { outcome: "success", sample: "other" }
const failed: Verdict = { outcome: "failure", sample: "other" }
const dropped: Verdict = { outcome: "failure", sample: "dropped" }
const ignored: Verdict = { outcome: "ignored", sample: "other" }

/** Our own refusals and timeouts mean what they mean, whatever the hint of a call says of the rest. */
const hintOfAny = (error: unknown, now: number, hint: HintOf): Hint => {
  const own = error instanceof DeadlineExceeded || isOwn(error)
  return own ? hintOf(error, now) : hint(error, now)
}

const ranOutOfTime = (): boolean =>
  Fiber.getCurrent()?.getRef(CurrentScope).effectiveReason()?._tag === "DeadlineExceeded"

class Attempt implements Watch {
  since = -1
  outcome: Outcome = "ignored"
  readonly #caller: Caller
  readonly #hint: HintOf
  readonly #kind: Kind
  readonly #token: number

  constructor(caller: Caller, hint: HintOf, kind: Kind, token: number) {
    this.#caller = caller
    this.#hint = hint
    this.#kind = kind
    this.#token = token
  }

  /** The breaker may have opened while it waited in line. */
  begun(now: number): Refusal | undefined {
    const { circuit } = this.#caller.parts
    if (circuit?.admits(this.#token, now) === false) return this.#caller.refusal("BreakerOpen", now)
    this.since = now
    return undefined
  }

  ended(now: number, elapsedMs: number, exit: Exit.Exit<unknown, unknown>): Sample {
    const { parts, totals } = this.#caller
    const { outcome, sample } = this.#caller.judge(exit, elapsedMs, now, this.#hint)
    this.outcome = outcome
    totals.attempts[this.#kind][outcome]++
    totals.duration.observe(elapsedMs)
    if (outcome === "success") parts.latency.record(elapsedMs)
    return sample
  }
}

/** A dependency among the bounded things: its line, closed while its breaker is open. */
export class DependencyBound implements Bounded {
  readonly kind = "dependency"
  readonly name: string
  readonly #caller: Caller

  constructor(caller: Caller) {
    this.#caller = caller
    this.name = caller.parts.name
  }

  stats(now: number): Stats {
    const { circuit, line, share } = this.#caller.parts
    const stats = line.slots.stats(now)
    const refusals: Record<Reason, number> = {
      ...stats.refused,
      BreakerOpen: circuit?.refusals ?? 0,
      Throttled: share?.refusals ?? 0,
    }
    return { ...stats, kind: this.kind, predictedWaitMs: this.predict(now), refused: refusals }
  }

  /** While the breaker is open, at least until it is not. */
  predict(now: number): number {
    const { circuit, line } = this.#caller.parts
    return Math.max(circuit?.opensIn(now) ?? 0, line.slots.predict(now))
  }

  /** The ticket is one of the line, so that the call redeems it there. */
  reserve(request: Request): Ticket | Refusal {
    const { circuit, line } = this.#caller.parts
    if (circuit === undefined || circuit.opensIn(request.now) === 0) {
      return line.slots.reserve(request)
    }
    circuit.refusals++
    return this.#caller.refusal("BreakerOpen", request.now)
  }
}
