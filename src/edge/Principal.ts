/**
 * Who is calling: API keys, looked up once and then known at the door.
 *
 * **Details** – *bounded by* `maxKeys` that are known and `maxWaiting` requests that wait for a
 * look-up; *owned by* its layer; *seen in* `/saturation` as `principals` and `principals lookups`.
 *
 * @module
 */
import { Clock, Context, type Duration, Effect, Layer, Option } from "effect"
import type { Refused } from "../bounded/Refused.ts"
import { register } from "../bounded/Saturation.ts"
import { durationMs } from "../internal/setting.ts"
import { ApiKeys, type Unavailable } from "../store/ApiKeys.ts"
import type { DatabaseUnavailable } from "../store/DatabaseUnavailable.ts"
import { Keyring } from "./keyring.ts"
import { Lookups } from "./lookups.ts"
import { type Principal, Unauthenticated } from "./identity.ts"

export { type Principal, Unauthenticated }

/**
 * Tells whose key it is. An application with credentials of another kind provides its own.
 *
 * @category models
 * @since 0.1.0
 */
export interface Principals {
  /**
   * What is known without waiting: whose it is, `"wrong"` when it is nobody's; `undefined` when
   * {@link Principals.authenticate} has to be asked. Must not throw; `now` in absolute milliseconds.
   */
  readonly recognize: (credential: string, now: number) => Principal | "wrong" | undefined
  /**
   * The same, with waiting. `peer` is the network that the request came from, if that is known, so
   * that one which sends nothing but guesses need not keep others waiting.
   */
  readonly authenticate: (
    credential: string,
    peer?: string,
  ) => Effect.Effect<Principal, Unauthenticated | DatabaseUnavailable | Refused>
}

/**
 * The service.
 *
 * @category services
 * @since 0.1.0
 */
export const Principals: Context.Service<Principals, Principals> = Context.Service<Principals>(
  "weir/edge/Principal/Principals",
)

/**
 * The principal of the request that is being handled, as a reference. It goes along into tasks that
 * a handler starts, and not into actors.
 *
 * @category services
 * @since 0.1.0
 */
export const Current: Context.Reference<Principal | undefined> = Context.Reference<
  Principal | undefined
>("weir/edge/Principal/Current", { defaultValue: () => undefined })

/**
 * The principal of the request that is being handled.
 *
 * **Details** – none at an endpoint with `auth: "none"`, and for a caller without a key at one with
 * `auth: "optional"`.
 *
 * **Fails with** – nothing.
 *
 * **Interruption** – does not wait.
 *
 * @category accessors
 * @since 0.1.0
 */
export const current: Effect.Effect<Option.Option<Principal>> = Effect.withFiber((fiber) =>
  Effect.succeed(Option.fromNullishOr(fiber.getRef(Current)))
)

/**
 * The principal of the request that is being handled, where there must be one.
 *
 * **Fails with** – {@link Unauthenticated}, over HTTP a 401 problem.
 *
 * **Interruption** – does not wait.
 *
 * @example Whose order it is
 * ```ts
 * import { Effect } from "effect"
 * import { Principal } from "@weir/runtime"
 * import { strictEqual } from "node:assert/strict"
 *
 * const owner = Effect.map(Principal.required, (principal) => principal.tenant)
 *
 * const ada = { id: "1", name: "ada", tenant: "engines", criticality: undefined, scopes: [] }
 * const run = Effect.provideService(owner, Principal.Current, ada)
 * strictEqual(await Effect.runPromise(run), "engines")
 * strictEqual((await Effect.runPromise(Effect.flip(owner)))._tag, "Unauthenticated")
 * ```
 *
 * @category accessors
 * @since 0.1.0
 */
export const required: Effect.Effect<Principal, Unauthenticated> = Effect.withFiber((fiber) => {
  const principal = fiber.getRef(Current)
  return principal === undefined
    ? Effect.fail(new Unauthenticated({ presented: false }))
    : Effect.succeed(principal)
})

/**
 * Options of {@link layer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /**
   * For how long a key that was looked up is taken for valid, and so the longest that a key which
   * another process has revoked goes on working. One in use is asked for again after two thirds of
   * it, behind its back. Default 30 seconds.
   */
  readonly ttl?: Duration.Input | undefined
  /**
   * The same while the database does not answer: from the last time that it confirmed the key.
   * Default 10 minutes; never less than `ttl`.
   */
  readonly stale?: Duration.Input | undefined
  /** For how long it is remembered that a key does not exist. Default 5 seconds. */
  readonly unknown?: Duration.Input | undefined
  /** Keys that are known at once; the ones used least give way. Default 10,000 (about 10 MB). */
  readonly maxKeys?: number | undefined
  /**
   * Requests that wait for a look-up. Networks (of IPv6 the first 64 bits) take turns, and share the
   * places: into a full room one comes in the place of the youngest of the network that has most
   * (`Displaced`), or is refused with `QueueFull`. Default 1,024.
   */
  readonly maxWaiting?: number | undefined
  /** Time for a look-up. Default 2 seconds. */
  readonly timeout?: Duration.Input | undefined
}

/**
 * Principals by API key.
 *
 * **Details** – a key that is known is recognized without waiting, in 0.3 µs. Unknown ones are
 * looked up together, by one query at a time, so that they never take more than one connection,
 * however many there are, and networks take turns in it; they wait in the gate of the database like any other query. While the
 * database is away, keys that it has confirmed go on working for `stale`, all others are answered
 * 503, and it is asked once a second.
 *
 * `lastUsedAt` of keys is written once a minute, by the look-up that is due anyway, and when the
 * layer closes (for at most a second); a crash loses a minute of it.
 *
 * **Fails with** – nothing; an option that makes no sense dies with one sentence.
 *
 * **Interruption** – ends what is being looked up; requests that wait for it are refused.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options = {}): Layer.Layer<Principals, never, ApiKeys> =>
  Layer.effect(
    Principals,
    Effect.gen(function* () {
      const keys = yield* ApiKeys
      const context = yield* Effect.context<never>()
      const scope = yield* Effect.scope
      const clock = yield* Clock.Clock
      const ttlMs = durationMs("principals.ttl", options.ttl ?? "30 seconds")
      const times = {
        ttlMs,
        staleMs: Math.max(ttlMs, durationMs("principals.stale", options.stale ?? "10 minutes")),
        unknownMs: durationMs("principals.unknown", options.unknown ?? "5 seconds"),
      }
      const ring = new Keyring(
        keys.prefix,
        options.maxKeys ?? 10_000,
        times,
        (id) => lookups.refresh(id),
      )
      const lookups: Lookups = new Lookups(
        keys,
        ring,
        options.maxWaiting ?? 1024,
        durationMs("principals.timeout", options.timeout ?? "2 seconds"),
        scope,
        context,
        clock,
      )
      yield* register(ring.quota)
      yield* register(lookups.quota)
      yield* Effect.addFinalizer(() =>
        Effect.timeoutOption(Effect.interruptible(lookups.note), "1 second")
      )
      yield* Effect.acquireRelease(
        Effect.sync(() =>
          keys.onChange((id) => {
            ring.forget(id)
            lookups.change(id)
          })
        ),
        (remove) => Effect.sync(remove),
      )
      return {
        recognize: (credential, now) => ring.recognize(credential, now),
        authenticate: (credential, peer = "") =>
          authenticate(ring, lookups, clock, credential, peer),
      }
    }),
  )

const authenticate = (
  ring: Keyring,
  lookups: Lookups,
  clock: Clock.Clock,
  text: string,
  peer: string,
): Effect.Effect<Principal, Unauthenticated | DatabaseUnavailable | Refused> =>
  Effect.suspend(() => {
    const now = () => clock.currentTimeMillisUnsafe()
    const judged = (
      found: Principal | "wrong" | undefined,
    ): Effect.Effect<Principal, Unauthenticated | Unavailable> =>
      found === "wrong" || found === undefined
        ? Effect.fail(new Unauthenticated({ presented: true }))
        : Effect.succeed(found)
    const known = ring.recognize(text, now())
    if (known !== undefined) return judged(known)
    return Effect.matchCauseEffect(lookups.find(ring.idOf(text)!, peer), {
      onSuccess: (entry) => {
        const found = entry && ring.judge(entry, text, now())
        if (found !== undefined && found !== "wrong") lookups.used(found.id)
        return judged(found)
      },
      onFailure: (cause) => {
        // Now that the database is known to be away, it may be one that was confirmed before.
        const found = ring.recognize(text, now())
        return found === undefined ? Effect.failCause(cause) : judged(found)
      },
    })
  })
