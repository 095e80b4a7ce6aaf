import { describe, expect, it } from "@effect/vitest"
import { Deadline, Dependency, Metrics, Refused, Retry, Saturation, Task } from "@weir/runtime"
import { Effect, Exit, Fiber, Schedule, Stream } from "effect"
import { TestClock } from "effect/testing"
import { CancelScope, CurrentScope, root } from "../../src/task/scope.ts"
import { random } from "../support/random.ts"
import { clean } from "../task/support.ts"
import { fork, fresh, repeat, tally, word } from "./support.ts"

const every = (ms: number) => Schedule.spaced(ms)

const make = (options: Partial<Dependency.Options> = {}) =>
  Dependency.make({ name: "prices", retry: { schedule: every(10) }, ...options })

const down = Effect.fail("down")

describe("Dependency", () => {
  it.effect("tries idempotent calls again, and no others", () =>
    fresh(Effect.gen(function* () {
      const prices = yield* make()
      let calls = 0
      const flaky = Effect.suspend(() => ++calls % 3 === 0 ? Effect.succeed(calls) : down)
      expect(yield* repeat(1, prices.call(flaky))).toEqual(["down"])
      calls = 0
      const fiber = yield* fork(prices.call(flaky, { idempotent: true }))
      yield* TestClock.adjust(20)
      expect(yield* Fiber.join(fiber)).toBe(3)
      expect((yield* prices.stats).attempts).toEqual({ first: 2, retry: 2, hedge: 0 })
    })))

  it.effect("is not itself retried into by what is within, nor does it retry below an outer layer", () =>
    fresh(Effect.gen(function* () {
      const outer = yield* make({ name: "outer", breaker: false })
      const inner = yield* make({ name: "inner", breaker: false })
      let calls = 0
      const call = Effect.suspend(() => {
        calls++
        return down
      })
      const nested = outer.call(inner.call(call, { idempotent: true }), { idempotent: true })
      const fiber = yield* fork(
        Effect.exit(nested.pipe(Retry.retry({ idempotent: true, schedule: every(10) }))),
      )
      yield* TestClock.adjust("1 second")
      expect([word(yield* Fiber.join(fiber)), calls]).toEqual(["down", 3])
    })))

  it.effect("bounds each attempt, and holds its slot until that has really ended", () =>
    fresh(clean(() =>
      Effect.gen(function* () {
        const prices = yield* make({ timeout: 100, limit: 1 })
        let running = 0
        let most = 0
        const stubborn = Effect.suspend(() => {
          most = Math.max(most, ++running)
          return Effect.onExit(Effect.never, () =>
            Effect.andThen(Effect.sleep(300), Effect.sync(() => running--)))
        })
        const fibers = [
          yield* fork(prices.call(stubborn)),
          yield* fork(prices.call(stubborn)),
        ]
        yield* TestClock.adjust(100)
        expect((yield* prices.stats).inUse).toBe(1)
        yield* TestClock.adjust(2000)
        const words = yield* Effect.forEach(fibers, (_) =>
          Effect.map(Fiber.await(_), word))
        expect([words, most]).toEqual([["DeadlineExceeded", "DeadlineExceeded"], 1])
      })
    )))

  it.effect("gives a call all in all the time that it asks for", () =>
    fresh(Effect.gen(function* () {
      const prices = yield* make({ timeout: 400 })
      const fiber = yield* fork(prices.call(Effect.never, { deadline: 300 }))
      yield* TestClock.adjust(299)
      expect(fiber.pollUnsafe()).toBe(undefined)
      yield* TestClock.adjust(1)
      expect(word(yield* Fiber.await(fiber))).toBe("DeadlineExceeded")
    })))

  it.effect("tells the failure, not that its retry could not end in time", () =>
    fresh(Effect.gen(function* () {
      const prices = yield* make({ timeout: 400 })
      const fiber = yield* fork(
        prices.call(Effect.never, { idempotent: true, deadline: "1 second" }),
      )
      // The second began at 410 ms. A third, at 820, takes longer than there is time: so it is
      // refused, but what the caller should know is that the dependency does not answer.
      yield* TestClock.adjust(820)
      expect(word(yield* Fiber.await(fiber))).toBe("DeadlineExceeded")
      const { attempts, refused } = yield* prices.stats
      expect([attempts.first, attempts.retry, refused.Infeasible]).toEqual([1, 1, 1])
    })))

  it.effect("opens its breaker on failures, not on refusals of its own line", () =>
    fresh(Effect.gen(function* () {
      const prices = yield* make({ limit: 2, queueCapacity: 0, breaker: { minimumCalls: 4 } })
      const fibers = yield* Effect.forEach(
        Array.from({ length: 30 }),
        () => fork(Effect.exit(prices.call(Effect.sleep(10)))),
      )
      yield* TestClock.adjust(10)
      const words = yield* Effect.forEach(fibers, (_) => Effect.map(Fiber.join(_), word))
      expect(tally(words)).toEqual({ ok: 2, QueueFull: 28 })
      expect((yield* prices.stats).breaker).toMatchObject({ phase: "closed", calls: 2 })
      expect(tally(yield* repeat(10, prices.call(down)))).toEqual({ down: 2, BreakerOpen: 8 })
    })))

  it.effect("sends nothing that waited in line while the breaker opened", () =>
    fresh(Effect.gen(function* () {
      const prices = yield* make({ limit: 4, breaker: { minimumCalls: 4 } })
      let calls = 0
      const slow = Effect.andThen(
        Effect.sync(() => calls++),
        Effect.andThen(Effect.sleep(100), down),
      )
      const fibers = yield* Effect.forEach(
        Array.from({ length: 40 }),
        () => fork(Effect.exit(prices.call(slow))),
      )
      yield* TestClock.adjust(200)
      const words = yield* Effect.forEach(fibers, (_) => Effect.map(Fiber.join(_), word))
      expect(tally(words)).toEqual({ down: calls, BreakerOpen: 40 - calls })
      // The first slots that come back are handed on before the last of four has failed.
      expect([calls <= 7, (yield* prices.stats).refused.BreakerOpen]).toEqual([true, 40 - calls])
    })))

  it.effect("does not hold cancels against it, but a call that hangs past its caller's deadline", () =>
    fresh(clean(() =>
      Effect.gen(function* () {
        const failures = (
          name: string,
          end: (work: Effect.Effect<never>) => Effect.Effect<void, unknown>,
        ) =>
          Effect.gen(function* () {
            const prices = yield* make({ name, breaker: { minimumCalls: 100 } })
            for (let i = 0; i < 20; i++) {
              const quick = yield* fork(prices.call(Effect.sleep(10)))
              yield* TestClock.adjust(10)
              yield* Fiber.join(quick)
            }
            yield* end(prices.call(Effect.never) as Effect.Effect<never>)
            const { breaker } = yield* prices.stats
            return Math.round(breaker.failureRate * breaker.calls)
          })
        const under = (ms: number) => (work: Effect.Effect<never>) =>
          Effect.gen(function* () {
            const fiber = yield* fork(Effect.exit(Deadline.within(ms)(work)))
            yield* TestClock.adjust(ms)
            expect(word(yield* Fiber.join(fiber))).toBe("DeadlineExceeded")
          })
        const left = (work: Effect.Effect<never>) =>
          Effect.gen(function* () {
            const fiber = yield* fork(work)
            yield* TestClock.adjust(5000)
            yield* Fiber.interrupt(fiber)
          })
        expect(yield* failures("left", left)).toBe(0)
        // Three times the p95 is 30 ms.
        expect(yield* failures("short", under(30))).toBe(0)
        expect(yield* failures("long", under(31))).toBe(1)
      })
    )))

  it.effect("refuses with its reason and numbers, and is seen under its name", () =>
    fresh(Effect.gen(function* () {
      const registry = yield* Saturation.Saturation
      const prices = yield* make({ breaker: { minimumCalls: 2, jitter: 0 } })
      expect(registry.get("prices")).toBe(prices.bounded)
      yield* repeat(2, prices.call(down))
      const refused = yield* Effect.flip(prices.call(Effect.void))
      expect(refused).toBeInstanceOf(Refused.Refused)
      expect(refused).toMatchObject({
        reason: "BreakerOpen",
        kind: "dependency",
        resource: "prices",
        predictedWaitMs: 1000,
        retryAfterMs: 1000,
      })
      expect(registry.snapshot(0)).toMatchObject([{
        kind: "dependency",
        name: "prices",
        predictedWaitMs: 1000,
        refused: { BreakerOpen: 1 },
      }])
      expect([prices.isOpen(0), prices.isOpen(1000)]).toEqual([true, false])
    })))

  it.effect("gives tickets that its call redeems, and none while its breaker is open", () =>
    fresh(Effect.gen(function* () {
      const prices = yield* make({ limit: 1, breaker: { minimumCalls: 2, jitter: 0 } })
      const ask = { now: 0, deadline: Infinity, service: undefined }
      const ticket = prices.bounded.reserve(ask)
      if (Refused.isRefusal(ticket)) throw new Error(ticket.reason)
      expect((yield* prices.stats).tickets).toBe(1)
      const frame = new CancelScope(
        root,
        Infinity,
        { waitedMs: 0, waitingOn: undefined },
        [ticket],
        undefined,
      )
      yield* Effect.provideService(prices.call(Effect.void), CurrentScope, frame)
      expect([ticket.open, (yield* prices.stats).tickets]).toEqual([false, 0])
      yield* repeat(2, prices.call(down))
      expect(prices.bounded.reserve(ask)).toMatchObject({ reason: "BreakerOpen" })
      expect(prices.bounded.stats(0).refused.BreakerOpen).toBe(2)
    })))

  it.effect("hedges only when asked to, and only idempotent calls", () =>
    fresh(Effect.gen(function* () {
      const run = (hedge: boolean, idempotent: boolean) =>
        Effect.gen(function* () {
          const prices = yield* Dependency.make({ name: `${hedge} ${idempotent}`, hedge })
          for (let i = 0; i < 20; i++) {
            const quick = yield* fork(prices.call(Effect.sleep(10)))
            yield* TestClock.adjust(10)
            yield* Fiber.join(quick)
          }
          let n = 0
          const slowAtFirst = Effect.suspend(() => Effect.sleep(n++ === 0 ? 5000 : 10))
          const fiber = yield* fork(prices.call(slowAtFirst, { idempotent }))
          yield* TestClock.adjust(20)
          const ended = fiber.pollUnsafe() !== undefined
          yield* TestClock.adjust(5000)
          yield* Fiber.join(fiber)
          const { attempts, inUse } = yield* prices.stats
          return [ended, attempts.hedge, inUse]
        })
      expect(yield* run(true, true)).toEqual([true, 1, 0])
      expect(yield* run(true, false)).toEqual([false, 0, 0])
      expect(yield* run(false, true)).toEqual([false, 0, 0])
    })))

  it.effect("takes what an error says about trying again from its hint", () =>
    fresh(Effect.gen(function* () {
      const prices = yield* make({
        breaker: { minimumCalls: 5 },
        hint: (error) => error === "not found" ? { retry: false, failure: false } : {},
      })
      let calls = 0
      const notFound = Effect.suspend(() => {
        calls++
        return Effect.fail("not found")
      })
      yield* repeat(20, prices.call(notFound, { idempotent: true }))
      expect(calls).toBe(20)
      expect((yield* prices.stats).breaker).toMatchObject({ phase: "closed", failureRate: 0 })
    })))

  // The amplification of a storm: 1,000 calls, all of which fail, over 20 seconds.
  it.effect("sends no more than one call in ten twice under total failure, breaker or not", () =>
    fresh(Effect.gen(function* () {
      const run = (options: Partial<Dependency.Options>) =>
        Effect.gen(function* () {
          const prices = yield* make({ name: JSON.stringify(options), ...options })
          const fibers = []
          for (let i = 0; i < 1000; i++) {
            fibers.push(yield* fork(Effect.exit(prices.call(down, { idempotent: true }))))
            yield* TestClock.adjust(20)
          }
          yield* TestClock.adjust("10 seconds")
          yield* Effect.forEach(fibers, Fiber.join)
          const { attempts, calls } = yield* prices.stats
          expect(calls).toBe(1000)
          return (attempts.first + attempts.retry + attempts.hedge) / calls
        })
      expect(yield* run({})).toBeLessThan(0.1)
      expect(yield* run({ breaker: false })).toBeLessThan(0.4)
      const bare = yield* run({ breaker: false, throttle: false })
      expect([bare > 1.15, bare < 1.21]).toEqual([true, true])
    })))

  it.effect("is itself again within two seconds and a probe of the end of an outage", () =>
    fresh(Effect.gen(function* () {
      for (const seconds of [10, 300]) {
        const prices = yield* make({ name: `${seconds}` })
        let broken = false
        const call = Effect.suspend(() => broken ? down : Effect.succeed("ok"))
        const second = Effect.gen(function* () {
          const fibers = []
          for (let i = 0; i < 50; i++) {
            fibers.push(yield* fork(Effect.exit(prices.call(call, { idempotent: true }))))
            yield* TestClock.adjust(20)
          }
          return tally(yield* Effect.forEach(fibers, (_) => Effect.map(Fiber.join(_), word)))
        })
        for (let i = 0; i < 5; i++) yield* second
        broken = true
        for (let i = 0; i < seconds; i++) yield* second
        broken = false
        const { breaker } = yield* prices.stats
        expect([breaker.phase, breaker.opensInMs <= 30_000]).toEqual(["open", true])
        yield* TestClock.adjust(breaker.opensInMs)
        yield* second
        expect(yield* second).toEqual({ ok: 50 })
      }
    })))

  it.effect("leaks no slot, ticket, probe or timer over random cancels, timeouts and failures", () =>
    Effect.gen(function* () {
      for (let seed = 1; seed <= 15; seed++) {
        yield* fresh(
          clean(() =>
            Effect.scoped(Effect.gen(function* () {
              const u = random(seed)
              const prices = yield* make({
                limit: 1 + Math.floor(u() * 4),
                queueCapacity: Math.floor(u() * 8),
                timeout: 20 + Math.floor(u() * 60),
                hedge: u() < 0.5,
                breaker: { minimumCalls: 5, probeTimeout: 200, openFor: 50 },
                budget: { ratio: 1 },
              })
              let running = 0
              const limit = (yield* prices.stats).capacity
              const call = Effect.suspend(() => {
                if (++running > limit) throw new Error(`seed ${seed}: ${running} of ${limit}`)
                const time = Math.floor(u() * 100)
                return (u() < 0.3 ? Effect.andThen(Effect.sleep(time), down) : Effect.sleep(time))
                  .pipe(Effect.ensuring(Effect.sync(() => running--)))
              })
              const fibers: Array<Fiber.Fiber<unknown, unknown>> = []
              for (let i = 0; i < 300; i++) {
                const work = prices.call(call, { idempotent: u() < 0.7, deadline: 1 + u() * 300 })
                fibers.push(yield* fork(Effect.exit(u() < 0.3 ? Task.run("step", work) : work)))
                if (u() < 0.5) yield* TestClock.adjust(Math.floor(u() * 20))
                if (u() < 0.3) {
                  yield* fork(Fiber.interrupt(fibers[Math.floor(u() * fibers.length)]!))
                }
              }
              yield* TestClock.adjust("1 minute")
              yield* Effect.forEach(fibers, Fiber.await)
              const { attempts, inUse, waiting, tickets } = yield* prices.stats
              expect([seed, running, inUse, waiting, tickets]).toEqual([seed, 0, 0, 0, 0])
              expect(attempts.first).toBeGreaterThan(10)
              // No probe was lost: the breaker finds out.
              const last = yield* fork(Effect.exit(prices.call(Effect.void)))
              yield* TestClock.adjust("1 minute")
              expect([seed, word(yield* Fiber.join(last))]).toEqual([seed, "ok"])
            }))
          ),
          seed,
        )
      }
    }))

  it.effect("shows its counts in the metrics", () =>
    fresh(Effect.gen(function* () {
      const prices = yield* make({ breaker: { minimumCalls: 3 } })
      yield* repeat(2, prices.call(Effect.void))
      const fiber = yield* fork(Effect.exit(prices.call(down, { idempotent: true })))
      yield* TestClock.adjust(100)
      yield* Fiber.join(fiber)
      const page = yield* Metrics.render
      const lines = page.split("\n").filter((line) =>
        line.startsWith("weir_dependency") && !line.endsWith(" 0") && !line.includes("_bucket")
      )
      expect(lines).toEqual([
        'weir_dependency_calls_total{name="prices"} 3',
        'weir_dependency_attempts_total{name="prices",kind="first",outcome="success"} 2',
        'weir_dependency_attempts_total{name="prices",kind="first",outcome="failure"} 1',
        'weir_dependency_attempts_total{name="prices",kind="retry",outcome="failure"} 1',
        'weir_dependency_retries_denied_total{name="prices",reason="hint"} 1',
        'weir_dependency_duration_seconds_count{name="prices"} 4',
        'weir_dependency_breaker_state{name="prices"} 2',
        'weir_dependency_failure_ratio{name="prices"} 0.5',
        expect.stringMatching(/^weir_dependency_retry_budget\{name="prices"\} 1\.6/),
      ])
    })))

  it.effect("tells the transitions of its breaker", () =>
    fresh(Effect.gen(function* () {
      const prices = yield* make({ breaker: { minimumCalls: 2 } })
      const first = yield* fork(Stream.runHead(prices.transitions))
      yield* Effect.yieldNow
      yield* repeat(2, prices.call(down))
      yield* TestClock.adjust(0)
      expect(yield* Fiber.join(first)).toMatchObject({ value: { from: "closed", to: "open" } })
    })))

  it.effect("says what is wrong with its options", () =>
    fresh(Effect.gen(function* () {
      const wrong: ReadonlyArray<Partial<Dependency.Options>> = [
        { limit: 0 },
        { limit: { min: 0 } },
        { timeout: 0 },
        { breaker: { failureRate: 2 } },
        { throttle: { k: 1 } },
        { hedge: { percentile: 1 } },
        { retry: { attempts: 0 } },
        { budget: { ratio: -1 } },
      ]
      for (const options of wrong) {
        const exit = yield* Effect.exit(Effect.scoped(make(options)))
        const died = Exit.isFailure(exit) && exit.cause.reasons.some((_) => _._tag === "Die")
        expect([options, died, word(exit)]).toEqual([options, true, "Mistake"])
      }
    })))
})
