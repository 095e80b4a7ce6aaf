import { describe, expect, it } from "@effect/vitest"
import { CancelReason, Deadline, Task, type TaskTree } from "@weir/runtime"
import { Deferred, Effect, Exit, Fiber, Logger, Option, Scope } from "effect"
import { TestClock } from "effect/testing"
import { armed, causes, clean, fork, Trace } from "./support.ts"

describe("Task.run", () => {
  it.effect("returns the value of its effect", () =>
    clean(() =>
      Effect.gen(function* () {
        expect(yield* Task.run("answer", Effect.succeed(42))).toBe(42)
        expect(yield* Task.run("later", Effect.as(Effect.yieldNow, 43))).toBe(43)
      })
    ))

  it.effect("fails with the error of its effect, and keeps its defects", () =>
    clean(() =>
      Effect.gen(function* () {
        expect(yield* Effect.flip(Task.run("a", Effect.fail("no")))).toBe("no")
        const exit = yield* Effect.exit(Task.run("b", Effect.die("bug")))
        expect(causes(exit)).toEqual(["die bug"])
      })
    ))

  it.effect("arms no timer for an effect that never suspends", () =>
    clean(() =>
      Effect.gen(function* () {
        const seen = yield* Task.run("sync", armed, { deadline: "1 second" })
        expect(seen).toBe(0)
        expect(yield* armed).toBe(0)
      })
    ))

  it.effect("knows its task, and none outside", () =>
    clean(() =>
      Effect.gen(function* () {
        expect(yield* Task.current).toEqual(Option.none())
        const info = yield* Task.run("stock.look", Task.current, { kind: "request" })
        expect(Option.getOrThrow(info)).toMatchObject({
          name: "stock.look",
          kind: "request",
          state: "running",
          parentId: undefined,
        })
      })
    ))

  it.effect("cancels its task and awaits its cleanup when it is interrupted", () =>
    clean(() =>
      Effect.gen(function* () {
        const trace = new Trace()
        const fiber = yield* fork(Task.run(
          "work",
          Effect.onInterrupt(
            Effect.never,
            () => Effect.andThen(Effect.sleep("1 second"), trace.reason("released")),
          ),
        ))
        const stopping = yield* fork(Fiber.interrupt(fiber))
        expect(stopping.pollUnsafe()).toBeUndefined()
        yield* TestClock.adjust("1 second")
        expect(stopping.pollUnsafe()).toBeDefined()
        expect(trace.steps).toEqual(["released: parent ended: scope"])
      })
    ))

  it.effect("loses no interrupt that arrives while its effect starts", () =>
    clean(() =>
      Effect.gen(function* () {
        const trace = new Trace()
        const starter = yield* fork(Effect.withFiber((self) =>
          Task.run(
            "child",
            Effect.andThen(
              Effect.sync(() => self.interruptUnsafe()),
              trace.never("child"),
            ),
          )
        ))
        expect(causes(yield* Fiber.await(starter))).toEqual(["interrupt"])
        expect(trace.steps).toEqual(["child: parent ended: scope"])
      })
    ))

  it.effect("keeps the defects of the cleanup when its caller is interrupted", () =>
    clean(() =>
      Effect.gen(function* () {
        const fiber = yield* fork(Task.run(
          "work",
          Effect.onInterrupt(Effect.never, () => Effect.die("leak")),
        ))
        yield* Fiber.interrupt(fiber)
        expect(causes(yield* Fiber.await(fiber))).toEqual(["interrupt", "die leak"])
      })
    ))

  it.effect("can cancel itself", () =>
    clean((tree) =>
      Effect.gen(function* () {
        const trace = new Trace()
        const error = yield* Effect.flip(Task.run(
          "suicidal",
          Effect.gen(function* () {
            const { id } = Option.getOrThrow(yield* Task.current)
            yield* tree.cancel(id, CancelReason.Requested("itself"))
            yield* trace.add("must not run")
          }),
        ))
        expect(error).toMatchObject({ _tag: "Cancelled", why: "requested by itself" })
        expect(trace.steps).toEqual([])
      })
    ))

  it.effect("reports an interrupt that nobody of Weir asked for as an interrupt", () =>
    clean(() =>
      Effect.gen(function* () {
        expect(causes(yield* Effect.exit(Task.run("a", Effect.interrupt)))).toEqual(["interrupt"])
      })
    ))

  it.effect("nests ten thousand deep, ends and cancels, within the stack", () =>
    clean((tree) =>
      Effect.gen(function* () {
        const nest = (depth: number, inner: Effect.Effect<string>): Effect.Effect<string> =>
          depth === 0
            ? inner
            : Effect.suspend(() => Effect.orDie(Task.run("deep", nest(depth - 1, inner))))
        const release = yield* Deferred.make<string>()
        const finishing = yield* fork(nest(10_000, Deferred.await(release)))
        while ((yield* tree.size) < 10_000) yield* Effect.yieldNow
        yield* Deferred.succeed(release, "bottom")
        expect(yield* Fiber.join(finishing)).toBe("bottom")

        const trace = new Trace()
        const stopped = yield* fork(nest(10_000, trace.never("bottom")))
        while ((yield* tree.size) < 10_000) yield* Effect.yieldNow
        yield* Fiber.interrupt(stopped)
        expect(trace.steps).toEqual(["bottom: parent ended: scope"])
      })
    ))

  it.effect("runs a task in the finalizer of a cancelled task", () =>
    clean(() =>
      Effect.gen(function* () {
        const trace = new Trace()
        yield* Effect.flip(
          Task.run(
            "late",
            Effect.onInterrupt(Effect.never, () =>
              Effect.orDie(Task.run(
                "cleanup",
                Effect.andThen(Effect.yieldNow, trace.reason("cleaned up")),
              ))),
            { deadline: "1 second" },
          ).pipe(fork, Effect.tap(() => TestClock.adjust("1 second")), Effect.flatMap(Fiber.join)),
        )
        expect(trace.steps).toEqual(["cleaned up: deadline exceeded"])
      })
    ))
})

describe("Task.start", () => {
  it.effect("stops with its scope: cancelled, and awaited", () =>
    clean((tree) =>
      Effect.gen(function* () {
        const trace = new Trace()
        yield* Effect.scoped(Effect.gen(function* () {
          yield* Task.start("background", trace.never("background"))
          expect(yield* tree.size).toBe(1)
        }))
        expect(trace.steps).toEqual(["background: parent ended: scope"])
      })
    ))

  it.effect("stops with the task that started it, whatever scope it was given", () =>
    clean((tree) =>
      Effect.gen(function* () {
        const trace = new Trace()
        const outer = yield* Scope.make()
        yield* Task.run(
          "parent",
          Effect.asVoid(Task.start("child", trace.never("child")).pipe(Scope.provide(outer))),
        )
        expect(yield* tree.size).toBe(0)
        expect(trace.steps).toEqual(["child: parent ended: parent"])
        yield* Scope.close(outer, Exit.void)
      })
    ))

  it.effect("lives with its scope alone when it is detached", () =>
    clean((tree) =>
      Effect.gen(function* () {
        const trace = new Trace()
        const outer = yield* Scope.make()
        yield* Task.run(
          "parent",
          Effect.asVoid(
            Task.start("child", trace.never("child"), { detached: true })
              .pipe(Scope.provide(outer)),
          ),
          { deadline: "1 second" },
        )
        const [child] = yield* tree.dump
        expect(child).toMatchObject({ name: "child", parentId: undefined, deadline: undefined })
        yield* Scope.close(outer, Exit.void)
        expect(trace.steps).toEqual(["child: parent ended: scope"])
      })
    ))

  it.effect("never runs in a scope that has closed", () =>
    clean(() =>
      Effect.gen(function* () {
        const trace = new Trace()
        const scope = yield* Scope.make()
        yield* Scope.close(scope, Exit.void)
        const task = yield* Scope.provide(Task.start("late", trace.add("ran")), scope)
        expect(yield* Effect.flip(task.join)).toMatchObject({ _tag: "Cancelled" })
        expect(trace.steps).toEqual([])
      })
    ))

  it.effect("is stopped when its scope closes while it starts", () =>
    clean(() =>
      Effect.gen(function* () {
        const trace = new Trace()
        const scope = yield* Scope.make()
        const task = yield* Task.start(
          "closer",
          Effect.andThen(Scope.close(scope, Exit.void), trace.never("closer")),
        ).pipe(Scope.provide(scope))
        expect(yield* Effect.flip(task.join)).toMatchObject({ _tag: "Cancelled" })
        expect(trace.steps).toEqual(["closer: parent ended: scope"])
      })
    ))

  it.effect("leaves nothing behind in a scope that lives on", () =>
    clean(() =>
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        for (let i = 0; i < 100; i++) {
          const task = yield* Scope.provide(Task.start("short", Effect.yieldNow), scope)
          yield* task.join
        }
        expect(scope.state._tag).toBe("Empty")
      })
    ))

  it.effect("releases once, in reverse order: on success, failure and cancel", () =>
    clean(() =>
      Effect.gen(function* () {
        const ending = {
          success: Effect.void,
          failure: Effect.fail("no"),
          defect: Effect.die("bug"),
          cancel: Effect.never,
        }
        for (const [how, end] of Object.entries(ending)) {
          const trace = new Trace()
          const task = yield* Effect.scoped(
            Task.start(
              how,
              Effect.gen(function* () {
                yield* Effect.acquireRelease(trace.add("+a"), () => trace.add("-a"))
                yield* Task.start("child", Effect.ensuring(Effect.never, trace.add("-child")))
                yield* Effect.acquireRelease(trace.add("+b"), () => trace.add("-b"))
                yield* Effect.yieldNow
                yield* end
              }),
            ).pipe(
              Effect.tap((task) => how === "cancel" ? task.cancel() : Effect.exit(task.await)),
            ),
          )
          expect(yield* Effect.map((task as Task.Task<void, string>).info, (_) => _.state))
            .toBe("ended")
          expect(trace.steps).toEqual(["+a", "+b", "-b", "-child", "-a"])
        }
      }).pipe(Effect.provide(Logger.layer([])))
    ))

  it.effect("logs a defect that nobody waits for, and not one that somebody does", () =>
    clean(() =>
      Effect.gen(function* () {
        const logged: Array<string> = []
        const logger = Logger.make<unknown, void>(({ logLevel, message }) => {
          logged.push(`${logLevel} ${String(Array.isArray(message) ? message[0] : message)}`)
        })
        yield* Effect.scoped(Effect.gen(function* () {
          yield* Task.start("silent", Effect.andThen(Effect.yieldNow, Effect.die("bug")))
          const watched = yield* Task.start(
            "watched",
            Effect.andThen(Effect.yieldNow, Effect.die("bug")),
          )
          yield* Effect.exit(watched.join)
        })).pipe(Effect.provide(Logger.layer([logger])))
        expect(logged).toEqual([`Warn Task "silent" failed, and nobody was waiting for it.`])
      })
    ))

  it.effect("is bound by the deadline of the region it was started in, though nothing waits", () =>
    clean(() =>
      Effect.scoped(Effect.gen(function* () {
        const task = yield* Task.start("x", Effect.never).pipe(Deadline.within("1 second"))
        yield* TestClock.adjust("1 second")
        expect(yield* Effect.flip(task.join)).toMatchObject({ _tag: "DeadlineExceeded" })
      }))
    ))
})

describe("Task.progress", () => {
  it.effect("shows how far the task is, and does nothing outside one", () =>
    clean((tree) =>
      Effect.scoped(Effect.gen(function* () {
        yield* Task.progress({ done: 1 })
        yield* Task.start(
          "report",
          Effect.andThen(Task.progress({ done: 3, total: 10, note: "summing" }), Effect.never),
        )
        const dump: ReadonlyArray<TaskTree.TaskInfo> = yield* tree.dump
        expect(dump.map((info) => info.progress)).toEqual([
          { done: 3, total: 10, note: "summing" },
        ])
      }))
    ))
})
