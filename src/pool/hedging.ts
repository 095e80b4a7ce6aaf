import { Cause, Clock, Context, Effect, Exit, type Fiber, identity } from "effect"
import { defectsOf } from "../internal/defects.ts"
import { Mistake } from "../internal/mistake.ts"
import * as CancelReason from "../task/CancelReason.ts"
import { interrupt } from "../task/commit.ts"
import { CancelScope, CurrentScope, frameOf } from "../task/scope.ts"
import { type Timer, timersOf } from "../task/timers.ts"
import { fork, inTurn, shallow } from "../task/turn.ts"
import type { Latency } from "./latency.ts"
import type { RetryBudget } from "./RetryBudget.ts"

/** Samples without which a percentile is a guess. */
const enough = 20

/** Longest time for which one answer keeps hedges away. */
const mostQuietMs = 60_000

export interface HedgingOptions {
  readonly percentile: number
  readonly maxUtilization: number
  readonly budget: RetryBudget
  readonly latency: Latency
  /** Share of the other side's places that are in use. */
  readonly utilization: (now: number) => number
}

/** Checks the settings, and fills in the defaults. */
export const hedgeSettings = (what: string, settings: {
  readonly percentile?: number | undefined
  readonly maxUtilization?: number | undefined
}): Pick<HedgingOptions, "percentile" | "maxUtilization"> => {
  const { maxUtilization = 0.7, percentile = 0.95 } = settings
  if (!(percentile >= 0.5 && percentile < 1)) {
    throw new Mistake(`${what}: percentile is ${percentile}. Use a number from 0.5 to below 1.`)
  }
  if (!(maxUtilization > 0 && maxUtilization <= 1)) {
    throw new Mistake(
      `${what}: maxUtilization is ${maxUtilization}. Use a number above 0, up to 1.`,
    )
  }
  return { percentile, maxUtilization }
}

/** When a second call makes sense. Synchronous. */
export class Hedging {
  sent = 0
  #options: HedgingOptions
  #quietUntil = -Infinity

  constructor(options: HedgingOptions) {
    this.#options = options
  }

  /** After how many milliseconds to send a second call; `undefined` for never. */
  after(now: number, timeLeftMs: number): number | undefined {
    const { latency, percentile } = this.#options
    if (latency.count < enough || !this.#idle(now)) return undefined
    const after = Math.max(1, latency.percentile(percentile))
    // What is sent later would hardly be back in time.
    return after < timeLeftMs / 2 ? after : undefined
  }

  /** Asked when that time has come; takes a retry from the budget. */
  may(now: number): boolean {
    if (!this.#idle(now) || !this.#options.budget.withdraw(now)) return false
    this.sent++
    return true
  }

  /** The other side asks for less. Its word may be nonsense: no answer ends hedging for ever. */
  pushback(now: number, retryAfterMs: number): void {
    const quietMs = Math.min(Math.max(1000, retryAfterMs), mostQuietMs)
    this.#quietUntil = Math.max(this.#quietUntil, now + quietMs)
  }

  #idle(now: number): boolean {
    return now >= this.#quietUntil && this.#options.utilization(now) < this.#options.maxUtilization
  }
}

interface Runner<A, E> {
  readonly scope: CancelScope
  readonly fiber: Fiber.Fiber<A, E>
  exit: Exit.Exit<A, E> | undefined
}

/** How long the winner waits for the cleanup of the loser. */
const cleanupMs = 1000

/**
 * Runs the effect, and a second time beside it when the first takes longer than `afterMs` and
 * `may` agrees. The first success wins; the loser is interrupted and waited for, at most a second:
 * what takes longer is told in the log and keeps its slot until it ends. A failure ends it at once
 * unless the other one still runs. What cannot be interrupted runs once.
 */
export const hedged = <A, E, R>(
  attempt: (second: boolean) => Effect.Effect<A, E, R>,
  afterMs: number,
  may: (now: number) => boolean,
): Effect.Effect<A, E, R> =>
  // In a finalizer nobody interrupts the calls when its time is over, so they must know where they are
  // to end their waits by themselves; fibers of their own would not.
  Effect.uninterruptibleMask((restore) =>
    restore === identity ? attempt(false) : restore(race(attempt, afterMs, may))
  )

const race = <A, E, R>(
  attempt: (second: boolean) => Effect.Effect<A, E, R>,
  afterMs: number,
  may: (now: number) => boolean,
): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) => {
    const outer = frameOf(fiber)
    const clock = fiber.getRef(Clock.Clock)
    return Effect.callback<A, E, R>((resume) => {
      const timers = timersOf(clock)
      let timer: Timer | undefined
      let second: Runner<A, E> | undefined
      let finished = false
      const start = (which: boolean): Runner<A, E> => {
        const scope = new CancelScope(outer, outer.deadline, outer.task, outer.tickets, undefined)
        const child = fork(
          Context.add(fiber.context, CurrentScope, scope),
          shallow(attempt(which)) as Effect.Effect<A, E>,
        )
        return { scope, fiber: child, exit: child.pollUnsafe() }
      }
      const finish = (exit: Exit.Exit<A, E>) => {
        if (finished) return
        finished = true
        if (timer !== undefined) timers.cancel(timer)
        resume(exit)
      }
      const ended = (own: Runner<A, E>, other: Runner<A, E> | undefined) => {
        if (finished) return
        const exit = own.exit!
        if (other === undefined) return finish(exit)
        if (exit._tag === "Failure") {
          // The one that failed first says why.
          if (other.exit?._tag === "Failure") finish(other.exit)
          return
        }
        if (other.exit !== undefined) return finish(exit)
        const reason = CancelReason.Requested("Hedge", "the other call was quicker")
        other.scope.cancel(reason)
        interrupt(other.fiber, fiber.id, CancelReason.annotations(reason))
        const late = timers.schedule(clock.currentTimeMillisUnsafe() + cleanupMs, () => {
          fork(fiber.context, leftBehind).addObserver(() => {})
          finish(exit)
        })
        other.fiber.addObserver((loser) => {
          timers.cancel(late)
          if (Exit.isFailure(loser) && Cause.hasDies(loser.cause)) {
            fork(fiber.context, Effect.logError(died, loser.cause)).addObserver(() => {})
          }
          inTurn(() => finish(exit))
        })
      }
      const observe = (own: Runner<A, E>, other: () => Runner<A, E> | undefined) =>
        own.fiber.addObserver((exit) => {
          own.exit = exit
          inTurn(() => ended(own, other()))
        })
      const first = start(false)
      if (first.exit !== undefined) return finish(first.exit)
      timer = timers.schedule(clock.currentTimeMillisUnsafe() + afterMs, () => {
        timer = undefined
        if (finished || !may(clock.currentTimeMillisUnsafe())) return
        second = start(true)
        observe(second, () => first)
      })
      observe(first, () => second)
      return Effect.suspend(() => {
        finished = true
        if (timer !== undefined) timers.cancel(timer)
        const reason = outer.effectiveReason()
        const why = reason === undefined ? undefined : CancelReason.annotations(reason)
        interrupt(first.fiber, fiber.id, why)
        if (second === undefined) return done(first.fiber)
        interrupt(second.fiber, fiber.id, why)
        return Effect.ensuring(done(first.fiber), done(second.fiber))
      })
    })
  })

const leftBehind = Effect.logWarning(
  `A hedged call that lost has not ended ${cleanupMs} ms after its interrupt. It keeps its slot ` +
    "until it does. Look for a finalizer that waits without a timeout.",
)

const died = "A hedged call that lost has died in its cleanup; this is a bug in it."

/** Waits for its cleanup, and fails with what that died of. */
const done = (fiber: Fiber.Fiber<unknown, unknown>): Effect.Effect<void> =>
  Effect.callback((resume) => {
    fiber.addObserver((exit) => inTurn(() => resume(defectsOf(exit))))
  })
