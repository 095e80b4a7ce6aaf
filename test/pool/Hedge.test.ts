import { describe, expect, it } from "@effect/vitest"
import { Bulkhead, CancelReason, Deadline, Hedge, RetryBudget, Task } from "@weir/runtime"
import { Cause, Effect, Exit, Fiber, Logger, Option } from "effect"
import { TestClock } from "effect/testing"
import { clean } from "../task/support.ts"
import { fork, fresh, word } from "./support.ts"

const idempotent = true as const

/** Twenty calls of 100 ms each, so that it knows what is usual. */
const warm = (hedge: Hedge.Hedge) =>
  Effect.forEach(Array.from({ length: 20 }), () =>
    Effect.gen(function* () {
      const fiber = yield* fork(hedge.use(Effect.sleep(100)))
      yield* TestClock.adjust(100)
      yield* Fiber.join(fiber)
    }), { discard: true })

/** Each call takes the next of these times, and notes how it ended. */
const calls = (...times: ReadonlyArray<number>) => {
  const log: Array<string> = []
  let next = 0
  const effect = Effect.suspend(() => {
    const n = next++
    log.push(`${n} starts`)
    const time = times[n]!
    return (time < 0 ? Effect.andThen(Effect.sleep(-time), Effect.fail(`${n} failed`)) : Effect.as(
      Effect.sleep(time),
      n,
    )).pipe(Effect.onInterrupt(() =>
      Effect.map(CancelReason.current, (reason) => {
        log.push(
          `${n}: ${Option.match(reason, { onNone: () => "?", onSome: CancelReason.format })}`,
        )
      })
    ))
  })
  return { effect, log }
}

const test = (
  name: string,
  body: (hedge: Hedge.Hedge) => Effect.Effect<void, unknown>,
  options: Partial<Hedge.Options> = {},
) =>
  it.effect(name, () =>
    fresh(clean(() =>
      Effect.suspend(() => {
        const hedge = Hedge.make({ idempotent, ...options })
        return Effect.andThen(warm(hedge), body(hedge))
      })
    )))

describe("Hedge", () => {
  test("makes a second call after the usual time, takes the first answer, cancels the other", (hedge) =>
    Effect.gen(function* () {
      const { effect, log } = calls(10_000, 50)
      const fiber = yield* fork(hedge.use(effect))
      yield* TestClock.adjust(99)
      expect(log).toEqual(["0 starts"])
      yield* TestClock.adjust(1)
      expect(log).toEqual(["0 starts", "1 starts"])
      yield* TestClock.adjust(50)
      expect(yield* Fiber.join(fiber)).toBe(1)
      expect(log[2]).toBe("0: requested by Hedge: the other call was quicker")
      expect((yield* hedge.stats).sent).toBe(1)
    }))

  test("lets the first call win after all", (hedge) =>
    Effect.gen(function* () {
      const { effect, log } = calls(150, 1000)
      const fiber = yield* fork(hedge.use(effect))
      yield* TestClock.adjust(150)
      expect([yield* Fiber.join(fiber), log.at(-1)])
        .toEqual([0, "1: requested by Hedge: the other call was quicker"])
    }))

  test("makes one call when it is quick, or fails", (hedge) =>
    Effect.gen(function* () {
      const { effect, log } = calls(99, -20)
      const quick = yield* fork(hedge.use(effect))
      yield* TestClock.adjust(99)
      expect(yield* Fiber.join(quick)).toBe(0)
      const failed = yield* fork(hedge.use(effect))
      yield* TestClock.adjust(1000)
      expect(word(yield* Fiber.await(failed))).toBe("1 failed")
      expect(log).toEqual(["0 starts", "1 starts"])
    }))

  test("waits for the other call when one of two fails, and passes on the first failure", (hedge) =>
    Effect.gen(function* () {
      const one = calls(-150, 200)
      const rescued = yield* fork(hedge.use(one.effect))
      yield* TestClock.adjust(1000)
      expect(word(yield* Fiber.await(rescued))).toBe("ok")
      const both = calls(-150, -200)
      const lost = yield* fork(hedge.use(both.effect))
      yield* TestClock.adjust(1000)
      expect(word(yield* Fiber.await(lost))).toBe("0 failed")
    }))

  test("knows too little before 20 successes", () =>
    Effect.gen(function* () {
      const { effect, log } = calls(10_000)
      const fiber = yield* fork(Hedge.make({ idempotent }).use(effect))
      yield* TestClock.adjust(5000)
      yield* Fiber.interrupt(fiber)
      expect(log.filter((line) => line.endsWith("starts"))).toEqual(["0 starts"])
    }))

  test("does not begin what would hardly be back in time", (hedge) =>
    Effect.gen(function* () {
      const { effect, log } = calls(10_000, 10, 10_000, 10)
      const short = yield* fork(hedge.use(effect).pipe(Deadline.within(200)))
      yield* TestClock.adjust(1000)
      expect([word(yield* Fiber.await(short)), log[1]])
        .toEqual(["DeadlineExceeded", "0: deadline exceeded"])
      const long = yield* fork(hedge.use(effect).pipe(Deadline.within(201)))
      yield* TestClock.adjust(1000)
      expect(word(yield* Fiber.await(long))).toBe("ok")
    }))

  test("draws on its budget", (hedge) =>
    Effect.gen(function* () {
      const { effect, log } = calls(1000, 1000)
      const fiber = yield* fork(hedge.use(effect))
      yield* TestClock.adjust(1000)
      yield* Fiber.join(fiber)
      expect(log).toEqual(["0 starts"])
    }), { budget: RetryBudget.make({ minimum: 0, ratio: 0 }) })

  test("is quiet for a second after an answer that asks for less", (hedge) =>
    Effect.gen(function* () {
      yield* Effect.exit(hedge.use(Effect.fail({ retryAfterMs: 1 })))
      const { effect, log } = calls(500, 500, 500)
      const fiber = yield* fork(hedge.use(effect))
      yield* TestClock.adjust(500)
      yield* Fiber.join(fiber)
      expect(log).toEqual(["0 starts"])
      yield* TestClock.adjust(500)
      const later = yield* fork(hedge.use(effect))
      yield* TestClock.adjust(500)
      yield* Fiber.join(later)
      expect(log.slice(1, 3)).toEqual(["1 starts", "2 starts"])
    }))

  test("is quiet for a minute at most, whatever an answer asks for", (hedge) =>
    Effect.gen(function* () {
      yield* Effect.exit(hedge.use(Effect.fail({ retryAfterMs: Infinity })))
      yield* TestClock.adjust("59 seconds")
      expect((yield* hedge.stats).afterMs).toBe(0)
      yield* TestClock.adjust("1 second")
      expect((yield* hedge.stats).afterMs).toBe(100)
    }))

  test("does not lose what a cleanup dies of when its caller is interrupted", (hedge) =>
    Effect.gen(function* () {
      let calls = 0
      const dies = Effect.suspend(() => {
        const n = calls++
        return Effect.onInterrupt(Effect.never, () => Effect.die(`cleanup ${n}`))
      })
      const fiber = yield* fork(hedge.use(dies))
      yield* TestClock.adjust(200)
      yield* Fiber.interrupt(fiber)
      const exit = yield* Fiber.await(fiber)
      const reasons = Exit.isFailure(exit) ? exit.cause.reasons : []
      expect(reasons.filter(Cause.isDieReason).map(({ defect }) => defect).sort())
        .toEqual(["cleanup 0", "cleanup 1"])
    }))

  it.effect("tells what the cleanup of the loser dies of", () => {
    const logged: Array<string> = []
    const logger = Logger.make(({ cause, message }) => {
      logged.push(`${message} ${Cause.pretty(cause)}`)
    })
    return fresh(clean(() =>
      Effect.gen(function* () {
        const hedge = Hedge.make({ idempotent })
        yield* warm(hedge)
        let calls = 0
        const effect = Effect.suspend(() =>
          calls++ > 0
            ? Effect.succeed("quick")
            : Effect.onInterrupt(Effect.never, () => Effect.die("in the cleanup"))
        )
        const fiber = yield* fork(hedge.use(effect))
        yield* TestClock.adjust(100)
        expect(yield* Fiber.join(fiber)).toBe("quick")
        expect(logged.length).toBe(1)
        expect(logged[0]).toContain("in the cleanup")
      })
    )).pipe(Effect.provide(Logger.layer([logger])))
  })

  test("in a finalizer a wait still ends with the time for it", (hedge) =>
    Effect.scoped(Effect.gen(function* () {
      const full = yield* Bulkhead.make({ name: "full", capacity: 1 })
      yield* fork(full.use(Effect.never))
      let ended: string | undefined
      const release = Effect.map(
        Effect.exit(hedge.use(full.use(Effect.void))),
        (exit) => ended = word(exit),
      )
      const task = yield* fork(
        Task.run("work", Effect.onExit(Effect.never, () => release), { cleanup: "1 second" }),
      )
      yield* fork(Fiber.interrupt(task))
      yield* TestClock.adjust("40 seconds")
      expect(ended).toBe("Late")
    })))

  test("interrupts both calls when its caller is", (hedge) =>
    Effect.gen(function* () {
      const { effect, log } = calls(10_000, 10_000)
      const fiber = yield* fork(hedge.use(effect))
      yield* TestClock.adjust(200)
      yield* Fiber.interrupt(fiber)
      expect(log).toEqual(["0 starts", "1 starts", "0: ?", "1: ?"])
    }))

  test("keeps the winner waiting for a hanging cleanup at most a second", (hedge) =>
    Effect.gen(function* () {
      let n = 0
      const effect = Effect.suspend(() =>
        n++ === 0
          ? Effect.onInterrupt(Effect.never, () => Effect.sleep("1 minute"))
          : Effect.succeed("second")
      )
      const fiber = yield* fork(hedge.use(effect))
      yield* TestClock.adjust(100 + 999)
      expect(fiber.pollUnsafe()).toBe(undefined)
      yield* TestClock.adjust(1)
      expect(yield* Fiber.join(fiber)).toBe("second")
      yield* TestClock.adjust("1 minute")
    }))

  it.effect("does not hedge into a busy target, and gives the loser's slot back", () =>
    fresh(Effect.gen(function* () {
      const slots = yield* Bulkhead.make({ name: "slots", capacity: 10 })
      const hedge = Hedge.make({ idempotent, target: slots.bounded })
      yield* warm(hedge)
      const others = yield* Effect.forEach(
        Array.from({ length: 6 }),
        () => fork(slots.use(Effect.never)),
      )
      const busy = calls(1000)
      const seven = yield* fork(slots.use(Effect.never))
      const first = yield* fork(hedge.use(slots.use(busy.effect)))
      yield* TestClock.adjust(1000)
      expect([yield* Fiber.join(first), busy.log]).toEqual([0, ["0 starts"]])
      yield* Effect.forEach([...others.slice(1), seven], Fiber.interrupt)
      const { effect, log } = calls(10_000, 10)
      const second = yield* fork(hedge.use(slots.use(effect)))
      yield* TestClock.adjust(100)
      expect((yield* slots.stats).inUse).toBe(3)
      yield* TestClock.adjust(10)
      expect([yield* Fiber.join(second), log.length]).toEqual([1, 3])
      expect((yield* slots.stats).inUse).toBe(1)
    })))

  it("says what is wrong with its options", () => {
    expect(() => Hedge.make({ idempotent, percentile: 0.2 })).toThrow("percentile is 0.2")
    expect(() => Hedge.make({ idempotent, maxUtilization: 0 })).toThrow("maxUtilization is 0")
  })
})
