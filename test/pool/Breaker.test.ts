import { describe, expect, it } from "@effect/vitest"
import { Breaker, Bulkhead, Refused, Saturation } from "@weir/runtime"
import { Effect, Exit, Fiber, Schedule, Stream } from "effect"
import { TestClock } from "effect/testing"
import { fork, fresh, repeat, tally, word } from "./support.ts"

const make = (options: Partial<Breaker.Options> = {}) =>
  Breaker.make({ name: "prices", minimumCalls: 4, jitter: 0, ...options })

const down = Effect.fail("down")

describe("Breaker", () => {
  it.effect("refuses after so many failures, with the time until it tries again", () =>
    fresh(Effect.gen(function* () {
      const breaker = yield* make()
      expect(yield* repeat(4, breaker.use(down))).toEqual(["down", "down", "down", "down"])
      const refused = yield* Effect.flip(breaker.use(Effect.die("never runs")))
      expect(refused).toBeInstanceOf(Refused.Refused)
      expect(refused).toMatchObject({
        reason: "BreakerOpen",
        kind: "breaker",
        resource: "prices",
        retryAfterMs: 1000,
      })
      yield* TestClock.adjust("1 second")
      expect(yield* repeat(2, breaker.use(Effect.succeed(1)))).toEqual(["ok", "ok"])
      expect(yield* breaker.state).toMatchObject({ phase: "closed", refused: 1, calls: 0 })
    })))

  // opossum opens on its own capacity refusals: 20 calls, 2 slots, nothing wrong with the other side.
  it.effect("is not opened by refusals of ours", () =>
    fresh(Effect.gen(function* () {
      const breaker = yield* make()
      const slots = yield* Bulkhead.make({ name: "slots", capacity: 2, queueCapacity: 0 })
      const call = breaker.use(slots.use(Effect.sleep(10)))
      const fibers = yield* Effect.forEach(
        Array.from({ length: 20 }),
        () => fork(Effect.exit(call)),
      )
      yield* TestClock.adjust(10)
      const words = yield* Effect.forEach(fibers, (fiber) => Effect.map(Fiber.join(fiber), word))
      expect(tally(words)).toEqual({ ok: 2, QueueFull: 18 })
      expect(yield* breaker.state).toMatchObject({ phase: "closed", calls: 2, failureRate: 0 })
    })))

  it.effect("does not count cancelled calls, and frees the place of a cancelled probe", () =>
    fresh(Effect.gen(function* () {
      const breaker = yield* make({ probes: 1 })
      for (let i = 0; i < 20; i++) {
        yield* Fiber.interrupt(yield* fork(breaker.use(Effect.never)))
      }
      expect((yield* breaker.state).calls).toBe(0)
      yield* repeat(4, breaker.use(down))
      yield* TestClock.adjust("1 second")
      const probe = yield* fork(breaker.use(Effect.never))
      expect(yield* repeat(1, breaker.use(Effect.void))).toEqual(["BreakerOpen"])
      yield* Fiber.interrupt(probe)
      expect(yield* repeat(1, breaker.use(Effect.void))).toEqual(["ok"])
    })))

  it.effect("does not count a cancel as a failure, whatever its classifier says", () =>
    fresh(Effect.gen(function* () {
      const breaker = yield* make()
      for (let i = 0; i < 5; i++) {
        yield* Fiber.interrupt(yield* fork(breaker.use(Effect.never, () => "failure")))
      }
      expect(yield* breaker.state).toMatchObject({ phase: "closed", calls: 0 })
    })))

  // resilience4j #903
  it.effect("leaves half-open in time when its probe hangs", () =>
    fresh(Effect.gen(function* () {
      const breaker = yield* make({ probes: 1, probeTimeout: "2 seconds", openFor: "1 second" })
      yield* repeat(4, breaker.use(down))
      yield* TestClock.adjust("1 second")
      const hung = yield* fork(breaker.use(Effect.never))
      yield* TestClock.adjust("2 seconds")
      expect((yield* breaker.state).phase).toBe("open")
      yield* TestClock.adjust("1 second")
      expect(yield* repeat(1, breaker.use(Effect.void))).toEqual(["ok"])
      expect((yield* breaker.state).phase).toBe("closed")
      yield* Fiber.interrupt(hung)
    })))

  it.effect("asks the classifier, and survives one that throws", () =>
    fresh(Effect.gen(function* () {
      const breaker = yield* make({ probes: 1 })
      const notFound = breaker.use(Effect.fail(404), () => "success")
      expect(yield* repeat(10, notFound)).toEqual(Array.from({ length: 10 }, () => "404"))
      expect((yield* breaker.state).failureRate).toBe(0)
      yield* repeat(20, breaker.use(down))
      yield* TestClock.adjust("1 second")
      const broken = breaker.use(Effect.void, () => {
        throw new Error("oops")
      })
      expect(Exit.isFailure(yield* Effect.exit(broken))).toBe(true)
      expect(yield* repeat(1, breaker.use(Effect.void))).toEqual(["ok"])
    })))

  it.effect("takes the lengths of its openings from a schedule", () =>
    fresh(Effect.gen(function* () {
      const breaker = yield* make({ openFor: Schedule.exponential("100 millis", 3), probes: 1 })
      yield* repeat(4, breaker.use(down))
      const lengths: Array<number> = []
      for (let i = 0; i < 4; i++) {
        const { opensInMs } = yield* breaker.state
        lengths.push(opensInMs)
        yield* TestClock.adjust(opensInMs)
        yield* repeat(1, breaker.use(down))
      }
      expect(lengths).toEqual([100, 300, 900, 2700])
    })))

  it.effect("tells its transitions, to a slow subscriber the last ones", () =>
    fresh(Effect.gen(function* () {
      const breaker = yield* make({ probes: 1, openFor: "1 second" })
      const seen: Array<string> = []
      const subscriber = yield* fork(
        Stream.runForEach(
          breaker.transitions,
          ({ at, breaker, from, to }) =>
            Effect.sync(() => seen.push(`${breaker} ${from} ${to} ${at}`)),
        ),
      )
      yield* Effect.yieldNow
      yield* repeat(4, breaker.use(down))
      yield* TestClock.adjust("1 second")
      yield* repeat(1, breaker.use(Effect.void))
      yield* Effect.yieldNow
      yield* TestClock.adjust(0)
      expect(seen).toEqual([
        "prices closed open 0",
        "prices open half-open 1000",
        "prices half-open closed 1000",
      ])
      yield* Fiber.interrupt(subscriber)
    })))

  it.effect("is a bounded thing: open it has no place, and refuses tickets", () =>
    fresh(Effect.gen(function* () {
      const registry = yield* Saturation.Saturation
      const breaker = yield* make({ probes: 2 })
      expect(registry.get("prices")).toBe(breaker.bounded)
      expect(Refused.isRefusal(breaker.bounded.reserve({ now: 0, deadline: 1, service: 1 })))
        .toBe(false)
      yield* repeat(6, breaker.use(down))
      expect(breaker.bounded.stats(0)).toMatchObject({
        kind: "breaker",
        capacity: 2,
        predictedWaitMs: 1000,
        refused: { BreakerOpen: 2 },
      })
      expect(breaker.bounded.reserve({ now: 0, deadline: 1, service: 1 }))
        .toMatchObject({ _tag: "Refusal", reason: "BreakerOpen" })
      expect(breaker.bounded.stats(0).refused.BreakerOpen).toBe(3)
      expect([breaker.isOpen(999), breaker.isOpen(1000)]).toEqual([true, false])
    })))

  it.effect("says what is wrong with its options", () =>
    fresh(Effect.gen(function* () {
      const problems = yield* Effect.forEach([
        { failureRate: 0 },
        { minimumCalls: 0 },
        { window: { calls: 3 } },
        { probes: 0.5 },
        { jitter: 2 },
        { openFor: Schedule.recurs(0) },
        { probeTimeout: 0 },
      ], (options) =>
        Effect.map(Effect.exit(Effect.scoped(make(options))), (exit) =>
          Exit.isFailure(exit) && exit.cause.reasons[0]?._tag === "Die"
            ? String(exit.cause.reasons[0].defect).split(". ")[0]
            : "fine"))
      expect(problems).toEqual([
        'RangeError: Cannot make the breaker "prices": failureRate is 0',
        'RangeError: Cannot make the breaker "prices": minimumCalls is 0',
        'RangeError: Cannot make the breaker "prices": minimumCalls is 4, but the window has only 3 calls, so it would never open',
        'RangeError: Cannot make the breaker "prices": probes is 0.5',
        'RangeError: Cannot make the breaker "prices": jitter is 2',
        'RangeError: Cannot make the breaker "prices": openFor is a schedule without a first positive delay',
        'RangeError: Cannot make the breaker "prices": probeTimeout is not a positive duration.',
      ])
    })))
})
