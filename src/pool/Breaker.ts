/**
 * A circuit breaker: leaves a dependency alone while it fails, and finds out when it no longer does.
 *
 * **Details** – *Bounded by* a window of ten buckets or of so many calls, and by the number of its
 * probes; *owned by* a scope; *seen in* `/saturation`, where half-open it has places and open none.
 *
 * @module
 */
import type { Exit } from "effect"
import { Clock, Effect, type Scope, type Stream } from "effect"
import type { Bounded } from "../bounded/Bounded.ts"
import { fromRefusal, type Refused } from "../bounded/Refused.ts"
import * as Saturation from "../bounded/Saturation.ts"
import {
  CircuitBound,
  type Listeners,
  makeCircuit,
  outcomeOf,
  type Settings,
  type State,
  stateOf,
  tell,
  type Transition,
  transitionsOf,
} from "./breaking.ts"
import { type Circuit, type Outcome, refused } from "./circuit.ts"

export type { Settings, State, Transition } from "./breaking.ts"
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
