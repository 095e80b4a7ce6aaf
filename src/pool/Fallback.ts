/**
 * Something less instead of nothing: the answer says in its type whether it is full, stale or
 * degraded.
 *
 * **Details** – *Bounded by* the number of values that are kept; *owned by* a scope; *seen in*
 * `/saturation`, where its `capacity` is that number.
 *
 * @module
 */
import type { Scope } from "effect"
import { Cause, Clock, type Duration, Effect } from "effect"
import type { Bounded } from "../bounded/Bounded.ts"
import { Quota } from "../bounded/quota.ts"
import { isOwn } from "../bounded/Refused.ts"
import * as Saturation from "../bounded/Saturation.ts"
import { Mistake } from "../internal/mistake.ts"
import { durationMs } from "../internal/setting.ts"

/**
 * The answer that was asked for.
 *
 * @category models
 * @since 0.1.0
 */
export interface Full<A> {
  /** Tells the three apart. */
  readonly _tag: "full"
  /** The answer. */
  readonly value: A
}

/**
 * The last good answer, and how old it is.
 *
 * @category models
 * @since 0.1.0
 */
export interface Stale<A> {
  /** Tells the three apart. */
  readonly _tag: "stale"
  /** What the answer was. */
  readonly value: A
  /** How long ago, in milliseconds. */
  readonly ageMs: number
  /** Why it is not the full one. */
  readonly why: Why
}

/**
 * Another answer, of another kind if need be.
 *
 * @category models
 * @since 0.1.0
 */
export interface Degraded<B> {
  /** Tells the three apart. */
  readonly _tag: "degraded"
  /** The other answer. */
  readonly value: B
  /** Why it is not the full one. */
  readonly why: Why
}

/**
 * Why an answer is not the full one.
 *
 * - `slow`: the predicted wait was too long, and nothing was spent on it.
 * - `open`: the breaker was open, and nothing was spent on it.
 * - `refused`: something of ours refused it, and nothing was spent on it.
 * - `failed`: it was tried.
 *
 * @category models
 * @since 0.1.0
 */
export type Why = "slow" | "open" | "refused" | "failed"

/**
 * One of the three.
 *
 * @category models
 * @since 0.1.0
 */
export type Answer<A, B = never> = Full<A> | Stale<A> | ([B] extends [never] ? never : Degraded<B>)

/**
 * What it says before anything is spent; made by {@link when}.
 *
 * @category models
 * @since 0.1.0
 */
export type When = (now: number) => Why | undefined

/**
 * When to do without something: `predictedWaitOver` that time, or while its breaker is open.
 *
 * **Details** – an open breaker predicts the time until it lets a call through, so `open` needs no
 * limit of its own; what is half-open is tried. `breaker: "ignore"` looks at the wait alone, which
 * then is that of the open breaker too.
 *
 * @category constructors
 * @since 0.1.0
 */
export const when = (
  target: Watched,
  condition: {
    readonly predictedWaitOver?: Duration.Input | undefined
    readonly breaker?: "open" | "ignore" | undefined
  } = {},
): When => {
  const { breaker = "open", predictedWaitOver } = condition
  const limit = predictedWaitOver === undefined
    ? Infinity
    : durationMs("Fallback.when: predictedWaitOver", predictedWaitOver)
  return (now) => {
    if (breaker === "open" && target.isOpen?.(now) === true) return "open"
    return limit < Infinity && target.bounded.predict(now) > limit ? "slow" : undefined
  }
}

/**
 * What can be watched: a `Dependency`, or anything with a predicted wait, such as a `Bulkhead`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Watched {
  /** Its synchronous side. */
  readonly bounded: Bounded
  /** Whether its breaker is open; `now` in absolute milliseconds. */
  readonly isOpen?: ((now: number) => boolean) | undefined
}

/**
 * Where the last good value of one key is kept; made by {@link LastGood.of}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Kept<A> {
  /** The value and its age in milliseconds, unless it is too old or there is none. */
  readonly get: (now: number) => { readonly value: A; readonly ageMs: number } | undefined
  /** Keeps a value. */
  readonly set: (value: A, now: number) => void
}

/**
 * The last good values of many keys.
 *
 * @category models
 * @since 0.1.0
 */
export interface LastGood<K, A> {
  /** Its name among the bounded things of the service. */
  readonly name: string
  /** The synchronous side: `capacity` values fit, `inUse` are kept. */
  readonly bounded: Bounded
  /** The place of a key. */
  readonly of: (key: K) => Kept<A>
}

/**
 * Keeps the last good value of each key, and registers itself in `Saturation` until the scope closes.
 *
 * **Details** – `capacity` values at most, an integer of at least 1; the one that was set longest ago
 * makes room. None is used that is older than `maxAge` (default 5 minutes: the longest time for which
 * nobody has to be told that something is wrong). Keys are compared as in a `Map`.
 *
 * **Fails with** – nothing; dies with one sentence when an option is invalid or the name is taken.
 *
 * **Interruption** – does not wait.
 *
 * @category constructors
 * @since 0.1.0
 */
export const lastGood = <K, A>(options: {
  readonly name: string
  readonly capacity: number
  readonly maxAge?: Duration.Input | undefined
}): Effect.Effect<LastGood<K, A>, never, Scope.Scope> =>
  Effect.suspend(() => {
    const what = `Cannot make the fallback "${options.name}"`
    const maxAgeMs = durationMs(`${what}: maxAge`, options.maxAge ?? "5 minutes")
    if (!(maxAgeMs > 0)) throw new Mistake(`${what}: maxAge is not a positive duration.`)
    const store = new Store<K, A>(options.name, options.capacity, maxAgeMs)
    return Effect.as(Saturation.register(store.bounded), store)
  })

class Store<K, A> implements LastGood<K, A> {
  readonly name: string
  readonly bounded: Quota
  readonly #maxAgeMs: number
  readonly #values = new Map<K, { readonly value: A; readonly at: number }>()

  constructor(name: string, capacity: number, maxAgeMs: number) {
    this.name = name
    this.bounded = new Quota("fallback", name, capacity)
    this.#maxAgeMs = maxAgeMs
  }

  of(key: K): Kept<A> {
    const values = this.#values
    return {
      get: (now) => {
        const kept = values.get(key)
        if (kept === undefined) return undefined
        const ageMs = Math.max(0, now - kept.at)
        if (ageMs <= this.#maxAgeMs) return { value: kept.value, ageMs }
        values.delete(key)
        this.bounded.leave()
        return undefined
      },
      set: (value, now) => {
        if (!values.delete(key)) {
          // A Map keeps its keys in the order in which they were set.
          if (values.size < this.bounded.capacity) this.bounded.took()
          else values.delete(values.keys().next().value!)
        }
        values.set(key, { value, at: now })
      },
    }
  }
}

/**
 * What to answer instead.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<A, B, E2, R2> {
  /** What says, before anything is spent, that it is not worth it. Default: nothing. */
  readonly when?: When | undefined
  /** The last good value, preferred while it is not too old; a success is kept there. */
  readonly stale?: Kept<A> | undefined
  /** Another answer. */
  readonly degraded?: ((why: Why) => Effect.Effect<B, E2, R2>) | undefined
  /**
   * Which failures may be hidden. Default: all typed ones. One that says `error is X` takes `X` out of
   * the type as well.
   */
  readonly hides?: ((error: unknown) => boolean) | undefined
}

/** With another answer, nothing that may be hidden is left in the type. */
interface Answering<B, E2, R2> {
  readonly degraded: (why: Why) => Effect.Effect<B, E2, R2>
}

/**
 * Answers with less where the effect cannot answer, or not in time.
 *
 * **Details** – before the effect is run, `when` may say that it is not worth it; after a typed
 * failure there is no choice. Either way `stale` answers if it has a value, else `degraded`. Where
 * there is neither, the effect is run all the same, and its failure is passed on.
 *
 * Do not name a dependency under `uses` of an endpoint that can do without it: while its breaker is
 * open the endpoint would be refused at the door.
 *
 * **Fails with** – the errors of `degraded`; those of the effect that `hides` does not hide, and without
 * `degraded` all of them, as there may be no value in `stale`. A defect, and a cancel of the caller, are
 * never hidden; they come without the failures beside them that are.
 *
 * **Interruption** – interrupts what runs.
 *
 * @example The last good price while prices are away, else the list price
 * ```ts
 * import { Effect } from "effect"
 * import { Dependency, Fallback } from "@weir/runtime"
 * import { deepStrictEqual } from "node:assert/strict"
 *
 * const program = Effect.gen(function* () {
 *   const prices = yield* Dependency.make({ name: "prices" })
 *   const last = yield* Fallback.lastGood<string, number>({ name: "last prices", capacity: 1000 })
 *   const price = (sku: string, call: Effect.Effect<number, string>) =>
 *     prices.call(call).pipe(Fallback.orElse({
 *       when: Fallback.when(prices, { predictedWaitOver: "200 millis" }),
 *       stale: last.of(sku),
 *       degraded: () => Effect.succeed("ask in the shop"),
 *     }))
 *   const answers = [
 *     yield* price("a", Effect.succeed(7)),
 *     yield* price("a", Effect.fail("down")),
 *     yield* price("b", Effect.fail("down")),
 *   ]
 *   return answers.map((answer) => [answer._tag, answer.value])
 * })
 *
 * deepStrictEqual(await Effect.runPromise(Effect.scoped(program)), [
 *   ["full", 7],
 *   ["stale", 7],
 *   ["degraded", "ask in the shop"],
 * ])
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const orElse: {
  <A, B, E2 = never, R2 = never>(
    options: Options<A, B, E2, R2> & Answering<B, E2, R2> & { readonly hides?: undefined },
  ): <E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<Answer<A, B>, E2, R | R2>
  <A, B, H, E2 = never, R2 = never>(
    options: Options<A, B, E2, R2> & Answering<B, E2, R2> & {
      readonly hides: (error: unknown) => error is H
    },
  ): <E, R>(
    self: Effect.Effect<A, E, R>,
  ) => Effect.Effect<Answer<A, B>, Exclude<E, H> | E2, R | R2>
  <A, B = never, E2 = never, R2 = never>(
    options: Options<A, B, E2, R2>,
  ): <E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<Answer<A, B>, E | E2, R | R2>
} = answering

// A declaration, because what is exported uses it above.
function answering<A, B, E2, R2>(
  options: Options<A, B, E2, R2>,
): <E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<Answer<A, B>, E | E2, R | R2> {
  const { degraded, hides, stale } = options
  const instead = (why: Why, now: number): Effect.Effect<Answer<A, B>, E2, R2> | undefined => {
    const kept = stale?.get(now)
    if (kept !== undefined) return Effect.succeed({ _tag: "stale", ...kept, why })
    return degraded === undefined ? undefined : Effect.map(
      degraded(why),
      (value) => ({ _tag: "degraded", value, why }) as unknown as Answer<A, B>,
    )
  }
  return <E, R>(self: Effect.Effect<A, E, R>) =>
    Effect.withFiber<Answer<A, B>, E | E2, R | R2>((fiber) => {
      const clock = fiber.getRef(Clock.Clock)
      const now = clock.currentTimeMillisUnsafe()
      const why = options.when?.(now)
      return (why === undefined ? undefined : instead(why, now)) ??
        Effect.matchCauseEffect(self, {
          onSuccess: (value) => {
            stale?.set(value, clock.currentTimeMillisUnsafe())
            return Effect.succeed<Answer<A, B>>({ _tag: "full", value })
          },
          onFailure: (cause): Effect.Effect<Answer<A, B>, E | E2, R2> => {
            const failed = whyOf(cause, hides)
            if (failed === undefined) {
              return Effect.failCause(degraded === undefined ? cause : shown(cause, hides))
            }
            return instead(failed, clock.currentTimeMillisUnsafe()) ?? Effect.failCause(cause)
          },
        })
    })
}

/** What must not be hidden, without the failures beside it that are. */
const shown = <E>(cause: Cause.Cause<E>, hides: Hides | undefined): Cause.Cause<E> =>
  Cause.fromReasons(
    cause.reasons.filter((reason) => reason._tag !== "Fail" || hides?.(reason.error) === false),
  )

type Hides = (error: unknown) => boolean

/** Why there is no answer, unless the cause must not be hidden. */
const whyOf = (
  cause: Cause.Cause<unknown>,
  hides: Hides | undefined,
): Why | undefined => {
  let why: Why | undefined
  for (const reason of cause.reasons) {
    if (reason._tag !== "Fail" || hides?.(reason.error) === false) return undefined
    why ??= isOwn(reason.error) ? "refused" : "failed"
  }
  return why
}
