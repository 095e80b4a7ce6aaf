/**
 * A circuit breaker: leaves a dependency alone while it fails, and finds out when it no longer does.
 *
 * **Details** – *Bounded by* a window of ten buckets or of so many calls, and by the number of its
 * probes; *owned by* a scope; *seen in* `/saturation`, where half-open it has places and open none.
 *
 * @module
 */
import type { Exit, Schedule } from "effect"
import { Clock, type Duration, Effect, type Scope, type Stream } from "effect"
import type { Bounded } from "../bounded/Bounded.ts"
import { fromRefusal, type Refused } from "../bounded/Refused.ts"
import * as Saturation from "../bounded/Saturation.ts"
import {
  CircuitBound,
  type Listeners,
  makeCircuit,
  outcomeOf,
  type State,
  stateOf,
  tell,
  type Transition,
  transitionsOf,
} from "./breaking.ts"
import { type Circuit, type Outcome, refused } from "./circuit.ts"

export type { State, Transition } from "./breaking.ts"
export type { Outcome, Phase } from "./circuit.ts"

/**
 * A circuit breaker.
 *
 * @category models
 * @since 0.1.0
 */
export interface Breaker {
  /** Its name among the bounded things of the service. */
  readonly name: string
  /** The synchronous side: statistics and prediction. */
  readonly bounded: Bounded
  /**
   * Runs the effect unless the dependency is being left alone, and notes how it ends.
   *
   * **Details** – `classify` says what an exit means; by default a success is one, a failure or a
   * defect is a failure, and `ignored` is what says nothing about the dependency: a cancel of any
   * kind, and every `Refused` of ours. The outcome of a call that began in an earlier phase changes
   * nothing.
   *
   * **Fails with** – `Refused` with the reason `BreakerOpen`, without running the effect.
   *
   * **Interruption** – interrupts the effect; its outcome is `ignored`, and a probe's place is free
   * again.
   */
  readonly use: <A, E, R>(
    effect: Effect.Effect<A, E, R>,
    classify?: (exit: Exit.Exit<A, E>) => Outcome,
  ) => Effect.Effect<A, E | Refused, R>
  /** Whether it is open; `now` in absolute milliseconds. */
  readonly isOpen: (now: number) => boolean
  /** A picture of it now. */
  readonly state: Effect.Effect<State>
  /**
   * Its changes of phase from now on. A phase that the time alone ends is noticed when somebody
   * calls or looks, but carries the instant at which it ended. A subscriber that is 64 behind loses
   * the oldest ones.
   */
  readonly transitions: Stream.Stream<Transition>
}

/**
 * When a circuit opens and how it closes again.
 *
 * @category models
 * @since 0.1.0
 */
export interface Settings {
  /**
   * The calls that are looked at: those of the last so much time (exact to a tenth of it), or the
   * last so many. Default 10 seconds: with little traffic, a number of calls would be old news.
   */
  readonly window?: Duration.Input | { readonly calls: number } | undefined
  /** With fewer calls in the window it stays closed. Default 20: below that, chance decides. */
  readonly minimumCalls?: number | undefined
  /** Opens at this share of failures, above 0 and up to 1. Default 0.5. */
  readonly failureRate?: number | undefined
  /** A call that takes longer is slow. Default: none is; only you know what slow means here. */
  readonly slowAfter?: Duration.Input | undefined
  /** Opens at this share of slow calls, above 0 and up to 1. Default 0.8. */
  readonly slowRate?: number | undefined
  /**
   * How long it stays open; of a schedule, its n-th delay for the n-th opening in a row, of which the
   * 16th repeats. Default 1, 2, 4, 8, 16, then 30 seconds: a short fault costs a second, a long one
   * few probes. It begins anew once the circuit has been closed for as long as it was last open.
   */
  readonly openFor?: Duration.Input | Schedule.Schedule<unknown, unknown> | undefined
  /**
   * An opening lasts between `1 - jitter` and 1 times that, so that many clients do not come back at
   * once. From 0 to 1. Default 0.2.
   */
  readonly jitter?: number | undefined
  /** Calls that are let through half-open, in all; their rates decide. Default 3. */
  readonly probes?: number | undefined
  /**
   * How long probes may be in flight before the circuit opens again: one that never answers must not
   * keep it half-open. Default 10 seconds.
   */
  readonly probeTimeout?: Duration.Input | undefined
}

/**
 * Options of {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Settings {
  /** Unique among the bounded things of the service. */
  readonly name: string
}

/**
 * Makes a breaker and registers it in `Saturation` until the scope closes.
 *
 * **Details** – not for your own pool: a pool that is full is no reason to use it less. Put a timeout
 * inside, so that a call that hangs has an outcome.
 *
 * **Fails with** – nothing; dies with one sentence when an option is invalid or the name is taken.
 *
 * **Interruption** – does not wait.
 *
 * @example After two failures of two calls, the third is not made
 * ```ts
 * import { Effect } from "effect"
 * import { Breaker } from "@weir/runtime"
 * import { deepStrictEqual } from "node:assert/strict"
 *
 * const program = Effect.gen(function* () {
 *   const breaker = yield* Breaker.make({ name: "prices", minimumCalls: 2 })
 *   const call = Effect.flip(breaker.use(Effect.fail("down" as const)))
 *   const answers = [yield* call, yield* call, yield* call]
 *   return answers.map((answer) => answer === "down" ? answer : answer.reason)
 * })
 *
 * deepStrictEqual(await Effect.runPromise(Effect.scoped(program)), ["down", "down", "BreakerOpen"])
 * ```
 *
 * @see resilience4j, whose windows and rates these are; its issue 903 and opossum's 385 for the rest
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): Effect.Effect<Breaker, never, Scope.Scope> =>
  Effect.suspend(() => {
    const listeners: Listeners = new Set()
    const { name } = options
    return Effect.flatMap(
      makeCircuit(`Cannot make the breaker "${name}"`, options, tell(name, listeners)),
      (circuit) => {
        const self = new Impl(name, circuit, options.probes ?? 3, listeners)
        return Effect.as(Saturation.register(self.bounded), self)
      },
    )
  })

// Effect's CircuitBreaker (effect/persistence) was looked at first: it has generations and schedules
// too, but counts calls only, never time; knows no slow call; lets one probe through, without a limit
// on its time; waits for its probe's classification; and costs 6 to 11 µs a call.
class Impl implements Breaker {
  readonly name: string
  readonly bounded: CircuitBound
  readonly transitions: Stream.Stream<Transition>
  readonly #circuit: Circuit

  constructor(name: string, circuit: Circuit, probes: number, listeners: Listeners) {
    this.name = name
    this.#circuit = circuit
    this.bounded = new CircuitBound(name, circuit, probes)
    this.transitions = transitionsOf(listeners)
  }

  readonly use = <A, E, R>(
    effect: Effect.Effect<A, E, R>,
    classify: (exit: Exit.Exit<A, E>) => Outcome = outcomeOf,
  ): Effect.Effect<A, E | Refused, R> =>
    // Uninterruptible from the token to the frame that settles it.
    Effect.uninterruptibleMask((restore) =>
      Effect.withFiber((fiber) => {
        const clock = fiber.getRef(Clock.Clock)
        const now = clock.currentTimeMillisUnsafe()
        const token = this.#circuit.enter(now)
        if (token === refused) return Effect.fail(fromRefusal(this.bounded.refusal(now)))
        return Effect.onExitPrimitive(restore(effect), (exit) => {
          const end = clock.currentTimeMillisUnsafe()
          let outcome: Outcome = "ignored"
          try {
            // A cancel, and a refusal of ours, are nobody's failure, whatever the classifier says.
            if (outcomeOf(exit) !== "ignored") outcome = classify(exit)
          } finally {
            this.#circuit.settle(token, end, outcome, end - now)
          }
          return undefined
        }, true)
      })
    )

  readonly isOpen = (now: number): boolean => this.#circuit.phase(now) === "open"

  readonly state: Effect.Effect<State> = Effect.map(
    Clock.currentTimeMillis,
    (now) => stateOf(this.#circuit, now),
  )
}
