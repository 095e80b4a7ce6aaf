import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { CancelReason, Task, type TaskTree } from "@weir/runtime"
import { type BoxRef, fork, gate, inside, settle, single, watched, world } from "./support.ts"

/** The live tasks, but for the supervisor and the kind that is its child. */
const names = (tree: TaskTree.TaskTree) =>
  Array.from(tree.unsafe.live, (record) => record.name)
    .filter((name) => name !== "actors" && name !== "A")

const find = (tree: TaskTree.TaskTree, name: string) =>
  Array.from(tree.unsafe.live).find((record) => record.name === name)!

describe("handlers in the task tree", () => {
  // §3.2, 69: suspended ones are there, finished ones are gone.
  it.effect("are there once they suspend, below the task that asked, and gone when they end", () =>
    world(({ boxes, tree }) =>
      Effect.gen(function* () {
        const box = yield* boxes("A")
        const go = gate()
        const edge = yield* fork(Task.run(
          "edge",
          box("x").ask.Run(Effect.andThen(box("y").ask.Run(go.wait), Effect.void)),
        ))
        yield* box("z").tell.Run(go.wait)
        yield* settle
        expect(names(tree).sort()).toEqual(["A/x.Run", "A/y.Run", "A/z.Run", "edge"])
        expect(find(tree, "A/y.Run")).toMatchObject({ kind: "actor", state: "running" })
        expect(find(tree, "A/y.Run").parent?.name).toBe("A/x.Run")
        expect(find(tree, "A/x.Run").parent?.name).toBe("edge")
        // A tell is nobody's child, and no drain of requests waits for it.
        expect(find(tree, "A/z.Run").parent).toBeUndefined()
        expect(find(tree, "A/z.Run").background).toBe(true)
        expect(find(tree, "A/y.Run").background).toBe(find(tree, "edge").background)
        yield* go.open
        yield* Fiber.join(edge)
        yield* settle
        expect(names(tree)).toEqual([])
      })
    ))

  it.effect("are not there if they never suspend", () =>
    world(({ box, tree }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        const before = (yield* tree.counts).started["actor"]
        for (let i = 0; i < 10; i++) yield* a.ask.Note("sync")
        expect((yield* tree.counts).started["actor"]).toBe(before)
      })
    ))

  it.effect("can be found while they run synchronously, by what they start", () =>
    world(({ box, tree }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        const go = gate()
        const asked = yield* watched(
          a.ask.Run(Effect.andThen(Task.run("inner", go.wait), Effect.void)),
        )
        expect(find(tree, "inner").parent?.name).toBe("A.Run")
        yield* go.open
        yield* settle
        expect(asked()).toBe("ok")
      })
    ))

  it.effect("can be cancelled there, like any task; the actor goes on", () =>
    world(({ box, letters, trace, tree }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        const asked = yield* fork(Effect.flip(a.ask.Run(trace.never("handler"))))
        yield* settle
        find(tree, "A.Run").cancel(CancelReason.Requested("operator"))
        const failed = yield* Fiber.join(asked)
        expect(failed).toMatchObject({
          _tag: "ActorFailed",
          defect: "the handler was cancelled: requested by operator",
        })
        expect(trace.steps).toEqual(["handler: requested by operator"])
        expect(yield* a.account).toMatchObject({ ended: { cancelled: 1 } })
        expect(yield* a.ask.Note("on")).toBe("on")
        expect(letters).toEqual([])
      })
    ))

  it.effect("show init, timers and closing as what they are", () =>
    world(({ box, tree }) =>
      Effect.gen(function* () {
        const go = gate()
        const a = yield* box(
          "A",
          {},
          inside((context) =>
            Effect.gen(function* () {
              yield* Effect.addFinalizer(() => Effect.sleep(100))
              yield* context.timer("beat", { after: 10 }, Effect.sleep(100))
              yield* go.wait
            })
          ),
        )
        expect(names(tree)).toEqual(["A.init"])
        yield* go.open
        yield* TestClock.adjust(10)
        expect(names(tree)).toEqual(["A.timer beat"])
        yield* TestClock.adjust(100)
        const stopping = yield* fork(a.stop)
        yield* settle
        expect(names(tree)).toEqual(["A.close"])
        yield* TestClock.adjust(100)
        yield* Fiber.join(stopping)
      })
    ))

  // §3.2, 69: odd names survive as JSON.
  it.effect("may have any key in their name", () =>
    world(({ boxes, tree }) =>
      Effect.gen(function* () {
        const odd = 'a"b\\c\n/\u0000é😀'
        const box = (yield* boxes("A"))(odd)
        const go = gate()
        const asked = yield* watched(box.ask.Run(go.wait))
        const name = `A/${odd}.Run`
        expect(JSON.parse(JSON.stringify(names(tree)))).toEqual([name])
        yield* go.open
        yield* settle
        expect(asked()).toBe("ok")
      })
    ))

  // §3.2, 70: a hook that throws is taken away; the program does not notice.
  it.effect("do not notice a listener that throws", () =>
    world(({ box, tree }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        let heard = 0
        tree.unsafe.listen(() => {
          heard++
          throw new Error("a listener of the test throws; the log line above is expected")
        })
        const asked = yield* watched(a.ask.Run(Effect.sleep(10)))
        yield* TestClock.adjust(10)
        expect(asked()).toBe("ok")
        expect(heard).toBe(1)
      })
    ))

  // §3.2, 70: the walk from parents to children is complete.
  it.effect("are all reached from their roots", () =>
    world(({ box, tree }) =>
      Effect.gen(function* () {
        const go = gate()
        const a = yield* box("A", { concurrency: 5 })
        const Kid = single("Kid")
        const kid: BoxRef = yield* a.ask.Run(inside((context) =>
          context.spawn(Kid, "kid", {
            Run: ({ payload }) => payload,
            Now: ({ payload }) => payload,
            Firm: ({ payload }) => payload,
            Again: ({ payload }) => payload,
            Note: ({ payload }) => Effect.succeed(payload),
          }, { concurrency: 5 }) as Effect.Effect<BoxRef>
        ))
        const edges: Array<Fiber.Fiber<unknown, unknown>> = []
        for (let i = 0; i < 3; i++) {
          edges.push(
            yield* fork(
              Task.run(`edge ${i}`, a.ask.Run(kid.ask.Run(Task.run(`leaf ${i}`, go.wait)))),
            ),
          )
        }
        yield* settle
        const depth = (name: string) => {
          let steps = 0
          for (let task = find(tree, name).parent; task !== undefined; task = task.parent) {
            expect(names(tree)).toContain(task.name)
            steps++
          }
          return steps
        }
        expect([depth("leaf 0"), depth("leaf 1"), depth("leaf 2")]).toEqual([3, 3, 3])
        yield* go.open
        yield* Effect.forEach(edges, Fiber.join)
      })
    ))
})
