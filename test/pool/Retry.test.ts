import { describe, expect, it } from "@effect/vitest"
import { Deadline, Refused, Retry, RetryBudget, Task } from "@weir/runtime"
import { Clock, Duration, Effect, Exit, Fiber, Schedule, Schema, Scope } from "effect"
import { TestClock } from "effect/testing"
import { clean } from "../task/support.ts"
import { fork, fresh, word } from "./support.ts"

/** Fails so often, and notes when it was called. */
const failing = <E>(times: number, error: E) => {
  const at: Array<number> = []
  const effect = Effect.flatMap(Clock.currentTimeMillis, (now) => {
    at.push(now)
    return at.length <= times ? Effect.fail(error) : Effect.succeed(at.length)
  })
  return { at, effect }
}

const every = (input: Duration.Input) => Schedule.spaced(input)
const idempotent = true as const

const facts = {
  kind: "pool",
  resource: "database",
  inUse: 10,
  capacity: 10,
  waiting: 3,
  predictedWaitMs: 40,
  retryAfterMs: 700,
}

/** The first waits of a schedule. */
const waits = (schedule: Schedule.Schedule<unknown>, n: number) =>
  Effect.gen(function* () {
    const step = yield* Schedule.toStep(schedule)
    const all: Array<number> = []
    for (let i = 0; i < n; i++) {
      const [, delay] = yield* Effect.orDie(step(0, undefined))
      all.push(Duration.toMillis(delay))
    }
    return all
  })

const done = <A, E>(fiber: Fiber.Fiber<A, E>) => Effect.map(Fiber.await(fiber), word)

describe("schedules", () => {
  it.effect("full jitter waits anything up to an exponential bound", () =>
    Effect.gen(function* () {
      const runs = yield* Effect.forEach(
        Array.from({ length: 200 }, (_, seed) => seed),
        (seed) => fresh(waits(Retry.fullJitter({ base: 100, cap: 1000 }), 6), seed),
      )
      const bounds = [100, 200, 400, 800, 1000, 1000]
      for (const [i, bound] of bounds.entries()) {
        const nth = runs.map((run) => run[i]!)
        expect(Math.max(...nth)).toBeLessThanOrEqual(bound)
        // Not the fifth that Effect's own jitter moves it by.
        expect(Math.min(...nth)).toBeLessThan(0.05 * bound)
        expect(nth.reduce((a, b) => a + b, 0) / nth.length / bound).toBeCloseTo(0.5, 0)
      }
    }))

  it.effect("decorrelated jitter waits from its base to three times the wait before", () =>
    Effect.gen(function* () {
      for (let seed = 1; seed <= 100; seed++) {
        const all = yield* fresh(waits(Retry.decorrelatedJitter({ base: 100, cap: 1000 }), 8), seed)
        for (const [i, wait] of all.entries()) {
          const most = Math.min(1000, 3 * (all[i - 1] ?? 100))
          expect([seed, wait >= 100 && wait <= most]).toEqual([seed, true])
        }
      }
    }))

  it("say what is wrong with their bounds", () => {
    expect(() => Retry.fullJitter({ base: 100, cap: 10 })).toThrow("from 100 to 10 ms")
  })
})

describe("Retry", () => {
  it("leaves refusals of ours alone, and asks another Weir service again unless that is hopeless", () => {
    const hints = (["QueueFull", "Infeasible"] as const).map((reason) => {
      const own = Refused.fromRefusal({ _tag: "Refusal", reason, ...facts })
      // As a typed client gets it.
      const decoded = Schema.decodeUnknownSync(Refused.Refused)(
        Schema.encodeSync(Refused.Refused)(own),
      )
      expect([Refused.isOwn(own), Refused.isOwn(decoded)]).toEqual([true, false])
      expect(Retry.hint(own, 0)).toEqual({ retry: false })
      return Retry.hint(decoded, 0)
    })
    expect(hints).toEqual([
      { retryAfterMs: 700, pushback: true },
      { retry: false, retryAfterMs: 700, pushback: true },
    ])
  })

  it.effect("runs again after its wait, and passes on the last failure", () =>
    fresh(Effect.gen(function* () {
      const { at, effect } = failing(5, "down")
      const fiber = yield* fork(effect.pipe(
        Retry.retry({ idempotent, attempts: 3, schedule: every(100) }),
      ))
      yield* TestClock.adjust("1 second")
      expect([yield* done(fiber), at]).toEqual(["down", [0, 100, 200]])
    })))

  it.effect("does not retry defects, cancels, nor refusals of ours", () =>
    fresh(Effect.gen(function* () {
      let calls = 0
      const counted = <E>(effect: Effect.Effect<never, E>) =>
        Retry.retry<E>({ idempotent, schedule: every(1) })(Effect.suspend(() => {
          calls++
          return effect
        }))
      const refusal = Refused.fromRefusal({
        _tag: "Refusal",
        reason: "QueueFull",
        kind: "pool",
        resource: "x",
        inUse: 1,
        capacity: 1,
        waiting: 0,
        predictedWaitMs: 0,
        retryAfterMs: 1,
      })
      for (const effect of [Effect.die("bug"), Effect.interrupt, Effect.fail(refusal)]) {
        yield* Effect.exit(counted(effect))
      }
      expect(calls).toBe(3)
    })))

  it.effect("waits for as long as the error asks, but not for ever", () =>
    fresh(Effect.gen(function* () {
      const patient = failing(1, { retryAfterMs: 700 })
      const fiber = yield* fork(
        patient.effect.pipe(Retry.retry({ idempotent, schedule: every(10) })),
      )
      yield* TestClock.adjust(699)
      expect(patient.at).toEqual([0])
      yield* TestClock.adjust(1)
      expect([yield* done(fiber), patient.at]).toEqual(["ok", [0, 700]])
      const endless = failing(1, { retryAfterMs: 3_600_000 })
      expect(Exit.isFailure(
        yield* Effect.exit(
          endless.effect.pipe(Retry.retry({ idempotent })),
        ),
      )).toBe(true)
    })))

  it.effect("honours that trying again is not wanted", () =>
    fresh(Effect.gen(function* () {
      const never = failing(1, { retryable: false })
      yield* Effect.exit(never.effect.pipe(Retry.retry({ idempotent, schedule: every(1) })))
      expect(never.at).toEqual([0])
      const by = failing(1, "no")
      yield* Effect.exit(by.effect.pipe(
        Retry.retry({ idempotent, schedule: every(1), hint: (e) => ({ retry: e !== "no" }) }),
      ))
      expect(by.at.length).toBe(1)
    })))

  it.effect("does not begin what cannot end before the deadline", () =>
    fresh(clean(() =>
      Effect.gen(function* () {
        const { at, effect } = failing(9, "down")
        const retried = (expected: number) =>
          effect.pipe(
            Retry.retry({ idempotent, attempts: 9, schedule: every(100), expected }),
            Deadline.within(350),
          )
        const first = yield* fork(retried(0))
        yield* TestClock.adjust("1 second")
        expect([yield* done(first), at.splice(0)]).toEqual(["down", [0, 100, 200, 300]])
        const second = yield* fork(retried(200))
        yield* TestClock.adjust("1 second")
        expect([yield* done(second), at]).toEqual(["down", [1000, 1100]])
      })
    )))

  // envoy #30205
  it.effect("charges the budget when it schedules: of 1,000 failures at once 203 are tried again", () =>
    fresh(Effect.gen(function* () {
      const budget = RetryBudget.make()
      let calls = 0
      const call = Effect.suspend(() => {
        calls++
        return Effect.fail("down")
      }).pipe(Retry.retry({ idempotent, attempts: 2, schedule: every("5 seconds"), budget }))
      const fibers = yield* Effect.forEach(Array.from({ length: 1000 }), () => {
        budget.deposit(0)
        return fork(Effect.exit(call))
      })
      expect(calls).toBe(1000)
      yield* TestClock.adjust("10 seconds")
      expect(calls).toBe(1203)
      yield* Effect.forEach(fibers, Fiber.join)
    })))

  it.effect("is done by one layer: three layers of three attempts are three calls", () =>
    fresh(Effect.gen(function* () {
      const { at, effect } = failing(99, "down")
      const layer = Retry.retry<unknown>({ idempotent, attempts: 3, schedule: every(10) })
      const fiber = yield* fork(layer(Task.run("step", layer(layer(effect)))))
      yield* TestClock.adjust("1 second")
      expect([yield* done(fiber), at]).toEqual(["down", [0, 10, 20]])
    })))

  it.effect("is done by each layer of its own, one after the other, and by detached tasks", () =>
    fresh(clean(() =>
      Effect.gen(function* () {
        const one = failing(99, "one")
        const two = failing(99, "two")
        const apart = failing(99, "apart")
        const layer = Retry.retry<string>({ idempotent, attempts: 2, schedule: every(10) })
        const body = Effect.gen(function* () {
          yield* Effect.exit(layer(one.effect))
          yield* Effect.exit(layer(two.effect))
          yield* Effect.exit(layer(Effect.andThen(
            Effect.scoped(Effect.flatMap(
              Task.start("apart", layer(apart.effect), { detached: true }),
              (task) => task.await,
            )),
            Effect.fail("own"),
          )))
        })
        const fiber = yield* fork(Task.run("request", body))
        yield* TestClock.adjust("1 second")
        expect(yield* done(fiber)).toBe("ok")
        expect([one.at.length, two.at.length, apart.at.length]).toEqual([2, 2, 4])
      })
    )))

  it.effect("is done by what an attempt outside of any task leaves behind", () =>
    fresh(clean(() =>
      Effect.gen(function* () {
        const task = failing(99, "task")
        const fiber = failing(99, "fiber")
        const layer = Retry.retry<string>({ idempotent, attempts: 2, schedule: every(10) })
        yield* Effect.scoped(Effect.gen(function* () {
          const scope = yield* Effect.scope
          yield* layer(Effect.gen(function* () {
            const started = Task.start("apart", layer(task.effect), { detached: true })
            yield* Effect.forkIn(
              Effect.andThen(Effect.sleep(5), Effect.exit(layer(fiber.effect))),
              scope,
            )
            yield* Effect.provideService(started, Scope.Scope, scope)
          }))
          yield* TestClock.adjust("1 second")
          expect([task.at.length, fiber.at.length]).toEqual([2, 2])
        }))
      })
    )))

  it.effect("ends its wait when it is interrupted", () =>
    fresh(Effect.gen(function* () {
      const { at, effect } = failing(9, "down")
      const fiber = yield* fork(
        effect.pipe(Retry.retry({ idempotent, schedule: every("9 seconds") })),
      )
      yield* Fiber.interrupt(fiber)
      expect([yield* done(fiber), at.length]).toEqual(["interrupt", 1])
    })))
})
