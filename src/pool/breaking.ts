import { Duration, Effect, type Exit, Queue, Random, Schedule, Stream } from "effect"
import type { Bounded, Request, Stats, Ticket } from "../bounded/Bounded.ts"
import { counters, isOwn, type Refusal } from "../bounded/Refused.ts"
import { durationMs } from "../internal/setting.ts"
import { Mistake } from "../internal/mistake.ts"
import { Circuit, type CircuitOptions, type Outcome, type Phase } from "./circuit.ts"

/** Openings in a row that differ in length; the last one repeats. */
const openings = 16

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
  /**
   * Opens at this share of failures, above 0 and up to 1. Default 0.5. It is looked at when a call has
   * failed or was slow: a good call never opens it.
   */
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

/** Checks the settings, and makes the circuit. Dies with a sentence when one makes no sense. */
export const makeCircuit = (
  what: string,
  settings: Settings,
  onTransition: (from: Phase, to: Phase, at: number) => void,
): Effect.Effect<Circuit> =>
  Effect.withFiber((fiber) =>
    Effect.map(lengths(what, settings.openFor), (openMs) => {
      const chance = fiber.getRef(Random.Random)
      const options: CircuitOptions = {
        window: windowOf(what, settings.window ?? "10 seconds"),
        minimumCalls: whole(what, "minimumCalls", settings.minimumCalls ?? 20),
        failureRate: share(what, "failureRate", settings.failureRate ?? 0.5),
        slowAfterMs: positive(what, "slowAfter", settings.slowAfter ?? Duration.infinity),
        slowRate: share(what, "slowRate", settings.slowRate ?? 0.8),
        openMs,
        jitter: settings.jitter ?? 0.2,
        probes: whole(what, "probes", settings.probes ?? 3),
        probeMs: positive(what, "probeTimeout", settings.probeTimeout ?? "10 seconds"),
        random: () => chance.nextDoubleUnsafe(),
        onTransition,
      }
      if (!(options.jitter >= 0 && options.jitter <= 1)) {
        throw new Mistake(`${what}: jitter is ${options.jitter}. Use a number from 0 to 1.`)
      }
      const { minimumCalls, window } = options
      if ("calls" in window && minimumCalls > window.calls) {
        throw new Mistake(
          `${what}: minimumCalls is ${minimumCalls}, but the window has only ${window.calls} calls, ` +
            "so it would never open. Use at most that many.",
        )
      }
      return new Circuit(options)
    })
  )

const windowOf = (what: string, window: NonNullable<Settings["window"]>) => {
  if (typeof window === "object" && "calls" in window) {
    return { calls: whole(what, "window.calls", window.calls) }
  }
  const ms = positive(what, "window", window as Duration.Input)
  if (ms === Infinity) throw new Mistake(`${what}: window is infinite. Use a finite one.`)
  return { ms }
}

const whole = (what: string, name: string, value: number): number => {
  if (Number.isSafeInteger(value) && value >= 1 && value <= 1_000_000) return value
  throw new Mistake(`${what}: ${name} is ${value}. Use an integer of at least 1.`)
}

const share = (what: string, name: string, value: number): number => {
  if (value > 0 && value <= 1) return value
  throw new Mistake(`${what}: ${name} is ${value}. Use a number above 0 and up to 1, such as 0.5.`)
}

const positive = (what: string, name: string, input: Duration.Input): number => {
  const ms = durationMs(`${what}: ${name}`, input)
  if (ms > 0) return ms
  throw new Mistake(`${what}: ${name} is not a positive duration.`)
}

/**
 * The first lengths of a schedule: a circuit decides synchronously, and a schedule is an effect. Its
 * clock is that of the openings, so that limits of elapsed time measure the time spent open.
 */
const lengths = (
  what: string,
  openFor: Settings["openFor"],
): Effect.Effect<ReadonlyArray<number>> => {
  if (openFor !== undefined && !Schedule.isSchedule(openFor)) {
    return Effect.sync(() => [positive(what, "openFor", openFor as Duration.Input)])
  }
  const schedule = openFor as Schedule.Schedule<unknown, unknown> | undefined
  if (schedule === undefined) {
    return Effect.succeed([1, 2, 4, 8, 16, 30].map((seconds) => seconds * 1000))
  }
  return Effect.gen(function* () {
    const step = yield* Schedule.toStep(schedule)
    const all: Array<number> = []
    let now = 0
    while (all.length < openings) {
      const next = yield* Effect.exit(step(now, undefined))
      if (next._tag === "Failure") break
      const ms = Duration.toMillis(next.value[1])
      if (!(ms > 0 && ms < Infinity)) break
      all.push(ms)
      now += ms
    }
    if (all.length > 0) return all
    throw new Mistake(
      `${what}: openFor is a schedule without a first positive delay. Use one such as ` +
        'Schedule.exponential("1 second").',
    )
  })
}

/** What a breaker has in common with other bounded things: half-open it has places, open none. */
export class CircuitBound implements Bounded {
  readonly kind = "breaker"
  readonly name: string
  readonly #circuit: Circuit
  readonly #probes: number

  constructor(name: string, circuit: Circuit, probes: number) {
    this.name = name
    this.#circuit = circuit
    this.#probes = probes
  }

  stats(now: number): Stats {
    return {
      kind: this.kind,
      name: this.name,
      capacity: this.#probes,
      inUse: this.#circuit.pending,
      waiting: 0,
      queueCapacity: 0,
      highWater: 0,
      oldestWaitMs: 0,
      predictedWaitMs: this.predict(now),
      refused: { ...counters(), BreakerOpen: this.#circuit.refusals },
    }
  }

  predict(now: number): number {
    return this.#circuit.opensIn(now)
  }

  /** There is no line, so a ticket only says that a call would be let through now. */
  reserve({ now }: Request): Ticket | Refusal {
    if (this.#circuit.opensIn(now) === 0) {
      return { bounded: this, open: false, release: () => {} }
    }
    this.#circuit.refusals++
    return this.refusal(now)
  }

  refusal(now: number): Refusal {
    const wait = this.#circuit.opensIn(now)
    return {
      _tag: "Refusal",
      reason: "BreakerOpen",
      kind: this.kind,
      resource: this.name,
      inUse: this.#circuit.pending,
      capacity: this.#probes,
      waiting: 0,
      predictedWaitMs: wait,
      retryAfterMs: Math.max(1, wait),
    }
  }
}

/**
 * What the exit of a call says about the dependency, unless its user knows better: a refusal of ours
 * never reached it, and a call that was cancelled was not given the time to answer.
 */
export const outcomeOf = (exit: Exit.Exit<unknown, unknown>): Outcome => {
  if (exit._tag === "Success") return "success"
  let outcome: Outcome = "ignored"
  for (const reason of exit.cause.reasons) {
    if (reason._tag === "Interrupt") return "ignored"
    if (reason._tag === "Die" || !isOwn(reason.error)) outcome = "failure"
  }
  return outcome
}

/**
 * One change of phase; `at` in absolute milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface Transition {
  /** Name of the breaker. */
  readonly breaker: string
  /** Phase before. */
  readonly from: Phase
  /** Phase now. */
  readonly to: Phase
  /** When. */
  readonly at: number
}

/**
 * A picture of a breaker.
 *
 * @category models
 * @since 0.1.0
 */
export interface State {
  /** `closed`: calls run. `open`: none does. `half-open`: a few do, to find out. */
  readonly phase: Phase
  /** Share of failures among the calls in the window, from 0 to 1. */
  readonly failureRate: number
  /** Share of slow calls, likewise. */
  readonly slowRate: number
  /** Calls in the window. */
  readonly calls: number
  /** Calls that were refused, since it was made. */
  readonly refused: number
  /** Milliseconds until a call may be let through; 0 when one may now. */
  readonly opensInMs: number
}

/** Who is told of transitions. */
export type Listeners = Set<(transition: Transition) => void>

/** Tells all listeners of each transition. */
export const tell =
  (breaker: string, listeners: Listeners) => (from: Phase, to: Phase, at: number): void => {
    for (const listener of listeners) listener({ breaker, from, to, at })
  }

/** The transitions as a stream, bounded for each subscriber. */
export const transitionsOf = (listeners: Listeners): Stream.Stream<Transition> =>
  Stream.callback<Transition>((queue) =>
    Effect.acquireRelease(
      Effect.sync(() => {
        const listener = (transition: Transition) => void Queue.offerUnsafe(queue, transition)
        listeners.add(listener)
        return listener
      }),
      (listener) => Effect.sync(() => listeners.delete(listener)),
    ), { bufferSize: 64, strategy: "sliding" })

/** A picture of a circuit. */
export const stateOf = (circuit: Circuit, now: number): State => {
  const { calls, failure, slow } = circuit.rates(now)
  return {
    phase: circuit.phase(now),
    failureRate: failure,
    slowRate: slow,
    calls,
    refused: circuit.refusals,
    opensInMs: circuit.opensIn(now),
  }
}
