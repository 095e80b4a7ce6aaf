import { describe, expect, expectTypeOf, it } from "@effect/vitest"
import { Bulkhead, Dependency, Fallback, Saturation } from "@weir/runtime"
import { Cause, Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { random } from "../support/random.ts"
import { fork, fresh, repeat, word } from "./support.ts"

interface Mine {
  readonly _tag: "Mine"
}

const kept = (options: { capacity?: number; maxAge?: number } = {}) =>
  Fallback.lastGood<string, number>({ name: "last", capacity: 10, ...options })

describe("Fallback", () => {
  it.effect("answers in full, stale or degraded, and says which", () =>
    fresh(Effect.gen(function* () {
      const last = yield* kept({ maxAge: 1000 })
      const get = (key: string, effect: Effect.Effect<number, string>) =>
        effect.pipe(Fallback.orElse({
          stale: last.of(key),
          degraded: (why) => Effect.succeed(`list price, ${why}`),
        }))
      expect(yield* get("a", Effect.succeed(7))).toEqual({ _tag: "full", value: 7 })
      yield* TestClock.adjust(400)
      expect(yield* get("a", Effect.fail("down")))
        .toEqual({ _tag: "stale", value: 7, ageMs: 400, why: "failed" })
      expect(yield* get("b", Effect.fail("down")))
        .toEqual({ _tag: "degraded", value: "list price, failed", why: "failed" })
      yield* TestClock.adjust(601)
      expect((yield* get("a", Effect.fail("down")))._tag).toBe("degraded")
      expect(last.bounded.stats(0).inUse).toBe(0)
    })))

  it.effect("spends nothing while the breaker is open, and tries again when it may", () =>
    fresh(Effect.gen(function* () {
      const prices = yield* Dependency.make({
        name: "prices",
        breaker: { minimumCalls: 2, jitter: 0, probes: 1 },
      })
      let calls = 0
      let broken = true
      const call = prices.call(Effect.suspend(() => {
        calls++
        return broken ? Effect.fail("down") : Effect.succeed(1)
      }))
      const get = call.pipe(Fallback.orElse({
        when: Fallback.when(prices),
        degraded: (why) => Effect.succeed(why),
      }))
      const answer = Effect.map(get, ({ value }) => value)
      expect([yield* answer, yield* answer, yield* answer, calls]).toEqual([
        "failed",
        "failed",
        "open",
        2,
      ])
      yield* TestClock.adjust("1 second")
      broken = false
      expect([yield* answer, yield* answer, calls]).toEqual([1, 1, 4])
    })))

  it.effect("spends nothing on what would wait too long", () =>
    fresh(Effect.gen(function* () {
      const slots = yield* Bulkhead.make({ name: "slots", capacity: 1, expected: 300 })
      const running = yield* fork(slots.use(Effect.never))
      const get = slots.use(Effect.succeed("full")).pipe(Fallback.orElse({
        when: Fallback.when(slots, { predictedWaitOver: "200 millis" }),
        degraded: (why) => Effect.succeed(why),
      }))
      expect((yield* get).value).toBe("slow")
      yield* Fiber.interrupt(running)
      expect((yield* get)._tag).toBe("full")
    })))

  it.effect("says that something of ours refused it", () =>
    fresh(Effect.gen(function* () {
      const slots = yield* Bulkhead.make({ name: "slots", capacity: 1, queueCapacity: 0 })
      const running = yield* fork(slots.use(Effect.never))
      const get = slots.use(Effect.void).pipe(
        Fallback.orElse({ degraded: (why) => Effect.succeed(why) }),
      )
      expect((yield* get).value).toBe("refused")
      yield* Fiber.interrupt(running)
    })))

  it.effect("tries it all the same when there is nothing to fall back on", () =>
    fresh(Effect.gen(function* () {
      const last = yield* kept()
      const always = () => "slow" as const
      const orElse = Fallback.orElse({ when: always, stale: last.of("a") })
      expect(yield* repeat(1, orElse(Effect.fail("down")))).toEqual(["down"])
      expect((yield* orElse(Effect.succeed(1)))._tag).toBe("full")
      expect((yield* orElse(Effect.succeed(2))).value).toBe(1)
    })))

  it.effect("hides neither defects, nor cancels, nor what it was told not to", () =>
    fresh(Effect.gen(function* () {
      const orElse = Fallback.orElse<number, string>({
        degraded: () => Effect.succeed("hidden"),
        hides: (error) => error !== "mine",
      })
      expect(word(yield* Effect.exit(orElse(Effect.die("bug"))))).toBe("bug")
      expect(word(yield* Effect.exit(orElse(Effect.fail("mine"))))).toBe("mine")
      expect(word(yield* Effect.exit(orElse(Effect.fail("theirs"))))).toBe("ok")
      const both = Effect.fail("theirs").pipe(Effect.ensuring(Effect.die("bug")))
      expect(Exit.isFailure(yield* Effect.exit(orElse(both)))).toBe(true)
      const fiber = yield* fork(orElse(Effect.never))
      yield* Fiber.interrupt(fiber)
      expect(word(yield* Fiber.await(fiber))).toBe("interrupt")
    })))

  it.effect("has in its type only the failures that it does not hide", () =>
    fresh(Effect.gen(function* () {
      const last = yield* kept()
      const asked = Effect.fail<Mine | "theirs">("theirs") as Effect.Effect<number, Mine | "theirs">
      const degraded = () => Effect.succeed("list price")

      const all = asked.pipe(Fallback.orElse({ stale: last.of("a"), degraded }))
      expectTypeOf(all).toEqualTypeOf<Effect.Effect<Fallback.Answer<number, string>>>()
      const late = asked.pipe(Fallback.orElse({ degraded: () => Effect.fail("late" as const) }))
      expectTypeOf(late).toEqualTypeOf<Effect.Effect<Fallback.Answer<number>, "late">>()
      const theirs = asked.pipe(
        Fallback.orElse({ degraded, hides: (error): error is "theirs" => error === "theirs" }),
      )
      expectTypeOf(theirs).toEqualTypeOf<Effect.Effect<Fallback.Answer<number, string>, Mine>>()
      const some: (error: unknown) => boolean = (error) => error === "theirs"
      const unknown = asked.pipe(Fallback.orElse({ degraded, hides: some }))
      expectTypeOf(unknown)
        .toEqualTypeOf<Effect.Effect<Fallback.Answer<number, string>, Mine | "theirs">>()
      const kept1 = asked.pipe(Fallback.orElse({ stale: last.of("a") }))
      expectTypeOf(kept1)
        .toEqualTypeOf<Effect.Effect<Fallback.Answer<number>, Mine | "theirs">>()

      expect([yield* Effect.exit(all), yield* Effect.exit(theirs), yield* Effect.exit(unknown)])
        .toEqual(
          Array(3).fill(Exit.succeed({
            _tag: "degraded",
            value: "list price",
            why: "failed",
          })),
        )
      expect(yield* Effect.flip(late)).toBe("late")
      expect(yield* Effect.flip(kept1)).toBe("theirs")
      // What is beside a defect is hidden too, or the type would not be true.
      const both: Effect.Effect<number, "theirs"> = Effect.failCause(
        Cause.combine(Cause.fail("theirs"), Cause.die("bug")),
      )
      const reasons = (effect: Effect.Effect<unknown, unknown>) =>
        Effect.map(
          Effect.exit(effect),
          (exit) => Exit.isFailure(exit) ? exit.cause.reasons.map(({ _tag }) => _tag) : [],
        )
      expect(yield* reasons(both)).toEqual(["Fail", "Die"])
      expect(yield* reasons(Fallback.orElse({ degraded })(both))).toEqual(["Die"])
      expect(yield* reasons(Fallback.orElse({ stale: last.of("a") })(both)))
        .toEqual(["Fail", "Die"])
    })))

  it.effect("keeps so many values, and forgets the one that was set longest ago", () =>
    fresh(Effect.gen(function* () {
      const registry = yield* Saturation.Saturation
      const last = yield* kept({ capacity: 3 })
      expect(registry.get("last")).toBe(last.bounded)
      const u = random(7)
      const model = new Map<string, number>()
      for (let i = 0; i < 2000; i++) {
        const key = String(Math.floor(u() * 6))
        if (u() < 0.5) {
          model.delete(key)
          model.set(key, i)
          if (model.size > 3) model.delete(model.keys().next().value!)
          last.of(key).set(i, 0)
        }
        expect([i, last.of(key).get(0)?.value]).toEqual([i, model.get(key)])
        expect(last.bounded.stats(0)).toMatchObject({ inUse: model.size, capacity: 3 })
      }
    })))
})
