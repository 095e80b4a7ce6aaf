import { describe, expect, it } from "@effect/vitest"
import { CancelReason, Task, type TaskTree } from "@weir/runtime"
import { Deferred, Effect, Fiber, Logger, Option, Stream } from "effect"
import { TestClock } from "effect/testing"
import { CurrentScope } from "../../src/task/scope.ts"
import { clean, fork } from "./support.ts"

describe("the dump", () => {
  it.effect("shows name, kind, parent, age, deadline, state and what a task waits for", () =>
    clean((tree) =>
      Effect.scoped(Effect.gen(function* () {
        yield* Task.start(
          "stock.look",
          Task.run(
            "query",
            Effect.withFiber((fiber) => {
              fiber.getRef(CurrentScope).task!.waitingOn = "database"
              return Effect.never
            }),
          ),
          { kind: "request", deadline: "2 seconds" },
        )
        yield* TestClock.adjust("1 second")
        const [request, query] = yield* tree.dump
        expect(request).toMatchObject({
          name: "stock.look",
          kind: "request",
          parentId: undefined,
          state: "running",
          startedAt: 0,
          ageMs: 1000,
          deadline: 2000,
          waitingOn: undefined,
          cancelReason: undefined,
          cancelPendingMs: undefined,
        })
        expect(query).toMatchObject({
          name: "query",
          parentId: request!.id,
          state: "waiting",
          waitingOn: "database",
          deadline: 2000,
        })
        expect(yield* tree.find(request!.id)).toMatchObject(Option.some({ name: "stock.look" }))
      }))
    ))

  it.effect("forgets tasks that have ended, and their ids", () =>
    clean((tree) =>
      Effect.scoped(Effect.gen(function* () {
        const task = yield* Task.start("x", Effect.yieldNow)
        const id = task.id
        yield* task.join
        expect(yield* tree.dump).toEqual([])
        expect(yield* tree.find(id)).toEqual(Option.none())
        expect(yield* tree.cancel(id, CancelReason.Shutdown)).toBe(false)
        expect((yield* task.info).state).toBe("ended")
      }))
    ))

  it.effect("gives ids that cannot be guessed", () =>
    clean((tree) =>
      Effect.scoped(Effect.gen(function* () {
        yield* Effect.forEach(Array.from({ length: 100 }), () => Task.start("x", Effect.never))
        const ids = (yield* tree.dump).map((info) => info.id)
        expect(new Set(ids).size).toBe(100)
        for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-/)
      }))
    ))

  it.effect("is weakly consistent while tasks come and go: what lives throughout is in it", () =>
    clean((tree) =>
      Effect.scoped(Effect.gen(function* () {
        const stay = yield* Effect.forEach(
          Array.from({ length: 10 }),
          (_, i) => Task.start(`stay ${i}`, Effect.never),
        )
        const churn = yield* fork(Effect.forever(
          Task.run("churn", Effect.yieldNow).pipe(
            (one) => Effect.all(Array.from({ length: 20 }, () => one), { concurrency: 20 }),
          ),
        ))
        for (let i = 0; i < 50; i++) {
          const dump = yield* tree.dump
          expect(dump.filter((info) => info.name.startsWith("stay"))).toHaveLength(stay.length)
          expect(new Set(dump.map((info) => info.id)).size).toBe(dump.length)
          expect(dump.every((info) => info.state !== "ended")).toBe(true)
          yield* Effect.yieldNow
        }
        yield* Fiber.interrupt(churn)
      }))
    ))
})

describe("cancelling through the tree", () => {
  it.effect("cancels one by its id, or all, without waiting, and tells when none is left", () =>
    clean((tree) =>
      Effect.gen(function* () {
        const slow = Effect.onInterrupt(Effect.never, () => Effect.sleep("1 second"))
        const a = yield* fork(Effect.flip(Task.run("a", slow)))
        const b = yield* fork(Effect.flip(Task.run("b", slow)))
        const [first] = yield* tree.dump
        expect(yield* tree.cancel(first!.id, CancelReason.Requested("operator"))).toBe(true)
        expect(yield* tree.cancelAll(CancelReason.Shutdown)).toBe(2)
        expect(yield* tree.size).toBe(2)
        const empty = yield* fork(tree.awaitEmpty)
        const gaveUp = yield* fork(tree.awaitEmpty)
        yield* Fiber.interrupt(gaveUp)
        expect(empty.pollUnsafe()).toBeUndefined()
        yield* TestClock.adjust("1 second")
        yield* Fiber.join(empty)
        expect(yield* Fiber.join(a)).toMatchObject({ why: "requested by operator" })
        expect(yield* Fiber.join(b)).toMatchObject({ why: "shutdown" })
        yield* tree.awaitEmpty
      })
    ))
})

describe("events", () => {
  it.effect("come in order and without gaps", () =>
    clean((tree) =>
      Effect.gen(function* () {
        const subscriber = yield* fork(
          Stream.runCollect(Stream.take(tree.events(), 6)),
        )
        yield* Effect.yieldNow
        yield* Task.run(
          "a",
          Effect.andThen(Task.progress({ done: 1 }), Task.run("b", Effect.yieldNow)),
        )
        yield* Effect.flip(Task.run("c", Effect.fail("no")))
        const events = yield* Fiber.join(subscriber)
        expect(events.map((event) => `${event.name} ${event._tag}`)).toEqual([
          "a Started",
          "a Progress",
          "b Started",
          "b Ended",
          "a Ended",
          "c Started",
        ])
        const first = events[0]!.seq
        expect(events.map((event) => event.seq)).toEqual([0, 1, 2, 3, 4, 5].map((i) => first + i))
        expect(events[2]!.parentId).toBe(events[0]!.taskId)
      })
    ))

  it.effect("drop the oldest for a subscriber that is slow, who sees the gap in seq", () =>
    clean((tree) =>
      Effect.gen(function* () {
        const go = yield* Deferred.make<void>()
        const seen: Array<number> = []
        const subscriber = yield* fork(
          Stream.runForEach(Stream.take(tree.events({ capacity: 4 }), 6), (event) =>
            Effect.andThen(Effect.sync(() => seen.push(event.seq)), Deferred.await(go))),
        )
        yield* Effect.yieldNow
        for (let i = 0; i < 3; i++) {
          yield* Task.run("x", Effect.void)
        }
        yield* Effect.yieldNow
        for (let i = 0; i < 100; i++) {
          yield* Task.run("x", Effect.void)
        }
        yield* Deferred.succeed(go, undefined)
        yield* Fiber.interrupt(subscriber)
        yield* Task.run("x", Effect.void)
        const gaps = seen.slice(1).filter((seq, i) =>
          seq !== seen[i]! + 1
        )
        expect(seen.length).toBeLessThanOrEqual(6)
        expect(gaps).toEqual([203])
        expect(seen.toSorted((a, b) => a - b)).toEqual(seen)
      })
    ))

  it.effect("cost a task nothing while nobody listens and nobody knows its id", () =>
    clean((tree) =>
      Effect.gen(function* () {
        yield* Task.run("x", Task.progress({ done: 1 }))
        expect(tree.unsafe.lastSeq).toBe(0)
        expect(tree.unsafe.since(0)).toEqual([])
      })
    ))

  it.effect("are kept for one who comes back, 1,024 of them", () =>
    clean((tree) =>
      Effect.gen(function* () {
        const stop = tree.unsafe.listen(() => {})
        for (let i = 0; i < 1000; i++) yield* Task.run("x", Effect.void)
        stop()
        expect(tree.unsafe.lastSeq).toBe(2000)
        expect(tree.unsafe.since(0)).toHaveLength(1024)
        expect(tree.unsafe.since(1998).map((event) => event.seq)).toEqual([1999, 2000])
      })
    ))

  it.effect("do not break a task when a listener throws: the listener is dropped", () =>
    clean((tree) =>
      Effect.gen(function* () {
        const seen: Array<string> = []
        tree.unsafe.listen((event) => {
          if (event._tag === "Ended") throw new Error("broken listener")
        })
        const stop = tree.unsafe.listen((event) => seen.push(event._tag))
        yield* Task.run("a", Effect.yieldNow)
        yield* Task.run("b", Effect.yieldNow)
        stop()
        expect(seen).toEqual(["Started", "Ended", "Started", "Ended"])
      })
    ))
})

describe("counts", () => {
  it.effect("conserve: started = ended + live, for every kind at every instant", () =>
    clean((tree: TaskTree.TaskTree) =>
      Effect.gen(function* () {
        const check = () => {
          const live = new Map<string, number>()
          for (const { kind } of tree.unsafe.live) live.set(kind, (live.get(kind) ?? 0) + 1)
          for (const [kind, started] of tree.unsafe.started) {
            const ended = Object.values(tree.unsafe.ended.get(kind) ?? {})
              .reduce((sum, count) => sum + count, 0)
            expect(ended + (live.get(kind) ?? 0)).toBe(started)
          }
        }
        const stop = tree.unsafe.listen(check)
        const kinds = ["request", "job", "task"]
        yield* Effect.all(
          kinds.flatMap((kind, i) => [
            Task.run("ok", Effect.yieldNow, { kind }),
            Effect.exit(Task.run("bad", Effect.andThen(Effect.yieldNow, Effect.fail(i)), { kind })),
            Effect.exit(Task.run("sync", Effect.fail(i), { kind })),
            Effect.exit(Task.run("out", Effect.interrupt, { kind })),
          ]),
          { concurrency: "unbounded" },
        )
        stop()
        const { started, ended } = yield* tree.counts
        expect(started).toEqual({ request: 4, job: 4, task: 4 })
        expect(ended["job"]).toEqual({ completed: 1, failed: 2, cancelled: 1, refused: 0 })
      }).pipe(Effect.provide(Logger.layer([])))
    ))
})
