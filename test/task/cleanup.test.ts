import { describe, expect, it } from "@effect/vitest"
import { CancelReason, Deadline, Task, type TaskTree } from "@weir/runtime"
import { Deferred, Effect, Fiber, Logger, Option } from "effect"
import { TestClock } from "effect/testing"
import { clean, fork, Trace } from "./support.ts"

/** Collects what is logged, as `Level message`. */
const recorder = (into: Array<string>) =>
  Logger.layer([
    Logger.make<unknown, void>(({ logLevel, message }) => {
      into.push(`${logLevel} ${String(Array.isArray(message) ? message[0] : message)}`)
    }),
  ])

const hanging = (until: Deferred.Deferred<void>) =>
  Effect.onInterrupt(Effect.never, () => Deferred.await(until))

describe("cleanup", () => {
  it.effect("within its budget is awaited, and nothing is reported", () =>
    clean((tree) =>
      Effect.gen(function* () {
        const fiber = yield* fork(Effect.flip(Task.run(
          "x",
          Effect.onInterrupt(Effect.never, () => Effect.sleep("999 millis")),
          { deadline: "1 second", cleanup: "1 second" },
        )))
        yield* TestClock.adjust("1 second")
        expect(fiber.pollUnsafe()).toBeUndefined()
        yield* TestClock.adjust("999 millis")
        expect(yield* Fiber.join(fiber)).toMatchObject({ _tag: "DeadlineExceeded" })
        expect((yield* tree.counts).abandoned).toBe(0)
      })
    ))

  it.effect("that overruns is abandoned: error, event, one warning, and it stays visible", () =>
    clean((tree) =>
      Effect.gen(function* () {
        const logged: Array<string> = []
        const events: Array<TaskTree.TaskEvent> = []
        const stop = tree.unsafe.listen((event) => events.push(event))
        const until = yield* Deferred.make<void>()
        const fiber = yield* fork(
          Effect.flip(
            Task.run("slow", hanging(until), { deadline: "1 second", cleanup: "2 seconds" }),
          )
            .pipe(Effect.provide(recorder(logged))),
        )
        yield* TestClock.adjust("2999 millis")
        expect(fiber.pollUnsafe()).toBeUndefined()
        expect((yield* tree.dump)[0]).toMatchObject({
          state: "cancelling",
          cancelReason: CancelReason.DeadlineExceeded(1000),
          cancelPendingMs: 1999,
        })
        yield* TestClock.adjust("1 milli")
        const error = yield* Fiber.join(fiber)
        expect(error).toMatchObject({ _tag: "CleanupAbandoned", task: "slow", afterMs: 2000 })
        expect((error as Error).message).toContain("Look for a finalizer that waits")

        yield* TestClock.adjust("1 minute")
        const [info] = yield* tree.dump
        expect(info).toMatchObject({ state: "abandoned", cancelPendingMs: 62_000 })
        expect((yield* tree.counts).abandoned).toBe(1)

        yield* Deferred.succeed(until, undefined)
        expect(yield* tree.size).toBe(0)
        expect((yield* tree.counts).ended["task"]).toMatchObject({ cancelled: 1 })
        stop()
        expect(events.map((event) => event._tag))
          .toEqual(["Started", "CancelRequested", "CleanupAbandoned", "Ended"])
        expect(logged).toHaveLength(1)
        expect(logged[0]).toMatch(/^Warn Cleanup abandoned: task "slow" has not ended 2000 ms/)
      })
    ))

  it.effect("that hangs does not hold up the parent beyond the budget", () =>
    clean(() =>
      Effect.gen(function* () {
        const trace = new Trace()
        const until = yield* Deferred.make<void>()
        const parent = yield* fork(Task.run(
          "parent",
          Effect.gen(function* () {
            yield* Effect.addFinalizer(() => trace.add("parent released"))
            yield* Task.start("child", hanging(until), { cleanup: "1 second" })
          }),
        ))
        yield* TestClock.adjust("999 millis")
        expect(parent.pollUnsafe()).toBeUndefined()
        yield* TestClock.adjust("1 milli")
        yield* Fiber.join(parent)
        expect(trace.steps).toEqual(["parent released"])
        yield* Deferred.succeed(until, undefined)
      }).pipe(Effect.provide(Logger.layer([])))
    ))

  it.effect("that hangs is bounded for the caller who was interrupted as well", () =>
    clean(() =>
      Effect.gen(function* () {
        const until = yield* Deferred.make<void>()
        const fiber = yield* fork(Task.run("x", hanging(until), { cleanup: "1 second" }))
        const stopping = yield* fork(Fiber.interrupt(fiber))
        yield* TestClock.adjust("1 second")
        expect(stopping.pollUnsafe()).toBeDefined()
        yield* Deferred.succeed(until, undefined)
      }).pipe(Effect.provide(Logger.layer([])))
    ))

  it.effect("that hangs makes Task.cancel fail, and the real end is told afterwards", () =>
    clean(() =>
      Effect.scoped(Effect.gen(function* () {
        const until = yield* Deferred.make<void>()
        const task = yield* Task.start("x", hanging(until), { cleanup: "1 second" })
        const cancelling = yield* fork(Effect.flip(task.cancel()))
        yield* TestClock.adjust("1 second")
        expect(yield* Fiber.join(cancelling)).toMatchObject({ _tag: "CleanupAbandoned" })
        expect(yield* Effect.flip(task.join)).toMatchObject({ _tag: "CleanupAbandoned" })
        yield* Deferred.succeed(until, undefined)
        expect(yield* Effect.flip(task.join)).toMatchObject({ _tag: "Cancelled" })
        expect(Option.isNone(yield* Task.current)).toBe(true)
      })).pipe(Effect.provide(Logger.layer([])))
    ))

  it.effect("that was abandoned is hurried by no deadline any more", () =>
    clean(() =>
      Effect.gen(function* () {
        const seen: Array<Option.Option<number>> = []
        const note = Effect.map(Deadline.current, (at) => void seen.push(at))
        const until = yield* Deferred.make<void>()
        const fiber = yield* fork(Effect.flip(Task.run(
          "x",
          Effect.onInterrupt(
            Effect.never,
            () => note.pipe(Effect.andThen(Deferred.await(until)), Effect.andThen(note)),
          ),
          { deadline: "1 second", cleanup: "2 seconds" },
        )))
        yield* TestClock.adjust("3 seconds")
        yield* Fiber.join(fiber)
        yield* Deferred.succeed(until, undefined)
        expect(seen).toEqual([Option.some(3000), Option.none()])
      }).pipe(Effect.provide(Logger.layer([])))
    ))

  it.effect("without a budget limit is awaited for ever", () =>
    clean((tree) =>
      Effect.gen(function* () {
        const until = yield* Deferred.make<void>()
        const fiber = yield* fork(Task.run("x", hanging(until), { cleanup: "Infinity" }))
        const stopping = yield* fork(Fiber.interrupt(fiber))
        yield* TestClock.adjust("10 days")
        expect(stopping.pollUnsafe()).toBeUndefined()
        expect((yield* tree.dump)[0]!.state).toBe("cancelling")
        yield* Deferred.succeed(until, undefined)
        yield* Fiber.join(stopping)
      })
    ))

  it.effect("runs each release once, in reverse order, when one of them dies", () =>
    clean(() =>
      Effect.scoped(Effect.gen(function* () {
        const trace = new Trace()
        const resource = (name: string) =>
          Effect.acquireRelease(
            trace.add(`+${name}`),
            () =>
              Effect.andThen(trace.add(`-${name}`), name === "b" ? Effect.die("bug") : Effect.void),
          )
        const task = yield* Task.start(
          "x",
          Effect.all([resource("a"), resource("b"), resource("c"), Effect.never]),
        )
        yield* task.cancel()
        expect(trace.steps).toEqual(["+a", "+b", "+c", "-c", "-b", "-a"])
      }))
    ))
})

describe("a named step of cleanup", () => {
  const work = Effect.gen(function* () {
    yield* Effect.addFinalizer(() => Task.cleanup("first opened", Effect.sleep(10)))
    yield* Effect.addFinalizer(() => Task.cleanup("then opened", Effect.sleep(20)))
    yield* Effect.never
  })

  it.effect("is seen while it runs, and its begin and end are events in their order", () =>
    clean((tree) =>
      Effect.gen(function* () {
        const events: Array<TaskTree.TaskEvent> = []
        const stop = tree.unsafe.listen((event) => events.push(event))
        const fiber = yield* fork(Effect.scoped(Effect.gen(function* () {
          const task = yield* Task.start("work", work)
          expect((yield* task.info).cleanup).toBeUndefined()
          yield* task.cancel(CancelReason.Shutdown)
        })))
        const step = Effect.map(tree.dump, ([info]) => info?.cleanup)
        expect(yield* step).toBe("then opened")
        yield* TestClock.adjust("20 millis")
        expect(yield* step).toBe("first opened")
        yield* TestClock.adjust("10 millis")
        expect(yield* step).toBeUndefined()
        yield* Fiber.join(fiber)
        stop()
        expect(events.map((event) => [event.at, event._tag, "step" in event ? event.step : ""]))
          .toEqual([
            [0, "Started", ""],
            [0, "CancelRequested", ""],
            [0, "CleanupStarted", "then opened"],
            [20, "CleanupEnded", "then opened"],
            [20, "CleanupStarted", "first opened"],
            [30, "CleanupEnded", "first opened"],
            [30, "Ended", ""],
          ])
      })
    ))

  it.effect("keeps its result and its failure, which its end tells", () =>
    clean((tree) =>
      Effect.gen(function* () {
        const failed: Array<boolean> = []
        const stop = tree.unsafe.listen((event) => {
          if (event._tag === "CleanupEnded") failed.push(event.failed)
        })
        const good = Task.cleanup("good", Effect.succeed(1))
        const bad = Task.cleanup("bad", Effect.fail("stuck"))
        expect(yield* Task.run("x", Effect.all([good, Effect.flip(bad)]))).toEqual([1, "stuck"])
        stop()
        expect(failed).toEqual([false, true])
      })
    ))

  it.effect("shows the one that began last, of those that run side by side", () =>
    clean((tree) =>
      Effect.gen(function* () {
        const steps = Effect.all([
          Task.cleanup("short", Effect.sleep(10)),
          Task.cleanup("shorter", Effect.sleep(5)),
          Task.cleanup("long", Effect.sleep(20)),
        ], { concurrency: "unbounded" })
        const fiber = yield* fork(Task.run("x", steps))
        const step = Effect.map(tree.dump, ([info]) => info?.cleanup)
        expect(yield* step).toBe("long")
        yield* TestClock.adjust("5 millis")
        expect(yield* step).toBe("long")
        yield* TestClock.adjust("15 millis")
        yield* Fiber.join(fiber)
      })
    ))

  it.effect("is named in the warning when it hangs", () =>
    clean(() =>
      Effect.gen(function* () {
        const logged: Array<unknown> = []
        const logger = Logger.make(({ message }) => void logged.push(message))
        const until = yield* Deferred.make<void>()
        yield* Effect.gen(function* () {
          const task = yield* Task.start(
            "slow",
            Effect.onInterrupt(
              Effect.never,
              () => Task.cleanup("flush the file", Deferred.await(until)),
            ),
            { cleanup: "1 second" },
          )
          const cancelling = yield* fork(Effect.ignore(task.cancel()))
          yield* TestClock.adjust("1 second")
          yield* Fiber.join(cancelling)
        }).pipe(Effect.scoped, Effect.provide(Logger.layer([logger])))
        yield* Deferred.succeed(until, undefined)
        expect(String(logged[0])).toContain(
          `It is still in its step "flush the file"; give that a timeout.`,
        )
      })
    ))

  it.effect("is just the step outside of any task", () =>
    clean(() =>
      Effect.gen(function* () {
        expect(yield* Task.cleanup("x", Effect.succeed(1))).toBe(1)
      })
    ))
})
