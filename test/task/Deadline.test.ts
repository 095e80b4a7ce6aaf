import { describe, expect, it } from "@effect/vitest"
import { Deadline, Task } from "@weir/runtime"
import { Duration, Effect, Fiber, Option } from "effect"
import { TestClock } from "effect/testing"
import { armed, causes, clean, fork, Trace } from "./support.ts"

const left = Effect.map(Deadline.remaining, Duration.toMillis)

describe("the deadline in force", () => {
  it.effect("is none outside, and the smaller of parent's and own inside", () =>
    clean(() =>
      Effect.gen(function* () {
        expect(yield* Deadline.current).toEqual(Option.none())
        expect(yield* left).toBe(Infinity)
        const seen = yield* Task.run(
          "parent",
          Effect.all([
            left,
            Task.run("longer", left, { deadline: "1 hour" }),
            Task.run("shorter", left, { deadline: "30 millis" }),
            Deadline.within("1 hour")(left),
            Deadline.within("40 millis")(Task.run("inner", left)),
          ]),
          { deadline: "100 millis" },
        )
        expect(seen).toEqual([100, 100, 30, 100, 40])
      })
    ))

  it.effect("shrinks as time passes, and is never negative", () =>
    clean(() =>
      Effect.gen(function* () {
        const seen: Array<number> = []
        const note = Effect.map(left, (ms) => void seen.push(ms))
        const fiber = yield* fork(Task.run(
          "x",
          Effect.gen(function* () {
            yield* note
            yield* Effect.sleep("30 millis")
            yield* note
            yield* Task.run("child", Effect.andThen(Effect.sleep("20 millis"), note))
          }),
          { deadline: "100 millis" },
        ))
        yield* TestClock.adjust("50 millis")
        yield* Fiber.join(fiber)
        expect(seen).toEqual([100, 70, 50])
      })
    ))

  it.effect("costs no timer when it is longer than the one above, or the same", () =>
    clean(() =>
      Effect.gen(function* () {
        const seen: Array<number> = []
        const count = Effect.flatMap(armed, (n) => Effect.sync(() => void seen.push(n)))
        const pause = Effect.andThen(count, Effect.sleep("1 milli"))
        const fiber = yield* fork(Task.run(
          "x",
          Effect.gen(function* () {
            yield* Effect.sleep("1 milli")
            yield* Deadline.within("1 hour")(pause)
            yield* Task.run("longer", pause, { deadline: "1 hour" })
            yield* Task.run("same", pause)
            yield* Deadline.within("10 millis")(Effect.andThen(Effect.yieldNow, pause))
          }),
          { deadline: "1 second" },
        ))
        yield* TestClock.adjust("1 second")
        yield* Fiber.join(fiber)
        expect(seen).toEqual([1, 1, 1, 2])
      })
    ))

  it.effect("in the cleanup of cancelled work is the end of the cleanup budget", () =>
    clean(() =>
      Effect.gen(function* () {
        const seen: Array<number> = []
        const note = Effect.map(left, (ms) => void seen.push(ms))
        const fiber = yield* fork(Effect.flip(Task.run(
          "x",
          Effect.onInterrupt(
            Deadline.within("5 seconds")(Effect.onInterrupt(Effect.never, () => note)),
            () => Effect.andThen(note, Effect.orDie(Deadline.within("200 millis")(note))),
          ),
          { deadline: "1 second", cleanup: "3 seconds" },
        )))
        yield* TestClock.adjust("1 second")
        yield* Fiber.join(fiber)
        expect(seen).toEqual([3000, 3000, 200])
      })
    ))

  it.effect("does not bind a fiber that escaped its task", () =>
    clean(() =>
      Effect.gen(function* () {
        const seen: Array<number> = []
        const escaped = yield* Task.run(
          "x",
          Effect.forkDetach(
            Effect.gen(function* () {
              yield* Effect.sleep("2 seconds")
              seen.push(yield* left)
              seen.push(yield* Task.run("y", Effect.as(Effect.yieldNow, 1)))
            }),
            { startImmediately: true },
          ),
          { deadline: "1 second" },
        )
        yield* TestClock.adjust("2 seconds")
        yield* Fiber.join(escaped)
        expect(seen).toEqual([Infinity, 1])
      })
    ))
})

describe("a task with a deadline", () => {
  it.effect("fails with DeadlineExceeded at that instant, not before", () =>
    clean(() =>
      Effect.gen(function* () {
        const fiber = yield* fork(Effect.flip(
          Task.run("slow", Effect.never, { deadline: "100 millis" }),
        ))
        yield* TestClock.adjust("99 millis")
        expect(fiber.pollUnsafe()).toBeUndefined()
        yield* TestClock.adjust("1 milli")
        const error = yield* Fiber.join(fiber)
        expect(error).toMatchObject({ _tag: "DeadlineExceeded", name: "slow", deadline: 100 })
        expect((error as Error).message)
          .toBe(`"slow" was not done by its deadline and has been cancelled.`)
      })
    ))

  it.effect("never runs when its deadline has passed already", () =>
    clean(() =>
      Effect.gen(function* () {
        const trace = new Trace()
        const error = yield* Effect.flip(Task.run("x", trace.add("ran"), { deadline: 0 }))
        expect(error).toMatchObject({ _tag: "DeadlineExceeded" })
        expect(trace.steps).toEqual([])
      })
    ))

  it.effect("keeps the value of a commit past the deadline, and cancels what would follow", () =>
    clean(() =>
      Effect.gen(function* () {
        const trace = new Trace()
        const step = Task.commit(Effect.as(Effect.sleep("1 second"), "committed"))
        const last = yield* fork(Task.run("last", step, { deadline: "100 millis" }))
        const region = yield* fork(Deadline.within("100 millis")(step))
        const more = yield* fork(Effect.flip(Task.run(
          "more",
          Effect.andThen(step, trace.never("more")),
          { deadline: "100 millis" },
        )))
        yield* TestClock.adjust("1 second")
        expect(yield* Fiber.join(last)).toBe("committed")
        expect(yield* Fiber.join(region)).toBe("committed")
        expect(yield* Fiber.join(more)).toMatchObject({ _tag: "DeadlineExceeded" })
        expect(trace.steps).toEqual(["more: deadline exceeded"])
      })
    ))

  it.effect("lets an uninterruptible step finish before it fails", () =>
    clean(() =>
      Effect.gen(function* () {
        const trace = new Trace()
        const fiber = yield* fork(Effect.flip(Task.run(
          "x",
          Effect.uninterruptible(Effect.andThen(Effect.sleep("1 second"), trace.add("done"))),
          { deadline: "100 millis" },
        )))
        yield* TestClock.adjust("999 millis")
        expect(fiber.pollUnsafe()).toBeUndefined()
        yield* TestClock.adjust("1 milli")
        expect(yield* Fiber.join(fiber)).toMatchObject({ _tag: "DeadlineExceeded" })
        expect(trace.steps).toEqual(["done"])
      })
    ))
})

describe("Deadline.within", () => {
  it.effect("returns the value, or the error, of work that is in time", () =>
    clean(() =>
      Effect.gen(function* () {
        const region = Deadline.within("1 second")
        expect(yield* region(Effect.succeed(1))).toBe(1)
        expect(yield* region(Effect.as(Effect.yieldNow, 2))).toBe(2)
        expect(yield* Effect.flip(region(Effect.fail("no")))).toBe("no")
        expect(yield* armed).toBe(0)
      })
    ))

  it.effect("fails typed when the time is up, after the cleanup, with its defects beside", () =>
    clean(() =>
      Effect.gen(function* () {
        const trace = new Trace()
        const fiber = yield* fork(Effect.exit(
          Deadline.within("100 millis", "query")(Effect.onInterrupt(
            Effect.never,
            () => Effect.andThen(trace.reason("query"), Effect.die("leak")),
          )),
        ))
        yield* TestClock.adjust("100 millis")
        expect(causes(yield* Fiber.join(fiber))).toEqual(["fail DeadlineExceeded", "die leak"])
        expect(trace.steps).toEqual(["query: deadline exceeded"])
      })
    ))

  it.effect("does not run at all when it has no time", () =>
    clean(() =>
      Effect.gen(function* () {
        const trace = new Trace()
        const error = yield* Effect.flip(Deadline.within(0)(trace.add("ran")))
        expect(error._tag).toBe("DeadlineExceeded")
        expect(trace.steps).toEqual([])
      })
    ))

  it.effect("interrupted from outside, cleans up, disarms, and keeps the defects", () =>
    clean(() =>
      Effect.gen(function* () {
        const trace = new Trace()
        const fiber = yield* fork(
          Deadline.within("1 second")(Effect.onInterrupt(
            Effect.never,
            () => Effect.andThen(trace.reason("x"), Effect.die("leak")),
          )),
        )
        yield* Fiber.interrupt(fiber)
        expect(yield* armed).toBe(0)
        expect(causes(yield* Fiber.await(fiber))).toEqual(["interrupt", "die leak"])
        expect(trace.steps).toEqual(["x: none"])
      })
    ))

  it.effect("does not bind a fiber that stays behind, which may have deadlines of its own", () =>
    clean(() =>
      Effect.gen(function* () {
        const stray = yield* Deadline.within("1 second")(
          Effect.forkDetach(
            Effect.andThen(
              Effect.sleep("10 millis"),
              Effect.flip(Deadline.within("5 seconds")(Effect.never)),
            ),
            { startImmediately: true },
          ),
        )
        yield* TestClock.adjust("5010 millis")
        expect(yield* Fiber.join(stray)).toMatchObject({ _tag: "DeadlineExceeded", deadline: 5010 })
      })
    ))

  it.effect("lets the work after it go on with the deadline above", () =>
    clean(() =>
      Effect.gen(function* () {
        const fiber = yield* fork(Task.run(
          "x",
          Effect.gen(function* () {
            const first = yield* Effect.exit(Deadline.within("10 millis")(Effect.never))
            return [causes(first), yield* left]
          }),
          { deadline: "100 millis" },
        ))
        yield* TestClock.adjust("10 millis")
        expect(yield* Fiber.join(fiber)).toEqual([["fail DeadlineExceeded"], 90])
      })
    ))

  it.effect("nests ten thousand deep within the stack", () =>
    clean(() =>
      Effect.gen(function* () {
        const nest = (depth: number): Effect.Effect<string, Deadline.DeadlineExceeded> =>
          depth === 0
            ? Effect.as(Effect.yieldNow, "bottom")
            : Effect.suspend(() => Deadline.within(`${depth} seconds`)(nest(depth - 1)))
        expect(yield* nest(10_000)).toBe("bottom")
      })
    ))
})
