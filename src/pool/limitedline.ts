import { Cause, Clock, Effect, type Exit, type Scope } from "effect"
import * as Saturation from "../bounded/Saturation.ts"
import { fromRefusal, type Refusal, type Refused } from "../bounded/Refused.ts"
import { Mistake } from "../internal/mistake.ts"
import { DeadlineExceeded } from "../task/Deadline.ts"
import * as Bulkhead from "./Bulkhead.ts"
import { Climbing, type ClimbingOptions } from "./climbing.ts"
import { hintOf } from "./hints.ts"
import type { Slots } from "./slots.ts"

/** What the end of a call says about its limit; `other` says nothing. */
export type Sample = "completed" | "dropped" | "other"

/** Whoever looks at a call in its slot. Its methods must not throw. */
export interface Watch {
  /** Says why not, if it must not begin after all. */
  begun(now: number): Refusal | undefined
  ended(now: number, elapsedMs: number, exit: Exit.Exit<unknown, unknown>): Sample
}

/** A bulkhead whose number of slots may be found out by itself. */
export class Line {
  readonly slots: Slots
  readonly climbing: Climbing | undefined
  readonly #bulkhead: Bulkhead.Bulkhead

  constructor(bulkhead: Bulkhead.Bulkhead, climbing: Climbing | undefined) {
    this.#bulkhead = bulkhead
    // What every bulkhead has; its public type says less.
    this.slots = bulkhead.bounded as Slots
    this.climbing = climbing
  }

  /** Runs the effect in a slot, waiting for one if need be. */
  use<A, E, R>(effect: Effect.Effect<A, E, R>, watch: Watch): Effect.Effect<A, E | Refused, R> {
    return this.#bulkhead.use(Effect.withFiber<A, E | Refused, R>((fiber) => {
      const clock = fiber.getRef(Clock.Clock)
      const since = clock.currentTimeMillisUnsafe()
      const inFlight = this.climbing === undefined ? 0 : this.slots.inUse
      // Milliseconds would teach it nothing of a latency below one.
      const began = this.climbing === undefined ? none : clock.monotonicTimeNanosUnsafe()
      const refusal = watch.begun(since)
      if (refusal !== undefined) return Effect.fail(fromRefusal(refusal))
      return Effect.onExitPrimitive(effect, (exit) => {
        const now = clock.currentTimeMillisUnsafe()
        const sample = watch.ended(now, now - since, exit)
        if (this.climbing !== undefined && sample !== "other") {
          const elapsed = Number(clock.monotonicTimeNanosUnsafe() - began) / 1e6
          this.#learn(this.climbing, now, elapsed, inFlight, sample === "dropped")
        }
        return undefined
      })
    }))
  }

  #learn(
    climbing: Climbing,
    now: number,
    elapsedMs: number,
    inFlight: number,
    dropped: boolean,
  ): void {
    climbing.onSample(now, elapsedMs, inFlight, dropped)
    this.slots.adapt(climbing.limit, climbing.sure, now)
  }
}

const none = BigInt(0)

/** Makes a line that nobody else sees: whoever has it shows it under its own name. */
export const makeLine = (
  options: Bulkhead.Options,
  adaptive: ClimbingOptions | undefined,
): Effect.Effect<Line, never, Scope.Scope> =>
  Effect.map(
    Effect.provideService(
      Bulkhead.make(options),
      Saturation.Saturation,
      Saturation.makeUnsafe(),
    ),
    (bulkhead) => new Line(bulkhead, adaptive && new Climbing(adaptive)),
  )

/** Checks the bounds of a limit that learns; throws a sentence when they make no sense. */
export const boundsOf = (
  what: string,
  settings: { readonly [K in keyof ClimbingOptions]?: number | undefined },
): ClimbingOptions => {
  const { max = 200, min = 1 } = settings
  const initial = settings.initial ?? Math.min(max, Math.max(min, 10))
  const whole = [initial, min, max].every(Number.isSafeInteger)
  if (whole && min >= 1 && min <= initial && initial <= max) return { initial, min, max }
  throw new Mistake(
    `${what}: min is ${min}, initial ${initial} and max ${max}. Use integers with ` +
      "1 <= min <= initial <= max.",
  )
}

/** Whether a failure says that it was too much. */
export const overloaded = (exit: Exit.Exit<unknown, unknown>): boolean =>
  exit._tag === "Failure" && exit.cause.reasons.some((reason) =>
    reason._tag === "Fail" &&
    (reason.error instanceof DeadlineExceeded || Cause.isTimeoutError(reason.error) ||
      hintOf(reason.error, 0).pushback === true)
  )
