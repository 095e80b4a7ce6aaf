import { describe, expect, it } from "@effect/vitest"
import { Deadline, Shutdown } from "@weir/runtime"
import { Deferred, Duration, Effect, Fiber, Logger } from "effect"
import { TestClock } from "effect/testing"
import { clean, fork, Trace } from "./support.ts"

const silent = Effect.provide(Logger.layer([]))

describe("Shutdown.run", () => {
  it.effect("runs the phases in order and reports on each", () =>
    clean(() =>
      Effect.gen(function* () {
        const trace = new Trace()
        const told: Array<string> = []
        const fiber = yield* fork(Shutdown.run([
          {
            name: "drain",
            budget: "5 seconds",
            run: Effect.andThen(Effect.sleep("2 seconds"), trace.add("drained")),
          },
          { name: "close", budget: "1 second", run: trace.add("closed") },
        ], {
          total: "10 seconds",
          onPhase: ({ phase }) => Effect.sync(() => void told.push(phase)),
        }))
        yield* TestClock.adjust("2 seconds")
        const fine = { overran: false, abandoned: false, error: undefined }
        expect(yield* Fiber.join(fiber)).toEqual([
          { phase: "drain", tookMs: 2000, budgetMs: 5000, ...fine },
          { phase: "close", tookMs: 0, budgetMs: 1000, ...fine },
        ])
        expect(trace.steps).toEqual(["drained", "closed"])
        expect(told).toEqual(["drain", "close"])
      })
    ))

  it.effect("interrupts a phase that overruns, with the reason, and runs the next one", () =>
    clean(() =>
      Effect.gen(function* () {
        const trace = new Trace()
        const fiber = yield* fork(Shutdown.run([
          { name: "drain", budget: "2 seconds", run: trace.never("drain") },
          { name: "close", budget: "1 second", run: trace.add("closed") },
        ], { total: "10 seconds" }))
        yield* TestClock.adjust("2 seconds")
        expect(yield* Fiber.join(fiber)).toMatchObject([
          { phase: "drain", tookMs: 2000, overran: true, abandoned: false, error: undefined },
          { phase: "close", overran: false },
        ])
        expect(trace.steps).toEqual(["drain: shutdown", "closed"])
      })
    ))

  it.effect("leaves behind a phase whose interruption hangs, and says so", () =>
    clean(() =>
      Effect.gen(function* () {
        const trace = new Trace()
        const until = yield* Deferred.make<void>()
        const fiber = yield* fork(Shutdown.run([
          {
            name: "stuck",
            budget: "2 seconds",
            run: Effect.onInterrupt(Effect.never, () => Deferred.await(until)),
          },
          { name: "close", budget: "1 second", run: trace.add("closed") },
        ], { total: "10 seconds", cleanup: "500 millis" }))
        yield* TestClock.adjust("2500 millis")
        expect(yield* Fiber.join(fiber)).toMatchObject([
          {
            phase: "stuck",
            tookMs: 2500,
            overran: true,
            abandoned: true,
            error: "left behind: it did not end after its interrupt",
          },
          { phase: "close", overran: false, abandoned: false },
        ])
        expect(trace.steps).toEqual(["closed"])
        yield* Deferred.succeed(until, undefined)
      }).pipe(silent)
    ))

  it.effect("goes on after a phase that fails or dies, and reports why", () =>
    clean(() =>
      Effect.gen(function* () {
        const report = yield* Shutdown.run([
          { name: "a", budget: "1 second", run: Effect.fail("disk full") },
          { name: "b", budget: "1 second", run: Effect.die(new Error("bug")) },
          { name: "c", budget: "1 second", run: Effect.void },
        ], { total: "10 seconds" })
        expect(report.map(({ phase, overran }) => [phase, overran]))
          .toEqual([["a", false], ["b", false], ["c", false]])
        expect(report[0]!.error).toContain("disk full")
        expect(report[1]!.error).toContain("bug")
        expect(report[2]!.error).toBeUndefined()
      })
    ))

  it.effect("takes at most the total: what is left is cut, and what has no time is not started", () =>
    clean(() =>
      Effect.gen(function* () {
        const trace = new Trace()
        const until = yield* Deferred.make<void>()
        const stuck = Effect.onInterrupt(Effect.never, () => Deferred.await(until))
        const fiber = yield* fork(Shutdown.run([
          { name: "a", budget: "2 seconds", run: trace.never("a") },
          { name: "b", budget: "2 seconds", run: stuck },
          { name: "c", budget: "2 seconds", run: trace.add("c") },
        ], { total: "3 seconds", cleanup: "10 seconds" }))
        yield* TestClock.adjust("3 seconds")
        expect(yield* Fiber.join(fiber)).toMatchObject([
          { phase: "a", tookMs: 2000, budgetMs: 2000, overran: true },
          { phase: "b", tookMs: 1000, budgetMs: 1000, overran: true, abandoned: true },
          {
            phase: "c",
            tookMs: 0,
            budgetMs: 0,
            overran: true,
            error: "not started: the time for the whole shutdown was spent",
          },
        ])
        expect(trace.steps).toEqual(["a: shutdown"])
        yield* Deferred.succeed(until, undefined)
      }).pipe(silent)
    ))

  it.effect("tells a phase what it has left", () =>
    clean(() =>
      Effect.gen(function* () {
        const seen: Array<number> = []
        const note = Effect.map(Deadline.remaining, (left) => {
          seen.push(Duration.toMillis(left))
        })
        yield* Shutdown.run([
          { name: "a", budget: "2 seconds", run: note },
          { name: "b", budget: "1 minute", run: note },
        ], { total: "10 seconds" })
        expect(seen).toEqual([2000, 10_000])
      })
    ))

  it.effect("is not held up by an observer that hangs or dies", () =>
    clean(() =>
      Effect.gen(function* () {
        const fiber = yield* fork(Shutdown.run([
          { name: "a", budget: "1 second", run: Effect.void },
          { name: "b", budget: "1 second", run: Effect.void },
        ], {
          total: "10 seconds",
          onPhase: ({ phase }) => phase === "a" ? Effect.never : Effect.die("bug"),
        }))
        yield* TestClock.adjust("1 second")
        expect((yield* Fiber.join(fiber)).map(({ phase }) => phase)).toEqual(["a", "b"])
      })
    ))

  it.effect("interrupted, stops the phase that runs and starts none of the others", () =>
    clean(() =>
      Effect.gen(function* () {
        const trace = new Trace()
        const fiber = yield* fork(Shutdown.run([
          { name: "a", budget: "1 second", run: trace.never("a") },
          { name: "b", budget: "1 second", run: trace.add("b") },
        ], { total: "10 seconds" }))
        yield* Fiber.interrupt(fiber)
        expect(trace.steps).toEqual(["a: parent ended: shutdown"])
      })
    ))

  it.effect("needs no timer without budgets", () =>
    clean(() =>
      Effect.gen(function* () {
        const fiber = yield* fork(Shutdown.run([
          { name: "a", budget: "Infinity", run: Effect.sleep("10 days") },
        ], { total: "Infinity" }))
        yield* TestClock.adjust("10 days")
        expect(yield* Fiber.join(fiber)).toMatchObject([{ phase: "a", overran: false }])
      })
    ))
})
