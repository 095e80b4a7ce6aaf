/**
 * Sends less to a dependency that refuses: a call that would be refused there costs it almost as much
 * as one that it serves.
 *
 * **Details** – *Bounded by* 24 buckets of counts; *owned by* whoever made it; *seen in* its own
 * statistics, and in those of the `Dependency` that has one.
 *
 * @module
 */
import type { Exit } from "effect"
import { Clock, type Duration, Effect, Random } from "effect"
import { fromRefusal, type Refusal, type Refused } from "../bounded/Refused.ts"
import { outcomeOf } from "./breaking.ts"
import { makeShare, type Share } from "./share.ts"

/**
 * A picture of a throttle.
 *
 * @category models
 * @since 0.1.0
 */
export interface Stats {
  /** Chance that the next call is refused, from 0 to the cap. */
  readonly chance: number
  /** Calls that were refused, since it was made. */
  readonly refused: number
}

/**
 * A throttle.
 *
 * @category models
 * @since 0.1.0
 */
export interface Throttle {
  /** Its name in refusals. */
  readonly name: string
  /**
   * Runs the effect, or refuses it, with a chance that grows with the share of calls that were not
   * accepted.
   *
   * **Details** – `accepted` says whether the dependency took the call, by default unless it failed.
   * Cancelled calls and those refused by something of ours are not counted.
   *
   * **Fails with** – `Refused` with the reason `Throttled`, without running the effect.
   *
   * **Interruption** – interrupts the effect, and counts nothing.
   */
  readonly use: <A, E, R>(
    effect: Effect.Effect<A, E, R>,
    accepted?: (exit: Exit.Exit<A, E>) => boolean,
  ) => Effect.Effect<A, E | Refused, R>
  /** A picture of it now. */
  readonly stats: Effect.Effect<Stats>
}

/**
 * How a throttle decides.
 *
 * @category models
 * @since 0.1.0
 */
export interface Settings {
  /**
   * Calls sent per call that is accepted, before any are refused here. Default 2: half of what is
   * sent may be refused there before anything is held back, so that a recovery is noticed at once;
   * 1.1 is stricter. Above 1.
   */
  readonly k?: number | undefined
  /**
   * What is remembered. Default 10 seconds, like the window of a breaker. The two minutes of the SRE
   * book suit thousands of calls a second: with few, a dependency that is well again would be sent a
   * quarter of its calls for another minute.
   */
  readonly window?: Duration.Input | undefined
  /** With fewer calls in the window nothing is refused. Default 20: below that, chance decides. */
  readonly minimumCalls?: number | undefined
  /** Largest chance of a refusal. Default 0.9: whoever sends nothing does not learn that it is over. */
  readonly cap?: number | undefined
}

/**
 * Options of {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Settings {
  /** What it is called in refusals. */
  readonly name: string
}

/**
 * Makes a throttle.
 *
 * **Fails with** – nothing; dies with one sentence when an option is invalid.
 *
 * **Interruption** – does not wait.
 *
 * @example A dependency that refuses everything gets a tenth of the calls
 * ```ts
 * import { Effect } from "effect"
 * import { Throttle } from "@weir/runtime"
 * import { ok } from "node:assert/strict"
 *
 * const program = Effect.gen(function* () {
 *   const throttle = yield* Throttle.make({ name: "prices" })
 *   let sent = 0
 *   const call = throttle.use(Effect.suspend(() => {
 *     sent++
 *     return Effect.fail("429")
 *   }))
 *   for (let i = 0; i < 1000; i++) yield* Effect.ignore(call)
 *   return sent
 * })
 *
 * ok(await Effect.runPromise(program) < 200)
 * ```
 *
 * @see https://sre.google/sre-book/handling-overload/
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): Effect.Effect<Throttle> =>
  Effect.sync(() =>
    new Impl(options.name, makeShare(`Cannot make the throttle "${options.name}"`, options))
  )

class Impl implements Throttle {
  readonly name: string
  readonly #share: Share

  constructor(name: string, share: Share) {
    this.name = name
    this.#share = share
  }

  readonly use = <A, E, R>(
    effect: Effect.Effect<A, E, R>,
    accepted?: (exit: Exit.Exit<A, E>) => boolean,
  ): Effect.Effect<A, E | Refused, R> =>
    Effect.withFiber((fiber) => {
      const clock = fiber.getRef(Clock.Clock)
      const random = fiber.getRef(Random.Random).nextDoubleUnsafe()
      const now = clock.currentTimeMillisUnsafe()
      if (!this.#share.admit(now, random)) return Effect.fail(fromRefusal(throttled(this.name)))
      return Effect.onExitPrimitive(effect, (exit) => {
        const outcome = outcomeOf(exit)
        if (outcome !== "ignored") {
          const taken = accepted === undefined ? outcome === "success" : accepted(exit)
          this.#share.ended(clock.currentTimeMillisUnsafe(), taken)
        }
        return undefined
      })
    })

  readonly stats: Effect.Effect<Stats> = Effect.map(Clock.currentTimeMillis, (now) => ({
    chance: this.#share.chance(now),
    refused: this.#share.refusals,
  }))
}

const throttled = (name: string): Refusal => ({
  _tag: "Refusal",
  reason: "Throttled",
  kind: "throttle",
  resource: name,
  inUse: 0,
  capacity: 0,
  waiting: 0,
  predictedWaitMs: 0,
  retryAfterMs: 1000,
})
