import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { ActorContext } from "../../src/actor/ActorContext.ts"
import { type BoxRef, fork, inside, reasonsOf, settle, watched, world } from "./support.ts"

/** Sets messages aside until it opens. */
const door = () => {
  let open = false
  return {
    pass: <A>(work: Effect.Effect<A>) => inside((context) => open ? work : context.stash),
    open: (box: BoxRef) =>
      box.ask.Run(inside((context) => {
        open = true
        return context.unstashAll
      })),
  }
}

describe("the stash", () => {
  it.effect("keeps messages in order, and asks are answered later", () =>
    world(({ box, trace }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        const { open, pass } = door()
        const one = yield* fork(a.ask.Run(pass(Effect.as(trace.add("1"), "answer"))))
        yield* a.tell.Run(pass(trace.add("2")))
        yield* a.tell.Run(pass(trace.add("3")))
        yield* a.tell.Note("not stashed")
        yield* settle
        expect(yield* a.account).toMatchObject({ queued: 3, stashed: 3, running: 0 })
        yield* open(a)
        yield* settle
        expect(yield* Fiber.join(one)).toBe("answer")
        expect(trace.steps).toEqual(["not stashed", "1", "2", "3"])
        expect(yield* a.account).toMatchObject({ stashed: 0, ended: { handled: 5 } })
      })
    ))

  it.effect("goes before what is queued", () =>
    world(({ box, trace }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        const { open, pass } = door()
        yield* a.tell.Run(pass(trace.add("stashed")))
        yield* settle
        const opening = yield* fork(Effect.andThen(a.tell.Run(Effect.yieldNow), open(a)))
        yield* a.tell.Note("queued")
        yield* Fiber.join(opening)
        yield* settle
        expect(trace.steps).toEqual(["stashed", "queued"])
      })
    ))

  it.effect("that is full rejects, and says so", () =>
    world(({ box, letters }) =>
      Effect.gen(function* () {
        const a = yield* box("A", { mailbox: { stash: 1 } })
        const { open, pass } = door()
        yield* a.tell.Run(pass(Effect.void))
        const failed = yield* Effect.flip(a.ask.Run(pass(Effect.void)))
        expect(failed).toMatchObject({
          _tag: "MailboxFull",
          reason: "Stash",
          waiting: 1,
          capacity: 1,
        })
        yield* a.tell.Run(pass(Effect.void))
        yield* settle
        expect(reasonsOf(letters)).toEqual(["A Run rejected"])
        yield* open(a)
        yield* settle
        expect(yield* a.account).toMatchObject({ ended: { rejected: 2, handled: 2 } })
      })
    ))

  it.effect("lets go of asks that expire or whose asker leaves", () =>
    world(({ box, letters, trace }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        const { open, pass } = door()
        const expires = yield* watched(a.ask.Run(pass(trace.add("1")), { timeout: 100 }))
        const leaves = yield* fork(a.ask.Run(pass(trace.add("2"))))
        yield* Fiber.interrupt(leaves)
        yield* TestClock.adjust(100)
        expect(expires()).toBe("AskTimeout")
        yield* open(a)
        yield* settle
        expect(trace.steps).toEqual([])
        expect(reasonsOf(letters)).toEqual(["A Run expired"])
        expect(yield* a.account).toMatchObject({ queued: 0, ended: { expired: 1, cancelled: 1 } })
      })
    ))

  it.effect("does not take a message whose asker left while the handler cleaned up", () =>
    world(({ box, trace }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        const asker = yield* fork(a.ask.Run(Effect.scoped(inside((context) =>
          Effect.andThen(
            Effect.addFinalizer(() => Effect.andThen(Effect.sleep(100), trace.add("cleaned"))),
            context.stash,
          )
        ))))
        yield* settle
        const leaving = yield* fork(Fiber.interrupt(asker))
        yield* TestClock.adjust(100)
        yield* Fiber.join(leaving)
        expect(trace.steps).toEqual(["cleaned"])
        expect(yield* a.account).toMatchObject({ queued: 0, ended: { cancelled: 1 } })
      })
    ))

  it.effect("is discarded, and said to be, when the actor stops", () =>
    world(({ box, letters }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        const { pass } = door()
        const asked = yield* watched(a.ask.Run(pass(Effect.void)))
        yield* a.tell.Run(pass(Effect.void))
        yield* settle
        yield* a.stop
        expect(asked()).toBe("Stopped")
        expect(reasonsOf(letters)).toEqual(["A Run discarded", "A Run discarded"])
      })
    ))

  it.effect("keeps a keyed actor in memory", () =>
    world(({ boxes, trace }) =>
      Effect.gen(function* () {
        const box = yield* boxes("A", { idle: "1 second", residents: 1 })
        const { open, pass } = door()
        yield* box("x").tell.Run(pass(trace.add("kept")))
        yield* settle
        yield* TestClock.adjust("1 hour")
        // Not even another one drives it out.
        expect(yield* Effect.flip(box("y").ask.Note("y"))).toMatchObject({ reason: "Residents" })
        yield* open(box("x"))
        yield* settle
        expect(trace.steps).toEqual(["kept"])
        yield* TestClock.adjust("1 second")
        expect(yield* box("x").account).toBeUndefined()
      })
    ))

  it.effect("uses up none of the tries of a message that may be retried", () =>
    world(({ box }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        let runs = 0
        const crashesOnce = inside((context) =>
          ++runs <= 3 ? context.stash : runs === 4 ? Effect.die("bug") : Effect.succeed(runs)
        )
        const again = yield* watched(a.ask.Again(crashesOnce))
        for (let i = 0; i < 3; i++) {
          yield* a.tell.Run(inside((context) => context.unstashAll))
          yield* settle
        }
        expect(again()).toBe("ok")
        expect(runs).toBe(5)
      })
    ))

  it.effect("hides no defect: a handler whose cleanup dies has crashed", () =>
    world(({ box }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        const failed = yield* Effect.flip(
          a.ask.Run(inside((context) => Effect.ensuring(context.stash, Effect.die("bug")))),
        )
        expect(failed).toMatchObject({ _tag: "ActorFailed", defect: "bug" })
        // Nor does a signal that was swallowed put aside what dies later.
        const later = yield* Effect.flip(
          a.ask.Run(
            inside((context) => Effect.andThen(Effect.exit(context.stash), Effect.die("b"))),
          ),
        )
        expect(later).toMatchObject({ _tag: "ActorFailed", defect: "b" })
      })
    ))

  it.effect("is for handlers: elsewhere it is a mistake that crashes", () =>
    world(({ box }) =>
      Effect.gen(function* () {
        let crashes = 0
        const a = yield* box(
          "A",
          {},
          Effect.flatMap(ActorContext, (context) => ++crashes === 1 ? context.stash : Effect.void),
        )
        yield* settle
        expect(crashes).toBe(2)
        expect(yield* a.ask.Note("on")).toBe("on")
      })
    ))
})
