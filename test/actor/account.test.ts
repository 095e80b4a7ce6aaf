import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Scope } from "effect"
import { TestClock } from "effect/testing"
import { ActorSystem } from "../../src/actor/ActorSystem.ts"
import * as CancelReason from "../../src/task/CancelReason.ts"
import * as Supervisor from "../../src/task/Supervisor.ts"
import { type BoxRef, fork, handlers, inside, single, world } from "./support.ts"

const infos = Effect.map(ActorSystem, ({ unsafe }) => unsafe.infos())

describe("the account of a kind", () => {
  it.effect("counts a message for an actor that did not survive its init", () =>
    world(({ boxes, letters }) =>
      Effect.gen(function* () {
        const restart = Supervisor.restart({ intensity: 0 })
        const box = yield* boxes("A", { restart, exhausted: "stop" }, Effect.die("boom"))
        expect((yield* Effect.flip(box("x").tell.Note("1")))._tag).toBe("Stopped")
        expect((yield* Effect.flip(box("x").ask.Note("2")))._tag).toBe("Stopped")
        expect(yield* infos).toMatchObject([
          { name: "A", account: { sent: 2, ended: { rejected: 2 } } },
        ])
        expect(letters).toMatchObject([{ how: "tell", reason: "rejected" }])
      })
    ))

  it.effect("counts children, those that are being closed, and those that are gone", () =>
    world(({ box, trace }) =>
      Effect.gen(function* () {
        const parent = yield* box("A", { grace: 100 })
        const child: BoxRef = yield* parent.ask.Run(
          inside(({ spawn }) => spawn(single("Child", { grace: 100 }), "c", handlers(trace))),
        )
        const about = Effect.map(infos, (all) => all.find(({ name }) => name === "Child"))
        yield* child.ask.Note("1")
        yield* child.tell.Firm(Effect.sleep(150))
        yield* TestClock.adjust(0)
        expect(yield* about).toMatchObject({ residents: 1, account: { sent: 2, running: 1 } })
        const stopping = yield* fork(parent.stop)
        yield* TestClock.adjust(10)
        expect(yield* about).toMatchObject({ account: { sent: 2, running: 1 } })
        yield* TestClock.adjust(100)
        yield* Fiber.join(stopping)
        // Abandoned, and still accounted for.
        expect(yield* about).toMatchObject({ residents: 0, account: { sent: 2, running: 1 } })
        expect((yield* Effect.flip(child.ask.Note("2")))._tag).toBe("Stopped")
        yield* TestClock.adjust(100)
        expect(yield* about).toMatchObject({
          residents: 0,
          account: { sent: 3, running: 0, ended: { handled: 2, rejected: 1 } },
        })
      })
    ))

  it.effect("stays when its layer has closed", () =>
    world(({ trace }) =>
      Effect.gen(function* () {
        const A = single("A")
        const scope = yield* Scope.make()
        yield* Layer.buildWithScope(A.toLayer(handlers(trace)), scope)
        yield* (yield* A.client).ask.Note("1")
        yield* Scope.close(scope, Exit.void)
        expect(yield* infos).toMatchObject([
          { name: "A", residents: 0, account: { sent: 1, ended: { handled: 1 } } },
        ])
      })
    ))

  it.effect("has one actor for a key, also when it is reached while room is made for it", () =>
    world(({ boxes, trace }) =>
      Effect.gen(function* () {
        let last: Effect.Effect<void, unknown> = Effect.void
        const init = inside(({ key }) =>
          Effect.andThen(
            trace.add(`${key} starts`),
            Effect.addFinalizer(() => key === "x" ? Effect.ignore(last) : Effect.void),
          )
        )
        const box = yield* boxes("A", { residents: 1 }, init)
        last = box("y").tell.Note("from x")
        yield* box("x").ask.Note("1")
        yield* box("y").ask.Note("2")
        expect(trace.steps).toEqual(["x starts", "1", "y starts", "from x", "2"])
        expect(yield* infos).toMatchObject([{ residents: 1, account: { sent: 3 } }])
      })
    ))

  it.effect("says handled when a handler has done its work, whoever cancels its cleanup", () =>
    world(({ box, letters }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        const slow = Effect.andThen(Effect.addFinalizer(() => Effect.sleep(50)), Effect.succeed(1))
        const asker = yield* fork(a.ask.Run(slow))
        yield* TestClock.adjust(10)
        const interrupted = yield* fork(Fiber.interrupt(asker))
        yield* TestClock.adjust(40)
        yield* Fiber.join(interrupted)
        expect(yield* a.account).toMatchObject({ ended: { handled: 1, cancelled: 0 } })
        expect(letters).toMatchObject([{ reason: "late-reply", payload: 1 }])
      })
    ))

  it.effect("says handled when an uninterruptible handler has stopped its own actor at once", () =>
    world(({ box }) =>
      Effect.gen(function* () {
        const a = yield* box("A", { grace: 0 })
        yield* a.tell.Firm(inside(({ stop }) => Effect.andThen(stop, Effect.sleep(10))))
        yield* TestClock.adjust(10)
        expect(yield* infos).toMatchObject([{ account: { ended: { handled: 1, cancelled: 0 } } }])
      })
    ))

  it.effect("has a letter for a message put aside in vain whose asker had left", () =>
    world(({ box, letters }) =>
      Effect.gen(function* () {
        const a = yield* box("A", { mailbox: { stash: 0 } })
        const asker = yield* fork(
          a.ask.Firm(inside(({ stash }) => Effect.andThen(Effect.sleep(10), stash))),
        )
        yield* Fiber.interrupt(asker)
        yield* TestClock.adjust(10)
        expect(yield* a.account).toMatchObject({ ended: { rejected: 1 } })
        expect(letters).toMatchObject([{ how: "ask", reason: "rejected" }])
      })
    ))
})

it.effect("a layer of actors closes after them, also when their supervisor is ending", () =>
  world(({ trace, tree }) =>
    Effect.gen(function* () {
      const A = single("A")
      const scope = yield* Scope.make()
      yield* Layer.buildWithScope(A.toLayer(handlers(trace)), scope)
      yield* (yield* A.client).tell.Firm(Effect.andThen(Effect.sleep(100), trace.add("done")))
      yield* TestClock.adjust(1)
      for (const record of Array.from(tree.unsafe.live)) {
        if (record.name === "actors") record.cancel(CancelReason.Requested("test"))
      }
      yield* fork(Effect.andThen(Scope.close(scope, Exit.void), trace.add("closed")))
      yield* TestClock.adjust(200)
      expect(trace.steps).toEqual(["done", "closed"])
    })
  ))
