/**
 * How much each caller may do: so many calls per time, by principal, by tenant and by address.
 *
 * **Details** – *bounded by* `maxCallers` of each kind; *owned by* the service; *seen in*
 * `/saturation` as kind `rate-limit`, from the first caller that is counted.
 *
 * @module
 */
import { Clock, Context, Effect, Layer } from "effect"
import * as Gcra from "../bounded/Gcra.ts"
import type { Refusal } from "../bounded/Refused.ts"
import { Saturation } from "../bounded/Saturation.ts"
import { type Bucket, Buckets } from "./buckets.ts"
import type { Caller } from "./Caller.ts"
import { Peer } from "./peer.ts"

/**
 * The limits of a service.
 *
 * @category models
 * @since 0.1.0
 */
export interface Limits {
  /** For each principal that has none of its own. Default: none. */
  readonly principal?: Gcra.Limit | undefined
  /** For all principals of one tenant together. Default: none. */
  readonly tenant?: Gcra.Limit | undefined
  /**
   * For callers without a principal, by the address of their socket, of IPv6 the first 64 bits.
   * Default: none. Behind a proxy everybody has the proxy's address: `X-Forwarded-For` is not read,
   * because without a list of trusted proxies anybody may write anything into it.
   */
  readonly peer?: Gcra.Limit | undefined
  /**
   * Counts what would be refused, refuses nothing, and tells clients nothing. Default false. (The
   * mode `quota` of `Admission` does the same at the door, for whatever limits callers; but clients
   * are told all the same.)
   */
  readonly dark?: boolean | undefined
}

/**
 * Options of {@link layer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Limits {
  /**
   * Callers of each kind that are counted at once. Those who have used nothing lately need no place.
   * One more, while all of these have, is refused with `QueueFull`. Default 65,536 (about 10 MB).
   */
  readonly maxCallers?: number | undefined
}

/**
 * A caller that may bring a limit of its own; `"none"` exempts it from the limit for principals, not
 * from that of its tenant.
 *
 * @category models
 * @since 0.1.0
 */
export interface Limited extends Caller {
  /** Its own limit, checked. */
  readonly limit?: Gcra.Rate | "none" | undefined
}

/**
 * The header fields of draft-ietf-httpapi-ratelimit-headers-10, without their names.
 *
 * @category models
 * @since 0.1.0
 */
export interface Fields {
  /** `RateLimit`: calls that are left (`r`), and seconds until there is one more (`t`). */
  readonly limit: string
  /** `RateLimit-Policy`: quota (`q`) and window in seconds (`w`). */
  readonly policy: string
}

/**
 * The limits in force. Synchronous.
 *
 * @category models
 * @since 0.1.0
 */
export interface RateLimit {
  /**
   * Counts a call, or says why not; `now` in absolute milliseconds.
   *
   * **Details** – a call over one of its limits is counted in none. `retryAfterMs` is exact: the
   * call is admitted then, if the caller makes no other, and not a millisecond before. With `dark`
   * the call will be let in whatever is said: it is counted as one that would be refused.
   */
  readonly check: (caller: Caller | undefined, now: number, dark?: boolean) => Refusal | undefined
  /**
   * Takes back what the last `check` has counted, which was of that caller: it was let in, and then
   * refused at the door for want of capacity. A call that is refused later on has been counted.
   */
  readonly refund: (caller: Caller | undefined, now: number) => void
  /** What a client is told; `undefined` when it has no limit. */
  readonly fields: (caller: Caller | undefined) => Fields | undefined
  /** Whether callers without a principal are counted. */
  readonly peers: boolean
  /** The limits in force. */
  readonly limits: Limits
  /**
   * Sets other limits, all of them at once. Calls made stay counted. Throws a `Mistake` when one
   * makes no sense; then nothing has changed.
   */
  readonly set: (limits: Limits) => void
}

/**
 * The service; handlers may ask for it, to change limits at run time.
 *
 * @category services
 * @since 0.1.0
 */
export const RateLimit: Context.Service<RateLimit, RateLimit> = Context.Service<RateLimit>(
  "weir/admission/RateLimit",
)

/**
 * Makes the limits. `Service.layer` does so from its option `limits`.
 *
 * **Fails with** – nothing; limits that make no sense die with one sentence.
 *
 * **Interruption** – does not wait.
 *
 * @example Two calls, then one every half minute
 * ```ts
 * import { Effect } from "effect"
 * import { RateLimit } from "@weir/runtime"
 * import { deepStrictEqual } from "node:assert/strict"
 *
 * const program = Effect.gen(function* () {
 *   const limits = yield* RateLimit.RateLimit
 *   const ada = { id: "ada", tenant: "engines", criticality: undefined }
 *   return [0, 0, 0, 30_000].map((now) => limits.check(ada, now)?.retryAfterMs)
 * })
 *
 * const limits = RateLimit.layer({ principal: { requests: 2, per: "1 minute" } })
 * deepStrictEqual(await Effect.runPromise(Effect.provide(program, limits)), [
 *   undefined,
 *   undefined,
 *   30_000,
 *   undefined,
 * ])
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options = {}): Layer.Layer<RateLimit> =>
  Layer.effect(
    RateLimit,
    Effect.withFiber((fiber) =>
      Effect.sync(() => new Limiter(options, fiber.getRef(Saturation), fiber.getRef(Clock.Clock)))
    ),
  )

type Kind = "principal" | "tenant" | "peer"

/** One limit of one caller, as it is now. */
class Standing {
  readonly kind: Kind
  readonly table: Buckets
  readonly key: string
  readonly rate: Gcra.Rate
  readonly bucket: Bucket | undefined
  readonly level: number

  constructor(kind: Kind, table: Buckets, key: string, rate: Gcra.Rate, now: number) {
    this.kind = kind
    this.table = table
    this.key = key
    this.rate = rate
    this.bucket = table.find(key, rate, now)
    this.level = this.bucket === undefined ? 0 : this.bucket.level
  }
}

// Effect's RateLimiter (`effect/persistence`) is an Effect over a store, 2.6 µs and more per call,
// where the door decides before there is a fiber; its memory store forgets no key, and it cannot tell
// what is left without taking some. Over Redis it is the right thing for a limit that a fleet shares.
class Limiter implements RateLimit {
  limits: Limits = {}
  private principal: Gcra.Rate | undefined
  private tenant: Gcra.Rate | undefined
  private peer: Gcra.Rate | undefined
  private readonly clock: Clock.Clock
  private readonly principals: Buckets
  private readonly tenants: Buckets
  private readonly addresses: Buckets
  private last = -Infinity
  private shift = 0
  /** What the last check has counted, and whose call it was. */
  private counted: Caller | undefined = undefined
  private countedOwn: Standing | undefined = undefined
  private countedShared: Standing | undefined = undefined

  constructor(options: Options, registry: Saturation, clock: Clock.Clock) {
    const { maxCallers = 65_536, ...limits } = options
    this.clock = clock
    this.principals = new Buckets("rate-limit principal", maxCallers, registry)
    this.tenants = new Buckets("rate-limit tenant", maxCallers, registry)
    this.addresses = new Buckets("rate-limit peer", maxCallers, registry)
    this.set(limits)
  }

  get peers(): boolean {
    return this.peer !== undefined
  }

  set(limits: Limits): void {
    const { peer, principal, tenant } = limits
    const rates = [
      principal && Gcra.rate("limits.principal", principal),
      tenant && Gcra.rate("limits.tenant", tenant),
      peer && Gcra.rate("limits.peer", peer),
    ] as const
    this.limits = limits
    ;[this.principal, this.tenant, this.peer] = rates
  }

  check(caller: Caller | undefined, now: number, dark = false): Refusal | undefined {
    this.counted = undefined
    if (caller === undefined) return undefined
    const time = this.time(now)
    const own = this.own(caller, time)
    const shared = this.shared(caller, time)
    if (own === undefined && shared === undefined) return undefined
    const ownMs = own === undefined ? 0 : Gcra.waitMs(own.rate, own.level)
    const sharedMs = shared === undefined ? 0 : Gcra.waitMs(shared.rate, shared.level)
    if (ownMs > 0 || sharedMs > 0) {
      const longer = ownMs >= sharedMs ? own! : shared!
      return this.said(over(longer, Math.max(ownMs, sharedMs), dark || this.limits.dark === true))
    }
    const full = this.full(own, time, dark) ?? this.full(shared, time, dark)
    if (full !== undefined) return this.said(full)
    if (own !== undefined) take(own, time)
    if (shared !== undefined) take(shared, time)
    this.counted = caller
    this.countedOwn = own
    this.countedShared = shared
    return undefined
  }

  refund(caller: Caller | undefined): void {
    if (caller === undefined || this.counted !== caller) return
    this.counted = undefined
    for (const standing of [this.countedOwn, this.countedShared]) {
      standing?.table.refund(standing.key, standing.rate)
    }
  }

  fields(caller: Caller | undefined): Fields | undefined {
    if (caller === undefined || this.limits.dark === true) return undefined
    const time = this.time(this.clock.currentTimeMillisUnsafe())
    const own = this.own(caller, time)
    const shared = this.shared(caller, time)
    if (own === undefined) return shared && { limit: limit(shared), policy: policy(shared) }
    return shared === undefined ? { limit: limit(own), policy: policy(own) } : {
      limit: `${limit(own)}, ${limit(shared)}`,
      policy: `${policy(own)}, ${policy(shared)}`,
    }
  }

  private own(caller: Limited, time: number): Standing | undefined {
    if (caller instanceof Peer) {
      return this.peer && new Standing("peer", this.addresses, caller.id, this.peer, time)
    }
    const rate = caller.limit ?? this.principal
    return rate === undefined || rate === "none"
      ? undefined
      : new Standing("principal", this.principals, caller.id, rate, time)
  }

  private shared(caller: Caller, time: number): Standing | undefined {
    return this.tenant === undefined || caller instanceof Peer
      ? undefined
      : new Standing("tenant", this.tenants, caller.tenant, this.tenant, time)
  }

  /** A refusal when there is no place to count a newcomer in. */
  private full(standing: Standing | undefined, time: number, dark: boolean): Refusal | undefined {
    if (
      standing === undefined || standing.bucket !== undefined || standing.table.hasRoom(time)
    ) return undefined
    const { quota } = standing.table
    return dark || this.limits.dark === true
      ? quota.wouldRefuse("QueueFull", 1000)
      : quota.refuse("QueueFull", 1000)
  }

  /** Limits in the dark keep to themselves what they would refuse. */
  private said(refusal: Refusal): Refusal | undefined {
    return this.limits.dark === true ? undefined : refusal
  }

  /** A clock that is set back by an hour must not take an hour from everybody. */
  private time(now: number): number {
    if (now + this.shift < this.last) this.shift = this.last - now
    return this.last = now + this.shift
  }
}

const take = ({ bucket, key, rate, table }: Standing, time: number): void => {
  if (bucket === undefined) table.add(key, rate, time)
  else bucket.level += rate.cost
}

const over = (
  { kind, level, rate, table: { quota } }: Standing,
  retryAfterMs: number,
  dark: boolean,
): Refusal => ({
  ...(dark
    ? quota.wouldRefuse("RateLimited", retryAfterMs)
    : quota.refuse("RateLimited", retryAfterMs)),
  resource: kind,
  inUse: rate.burst - Gcra.available(rate, level),
  capacity: rate.burst,
})

const limit = ({ kind, level, rate }: Standing): string => {
  const more = Gcra.moreMs(rate, level)
  const left = `"${kind}";r=${Gcra.available(rate, level)}`
  return more === undefined ? left : `${left};t=${Math.ceil(more / 1000)}`
}

const policy = ({ kind, rate }: Standing): string =>
  `"${kind}";q=${rate.requests};w=${rate.perMs / 1000}`
