import { describe, expect, it } from "@effect/vitest"
import { Gcra, RateLimit, Saturation } from "@weir/runtime"
import { Effect, Schema } from "effect"
import { TestClock } from "effect/testing"
import { Peer } from "../../src/admission/peer.ts"
import { parseList } from "../support/fields.ts"
import { random } from "../support/random.ts"

const make = (options: RateLimit.Options) =>
  Effect.provide(RateLimit.RateLimit, RateLimit.layer(options)).pipe(Effect.scoped)

const who = (id: string, tenant = "t", limit?: Gcra.Rate | "none"): RateLimit.Limited => ({
  id,
  tenant,
  criticality: undefined,
  limit,
})

describe("RateLimit", () => {
  it.effect("limits nobody of whom nothing is said", () =>
    Effect.gen(function* () {
      const limits = yield* make({})
      expect(limits.check(undefined, 0)).toBeUndefined()
      expect(limits.check(who("a"), 0)).toBeUndefined()
      expect(limits.check(new Peer("127.0.0.1"), 0)).toBeUndefined()
      expect(limits.fields(who("a"))).toBeUndefined()
      expect(limits.peers).toBe(false)
    }))

  it.effect("a refusal has the caller's numbers, and an exact wait", () =>
    Effect.gen(function* () {
      const limits = yield* make({ principal: { requests: 3, per: "10 seconds" } })
      for (let n = 0; n < 3; n++) expect(limits.check(who("a"), 1000)).toBeUndefined()
      expect(limits.check(who("a"), 1000)).toEqual({
        _tag: "Refusal",
        reason: "RateLimited",
        kind: "rate-limit",
        resource: "principal",
        inUse: 3,
        capacity: 3,
        waiting: 0,
        predictedWaitMs: 0,
        retryAfterMs: 3334,
      })
      expect(limits.check(who("b"), 1000)).toBeUndefined()
      expect(limits.check(who("a"), 4333)?.retryAfterMs).toBe(1)
      expect(limits.check(who("a"), 4334)).toBeUndefined()
    }))

  it.effect("a key's own limit goes before the one for all, also when it is none", () =>
    Effect.gen(function* () {
      const limits = yield* make({ principal: { requests: 1, per: "1 minute" } })
      const two = Gcra.rate("own", { requests: 2, per: "1 minute" })
      expect([1, 2, 3].map(() => limits.check(who("a", "t", two), 0)?.reason))
        .toEqual([undefined, undefined, "RateLimited"])
      for (let n = 0; n < 10; n++) {
        expect(limits.check(who("b", "t", "none"), 0)).toBeUndefined()
      }
      expect(limits.fields(who("b", "t", "none"))).toBeUndefined()
    }))

  it.effect("a tenant's limit counts all its keys; a call over one limit is counted in none", () =>
    Effect.gen(function* () {
      const limits = yield* make({
        principal: { requests: 2, per: "1 minute" },
        tenant: { requests: 3, per: "1 minute" },
      })
      const calls = ["a", "a", "a", "b", "b"].map((id) => limits.check(who(id), 0)?.resource)
      // The third call of a is over its own limit, and so leaves the tenant's last call to b.
      expect(calls).toEqual([undefined, undefined, "principal", undefined, "tenant"])
      expect(limits.check(who("b"), 20_000)).toBeUndefined()
      expect(limits.check(who("c", "other"), 20_000)).toBeUndefined()
    }))

  it.effect("with two limits the wait is the longer one, and is exact", () =>
    Effect.gen(function* () {
      const limits = yield* make({
        principal: { requests: 1, per: "5 seconds" },
        tenant: { requests: 1, per: "7 seconds" },
      })
      expect(limits.check(who("a"), 0)).toBeUndefined()
      expect(limits.check(who("a"), 0)).toMatchObject({ resource: "tenant", retryAfterMs: 7000 })
      expect(limits.check(who("a"), 6999)).toMatchObject({ retryAfterMs: 1 })
      expect(limits.check(who("a"), 7000)).toBeUndefined()
    }))

  it.effect("callers without a principal are counted by address, when that is asked for", () =>
    Effect.gen(function* () {
      const limits = yield* make({ peer: { requests: 1, per: "1 second" } })
      expect(limits.peers).toBe(true)
      const calls = ["10.0.0.1", "10.0.0.2", "::ffff:10.0.0.1"].map((address) =>
        limits.check(new Peer(address), 0)?.resource
      )
      expect(calls).toEqual([undefined, undefined, "peer"])
      // A principal is none of them, wherever it calls from.
      expect(limits.check(who("10.0.0.1"), 0)).toBeUndefined()
    }))

  it.effect("asked in the dark counts what would be refused, and says it all the same", () =>
    Effect.gen(function* () {
      const registry = Saturation.makeUnsafe()
      const limits = yield* make({ principal: { requests: 1, per: "1 minute" }, maxCallers: 1 })
        .pipe(Effect.provideService(Saturation.Saturation, registry))
      expect(limits.check(who("a"), 0, true)).toBeUndefined()
      expect(limits.check(who("a"), 0, true)?.reason).toBe("RateLimited")
      expect(limits.check(who("b"), 0, true)?.reason).toBe("QueueFull")
      const stats = () => registry.get("rate-limit principal")!.stats(0)
      expect(stats()).toMatchObject({
        refused: { RateLimited: 0, QueueFull: 0 },
        wouldRefuse: { RateLimited: 1, QueueFull: 1 },
      })
      expect(limits.check(who("a"), 0)?.reason).toBe("RateLimited")
      expect(stats().refused.RateLimited).toBe(1)
      // Limits that are in the dark themselves refuse nobody, also when there is no place to count.
      limits.set({ ...limits.limits, dark: true })
      expect(limits.check(who("b"), 0)).toBeUndefined()
      expect(stats()).toMatchObject({ refused: { QueueFull: 0 }, wouldRefuse: { QueueFull: 2 } })
    }))

  it.effect.prop(
    "a refund leaves everything as if the call had not been made",
    {
      calls: Schema.Array(Schema.Struct({
        after: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 20_000 })),
        id: Schema.Literals(["a", "b", "c"]),
        kept: Schema.Boolean,
      })),
    },
    ({ calls }) =>
      Effect.gen(function* () {
        const options = {
          principal: { requests: 3, per: "1 minute" },
          tenant: { requests: 7, per: "1 minute" },
        } as const
        const [one, other] = [yield* make(options), yield* make(options)]
        let now = 0
        for (const { after, id, kept } of calls) {
          now += after
          const caller = who(id)
          const said = one.check(caller, now)
          if (kept) expect(other.check(caller, now)).toEqual(said)
          else if (said === undefined) {
            one.refund(caller, now)
            // Once, and nobody else's.
            one.refund(caller, now)
            one.refund(who("b"), now)
          }
        }
        for (const id of ["a", "b", "c"]) {
          for (let n = 0; n < 4; n++) {
            expect(one.check(who(id), now)).toEqual(other.check(who(id), now))
          }
        }
      }),
  )

  it.effect("what was not counted is not given back", () =>
    Effect.gen(function* () {
      const limits = yield* make({ principal: { requests: 1, per: "1 minute" } })
      const a = who("a")
      expect(limits.check(a, 0)).toBeUndefined()
      for (const dark of [false, true]) {
        expect(limits.check(a, 0, dark)?.reason).toBe("RateLimited")
        limits.refund(a, 0)
      }
      limits.set({ ...limits.limits, dark: true })
      expect(limits.check(a, 0)).toBeUndefined()
      limits.refund(a, 0)
      limits.set({ ...limits.limits, dark: false })
      expect(limits.check(a, 0)?.retryAfterMs).toBe(60_000)
    }))

  it.effect("dark mode counts what would be refused, refuses nothing and tells nothing", () =>
    Effect.gen(function* () {
      const registry = Saturation.makeUnsafe()
      const limits = yield* make({ principal: { requests: 2, per: "1 minute" }, dark: true })
        .pipe(Effect.provideService(Saturation.Saturation, registry))
      for (let n = 0; n < 5; n++) expect(limits.check(who("a"), 0)).toBeUndefined()
      const stats = registry.get("rate-limit principal")!.stats(0)
      expect([stats.wouldRefuse?.RateLimited, stats.refused.RateLimited]).toEqual([3, 0])
      expect(limits.fields(who("a"))).toBeUndefined()
      limits.set({ ...limits.limits, dark: false })
      expect(limits.check(who("a"), 0)?.reason).toBe("RateLimited")
      // What was let pass was not counted: the numbers are those of a limit that holds.
      expect(limits.check(who("a"), 30_000)).toBeUndefined()
    }))

  it.effect("limits change at run time: calls made stay made, and a mistake changes nothing", () =>
    Effect.gen(function* () {
      const limits = yield* make({ principal: { requests: 2, per: "1 minute" } })
      limits.check(who("a"), 0)
      limits.check(who("a"), 0)
      expect(() => limits.set({ principal: { requests: 0, per: "1 minute" } }))
        .toThrow("limits.principal.requests is 0")
      expect(limits.check(who("a"), 0)?.reason).toBe("RateLimited")
      limits.set({ principal: { requests: 4, per: "1 minute" } })
      expect([1, 2, 3].map(() => limits.check(who("a"), 0)?.reason))
        .toEqual([undefined, undefined, "RateLimited"])
      limits.set({})
      expect(limits.check(who("a"), 0)).toBeUndefined()
    }))

  it.effect("a clock that is set back takes nothing from anybody, and gives nothing", () =>
    Effect.gen(function* () {
      const limits = yield* make({ principal: { requests: 1, per: "10 seconds" } })
      const hour = 3_600_000
      expect(limits.check(who("a"), 2 * hour)).toBeUndefined()
      expect(limits.check(who("a"), hour)?.retryAfterMs).toBe(10_000)
      expect(limits.check(who("a"), hour + 9999)?.retryAfterMs).toBe(1)
      expect(limits.check(who("a"), hour + 10_000)).toBeUndefined()
    }))

  it.effect("says in structured fields what is left, and keeps the promise", () =>
    Effect.gen(function* () {
      const limits = yield* make({
        principal: { requests: 5, per: "12 seconds", burst: 2 },
        tenant: { requests: 100, per: "1 minute" },
      })
      let time = 0
      const draw = random(7)
      for (let step = 0; step < 500; step++) {
        const { limit, policy } = limits.fields(who("a"))!
        expect(parseList(policy)).toEqual([
          { value: "principal", parameters: { q: 5, w: 12 } },
          { value: "tenant", parameters: { q: 100, w: 60 } },
        ])
        const [own] = parseList(limit)
        const { r, t } = own!.parameters as { r: number; t?: number }
        if (r > 0) {
          expect([step, limits.check(who("a"), time)]).toEqual([step, undefined])
        } else {
          expect(limits.check(who("a"), time)?.reason).toBe("RateLimited")
          // Some wait as long as they were told, others come earlier.
          const wait = draw() < 0.5 ? t! * 1000 : Math.floor(draw() * 2000)
          yield* TestClock.adjust(wait)
          time += wait
          if (wait === t! * 1000) expect(limits.check(who("a"), time)).toBeUndefined()
        }
        expect(t === undefined).toBe(r === 2)
      }
    }))

  it.prop(
    "in a small table nobody's calls are forgotten: it decides as one without a bound",
    {
      calls: Schema.Array(Schema.Struct({
        who: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 12 })),
        gap: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1500 })),
      })),
    },
    ({ calls }) =>
      Effect.runSync(Effect.gen(function* () {
        const principal = { requests: 2, per: "2 seconds" } as const
        const small = yield* make({ principal, maxCallers: 4 })
        const rate = Gcra.rate("oracle", principal)
        const levels = new Map<number, { level: number; at: number }>()
        let now = 0
        for (const { gap, who: n } of calls) {
          now += gap
          const own = levels.get(n) ?? { level: 0, at: now }
          const level = Gcra.drained(rate, own.level, now - own.at)
          const busy = Array.from(levels.values())
            .filter(({ at, level }) => Gcra.drained(rate, level, now - at) > 0).length
          const reason = small.check(who(`${n}`), now)?.reason
          if (level === 0 && busy >= 4) {
            expect(reason).toBe("QueueFull")
            continue
          }
          const over = Gcra.waitMs(rate, level) > 0
          expect(reason).toBe(over ? "RateLimited" : undefined)
          levels.set(n, { level: over ? level : level + rate.cost, at: now })
        }
      })),
  )

  it.effect("holds no more callers than it may, lets the idle ones go, and shows itself", () =>
    Effect.gen(function* () {
      const registry = Saturation.makeUnsafe()
      const limits = yield* make({
        principal: { requests: 2, per: "1 minute" },
        maxCallers: 100,
      }).pipe(Effect.provideService(Saturation.Saturation, registry))
      expect(registry.snapshot(0)).toEqual([])
      const admitted = Array.from({ length: 1000 }, (_, n) => limits.check(who(`${n}`), 0))
        .filter((refusal) => refusal === undefined).length
      expect(admitted).toBe(100)
      const shown = () => registry.get("rate-limit principal")!.stats(0)
      expect(shown()).toMatchObject({ kind: "rate-limit", capacity: 100, inUse: 100 })
      expect(shown().refused.QueueFull).toBe(900)
      // Half of a limit is paid back in half of its time; then all of them make room.
      expect(limits.check(who("new"), 29_999)?.reason).toBe("QueueFull")
      expect(limits.check(who("new"), 30_000)).toBeUndefined()
      for (let n = 0; n < 99; n++) limits.check(who(`next${n}`), 30_000)
      expect(shown().inUse).toBeLessThanOrEqual(100)
      // One after the other, each with its calls paid back before the next one comes.
      for (let n = 0; n < 100; n++) limits.check(who(`later${n}`), 100_000 + n * 60_000)
      expect(shown().inUse).toBeLessThan(5)
    }))
})
