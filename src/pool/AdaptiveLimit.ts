/**
 * A bulkhead that finds out by itself how much may run at once, for what you do not own.
 *
 * **Details** – *Bounded by* `max` and by its line; *owned by* a scope; *seen in* `/saturation`, where
 * its `capacity` is the limit of the moment.
 *
 * @module
 */
import type { Scope } from "effect"
import { Clock, type Duration, Effect, type Exit } from "effect"
import type { Bounded } from "../bounded/Bounded.ts"
import type { Refused } from "../bounded/Refused.ts"
import * as Saturation from "../bounded/Saturation.ts"
import { outcomeOf } from "./breaking.ts"
import type * as Bulkhead from "./Bulkhead.ts"
import { boundsOf, type Line, makeLine, overloaded, type Sample } from "./limitedline.ts"

/**
 * An adaptive limit.
 *
 * @category models
 * @since 0.1.0
 */
export interface AdaptiveLimit {
  /** Its name among the bounded things of the service. */
  readonly name: string
  /** The synchronous side: statistics, prediction, tickets. */
  readonly bounded: Bounded
  /**
   * Runs the effect in a slot, as `Bulkhead.use` does, and learns from it.
   *
   * **Details** – `dropped` says that an exit means "too much": the limit then shrinks. By default
   * that is a `DeadlineExceeded`, a timeout of Effect, and an error that asks for less (status 429 or
   * 503, or a field `retryAfterMs`). Other failures and cancels teach it nothing.
   *
   * **Fails with** – `Refused`: `QueueFull`, `Displaced`, `Infeasible`, `Late`, `Closed`.
   *
   * **Interruption** – as for `Bulkhead.use`: the slot comes back after the effect's finalizers.
   */
  readonly use: <A, E, R>(
    effect: Effect.Effect<A, E, R>,
    dropped?: (exit: Exit.Exit<A, E>) => boolean,
  ) => Effect.Effect<A, E | Refused, R>
  /** A picture of it now. */
  readonly stats: Effect.Effect<Stats>
}

/**
 * The statistics of a bulkhead, whose `capacity` is the limit of the moment, and what it learned.
 *
 * @category models
 * @since 0.1.0
 */
export interface Stats extends Bulkhead.Stats {
  /** Latency without a queue at the other side, in milliseconds; 0 while unknown. */
  readonly baselineMs: number
}

/**
 * The bounds of a limit that learns.
 *
 * @category models
 * @since 0.1.0
 */
export interface Settings {
  /**
   * The limit at the start. Default 10: too low is found out within a second, too high queues at the
   * other side until its own latency without a queue is known.
   */
  readonly initial?: number | undefined
  /** Never below. An integer, at least 1. Default 1: a small pool deserves protection too. */
  readonly min?: number | undefined
  /** Never above. Default 200. */
  readonly max?: number | undefined
}

/**
 * Options of {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Settings {
  /** Unique among the bounded things of the service; policies name it under `uses`. */
  readonly name: string
  /** Places in line. Default 256; work that cannot end in time is refused long before. */
  readonly queueCapacity?: number | undefined
  /** Service time to assume before anything is known. Default: unknown. */
  readonly expected?: Duration.Input | undefined
  /** Longest wait in line, whatever the deadline. Default 30 seconds. */
  readonly maxWait?: Duration.Input | undefined
  /** Chance of being late above which work is refused, as of a bulkhead. Default 0.001. */
  readonly risk?: number | undefined
}

/**
 * Makes an adaptive limit and registers it in `Saturation` until the scope closes.
 *
 * **Details** – while it is in force the limit alternates between two values, 20 % apart. If latency
 * grows as much as the concurrency does, the other side only queues, and the limit shrinks until
 * little queue is left; if it does not, there is room, and it grows by a fifth. So it follows what
 * adds throughput, not the quickest latency ever seen: a service that became slower by itself keeps
 * its limit. A window takes 100 ms or a round trip, whichever is longer; in simulations of
 * overload it kept 97 to 100 % of a dependency's throughput at 1.1 to 1.8 times its latency. Nothing
 * is refused in order to measure.
 *
 * For a pool of your own use a `Bulkhead`: its capacity is known.
 *
 * **Fails with** – nothing; dies with one sentence when an option is invalid or the name is taken.
 *
 * **Interruption** – does not wait.
 *
 * @see docs/decisions/0009-adaptive-limit.md for what it was compared with
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): Effect.Effect<AdaptiveLimit, never, Scope.Scope> =>
  Effect.suspend(() => {
    const { expected, maxWait, name, risk } = options
    const adaptive = boundsOf(`Cannot make the adaptive limit "${name}"`, options)
    const queueCapacity = options.queueCapacity ?? 256
    const line = makeLine({
      name,
      kind: "adaptive limit",
      capacity: adaptive.initial,
      queueCapacity,
      expected,
      maxWait,
      risk,
    }, adaptive)
    return Effect.flatMap(
      line,
      (line) => Effect.as(Saturation.register(line.slots), new Impl(name, line)),
    )
  })

class Impl implements AdaptiveLimit {
  readonly name: string
  readonly bounded: Bounded
  readonly #line: Line

  constructor(name: string, line: Line) {
    this.name = name
    this.bounded = line.slots
    this.#line = line
  }

  readonly use = <A, E, R>(
    effect: Effect.Effect<A, E, R>,
    dropped: (exit: Exit.Exit<A, E>) => boolean = overloaded,
  ): Effect.Effect<A, E | Refused, R> =>
    this.#line.use(effect, {
      begun: () => undefined,
      ended: (_now, _elapsed, exit): Sample => {
        if (exit._tag === "Success") return "completed"
        return outcomeOf(exit) === "failure" && dropped(exit as Exit.Exit<A, E>)
          ? "dropped"
          : "other"
      },
    })

  readonly stats: Effect.Effect<Stats> = Effect.map(Clock.currentTimeMillis, (now) => ({
    ...this.#line.slots.stats(now),
    baselineMs: this.#line.climbing?.baseline ?? 0,
  }))
}
