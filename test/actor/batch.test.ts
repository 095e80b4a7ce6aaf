import { describe, expect, it } from "@effect/vitest"
import { Context, Effect, type Fiber, Option, Scope } from "effect"
import * as CancelReason from "../../src/task/CancelReason.ts"
import { CurrentScope } from "../../src/task/scope.ts"
import * as Task from "../../src/task/Task.ts"
import { type BoxRef, gate, settle, type Trace, world } from "./support.ts"

/** Tells several things in one turn, so that they are one batch. */
const all = (box: BoxRef, ...works: ReadonlyArray<Effect.Effect<unknown, unknown, Scope.Scope>>) =>
  Effect.forEach(works, (work) => box.tell.Run(work), { discard: true })

/** Runs a test with one actor. */
const alone = (test: (a: BoxRef, trace: Trace) => Effect.Effect<unknown, unknown>) =>
  world(({ box, trace }) => Effect.flatMap(box("A"), (a) => test(a, trace)))

const thisFiber = Effect.withFiber((fiber) =>
  Effect.succeed(fiber as Fiber.Fiber<unknown, unknown>)
)

describe("a batch", () => {
  it.effect("runs short messages in one fiber, each in a frame and a scope of its own", () =>
    alone((a) =>
      Effect.gen(function* () {
        const fibers = new Set<unknown>()
        const frames = new Set<unknown>()
        const scopes = new Set<unknown>()
        const look = Effect.withFiber((fiber) => {
          fibers.add(fiber)
          frames.add(fiber.getRef(CurrentScope))
          scopes.add(Context.getUnsafe(fiber.context as Context.Context<Scope.Scope>, Scope.Scope))
          return Effect.void
        })
        yield* all(a, look, look, look)
        yield* settle
        expect([fibers.size, frames.size, scopes.size]).toEqual([1, 3, 3])
      })
    ))

  it.effect("closes the scope of each message before the next one begins", () =>
    alone((a, trace) =>
      Effect.gen(function* () {
        const work = (name: string) =>
          Effect.andThen(Effect.addFinalizer(() => trace.add(`${name} closed`)), trace.add(name))
        yield* all(a, work("1"), work("2"), work("3"))
        yield* settle
        expect(trace.steps).toEqual(["1", "1 closed", "2", "2 closed", "3", "3 closed"])
      })
    ))

  it.effect("waits for a cleanup that takes its time before the next one begins", () =>
    alone((a, trace) =>
      Effect.gen(function* () {
        const go = gate()
        yield* all(
          a,
          Effect.addFinalizer(() => Effect.andThen(go.wait, trace.add("1 closed"))),
          trace.add("2"),
        )
        yield* settle
        expect(trace.steps).toEqual([])
        yield* go.open
        yield* settle
        expect(trace.steps).toEqual(["1 closed", "2"])
      })
    ))

  it.effect("ends what a message has forked with that message, not with the batch", () =>
    alone((a, trace) =>
      Effect.gen(function* () {
        const parent = Effect.forkChild(
          Effect.onInterrupt(Effect.never, () => trace.add("child of 1 ended")),
          { startImmediately: true },
        )
        yield* all(a, Effect.andThen(parent, trace.add("1")), trace.add("2"))
        yield* settle
        expect(trace.steps).toEqual(["1", "child of 1 ended", "2"])
        expect(yield* a.account).toMatchObject({ ended: { handled: 2 } })
      })
    ))

  it.effect("waits for the cleanup of such a child", () =>
    alone((a, trace) =>
      Effect.gen(function* () {
        const go = gate()
        const parent = Effect.forkChild(Effect.onInterrupt(Effect.never, () => go.wait), {
          startImmediately: true,
        })
        yield* all(a, parent, trace.add("2"))
        yield* settle
        expect(yield* a.account).toMatchObject({ running: 1, queued: 1 })
        yield* go.open
        yield* settle
        expect(trace.steps).toEqual(["2"])
        expect(yield* a.account).toMatchObject({ running: 0, ended: { handled: 2 } })
      })
    ))

  it.effect("gives its fiber to a message that suspends, and the next one gets another", () =>
    alone((a, trace) =>
      Effect.gen(function* () {
        const go = gate()
        const fibers: Array<unknown> = []
        const note = Effect.map(thisFiber, (fiber) => fibers.push(fiber))
        yield* all(a, note, Effect.andThen(note, go.wait), note)
        yield* settle
        expect(yield* a.account).toMatchObject({ running: 1, queued: 1, ended: { handled: 1 } })
        yield* go.open
        yield* settle
        expect(fibers[0]).toBe(fibers[1])
        expect(fibers[2]).not.toBe(fibers[1])
        expect(trace.steps).toEqual([])
        expect(yield* a.account).toMatchObject({ running: 0, ended: { handled: 3 } })
      })
    ))

  it.effect("cancels the message that suspended, with its reason, and no other", () =>
    world(({ box, trace, tree }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        const stuck = Effect.onInterrupt(Effect.never, () => trace.reason("2"))
        yield* all(a, trace.add("1"), stuck, trace.add("3"))
        yield* settle
        for (const task of Array.from(tree.unsafe.live)) {
          if (task.name === "A.Run") task.cancel(CancelReason.Requested("the test"))
        }
        yield* settle
        expect(trace.steps).toEqual(["1", "2: requested by the test", "3"])
        expect(yield* a.account).toMatchObject({ ended: { handled: 2, cancelled: 1 } })
      })
    ))

  it.effect("goes on after a message that failed, whose fiber it was", () =>
    alone((a, trace) =>
      Effect.gen(function* () {
        yield* all(
          a,
          trace.add("1"),
          Effect.ensuring(Effect.fail("no"), trace.add("2 ends")),
          trace.add("3"),
        )
        yield* settle
        expect(trace.steps).toEqual(["1", "2 ends", "3"])
        expect(yield* a.account).toMatchObject({ ended: { handled: 2, failed: 1 } })
      })
    ))

  it.effect("hands an interrupt of its fiber to the message that caused it", () =>
    alone((a, trace) =>
      Effect.gen(function* () {
        const self = Effect.flatMap(
          thisFiber,
          (fiber) => Effect.sync(() => fiber.interruptUnsafe()),
        )
        yield* all(a, trace.add("1"), self, trace.add("3"))
        yield* settle
        expect(trace.steps).toEqual(["1", "3"])
        expect(yield* a.account).toMatchObject({ ended: { handled: 2, failed: 1 } })
      })
    ))

  it.effect("leaves what a message has handed on in the frame of that message", () =>
    alone((a, trace) =>
      Effect.gen(function* () {
        const go = gate()
        const later = gate()
        const detached = Effect.forkDetach(
          Effect.andThen(
            go.wait,
            Effect.flatMap(Task.current, (task) => trace.add(Option.getOrThrow(task).state)),
          ),
          { startImmediately: true },
        )
        yield* all(a, detached, later.wait)
        yield* settle
        yield* go.open
        yield* settle
        // That of the first message, which is over, not that of the second, which runs.
        expect(trace.steps).toEqual(["ended"])
        yield* later.open
      })
    ))
})
