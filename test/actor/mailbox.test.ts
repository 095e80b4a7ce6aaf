import { describe, expect, it } from "@effect/vitest"
import { Cause, Effect, Fiber, Layer, Schema } from "effect"
import { Rpc } from "effect/rpc"
import { TestClock } from "effect/testing"
import * as Actor from "../../src/actor/Actor.ts"
import * as Saturation from "../../src/bounded/Saturation.ts"
import { Trace } from "../task/support.ts"
import {
  type BoxRef,
  fork,
  gate,
  inside,
  occupy,
  reasonsOf,
  settle,
  watched,
  world,
} from "./support.ts"

const tellAll = (box: BoxRef, notes: ReadonlyArray<string>) =>
  Effect.forEach(notes, (note) => Effect.exit(box.tell.Note(note)))

describe("a full mailbox", () => {
  // §3.2, 39: a typed error in the sender, at once; and never a defect (actor-ts 919).
  it.effect("rejects with the numbers, and runs what it took", () =>
    world(({ box, letters, trace }) =>
      Effect.gen(function* () {
        const a = yield* box("A", { mailbox: { capacity: 2 } })
        const go = gate()
        yield* occupy(a, go.wait)
        yield* tellAll(a, ["1", "2"])
        const told = yield* Effect.exit(a.tell.Note("3"))
        expect(told._tag === "Failure" && Cause.hasDies(told.cause)).toBe(false)
        expect(yield* Effect.flip(a.ask.Note("4"))).toMatchObject({
          _tag: "MailboxFull",
          actor: "A",
          tag: "Note",
          reason: "Full",
          waiting: 2,
          capacity: 2,
        })
        yield* go.open
        yield* settle
        expect(trace.steps).toEqual(["1", "2"])
        // The asker knows; of the tell it is a loss.
        expect(reasonsOf(letters)).toEqual(["A Note rejected"])
        expect(yield* a.account).toMatchObject({ sent: 5, ended: { rejected: 2, handled: 3 } })
      })
    ))

  // §3.2, 36 and 41: exactly these survive, and each drop is one dead letter.
  it.effect("with dropOldest keeps the youngest", () =>
    world(({ box, letters, trace }) =>
      Effect.gen(function* () {
        const a = yield* box("A", { mailbox: { capacity: 2, overflow: "dropOldest" } })
        const go = gate()
        yield* occupy(a, go.wait)
        const asked = yield* watched(a.ask.Note("asked"))
        yield* tellAll(a, ["1", "2", "3"])
        expect(asked()).toBe("MailboxFull")
        yield* go.open
        yield* settle
        expect(trace.steps).toEqual(["2", "3"])
        expect(letters).toMatchObject([
          { reason: "dropped", how: "ask", payload: "asked" },
          { reason: "dropped", how: "tell", payload: "1" },
        ])
        expect(yield* a.account).toMatchObject({ highWater: 2, ended: { dropped: 2, handled: 3 } })
      })
    ))

  it.effect("with dropNewest keeps the oldest; a tell succeeds, an ask is told", () =>
    world(({ box, letters, trace }) =>
      Effect.gen(function* () {
        const a = yield* box("A", { mailbox: { capacity: 2, overflow: "dropNewest" } })
        const go = gate()
        yield* occupy(a, go.wait)
        yield* Effect.orDie(Effect.forEach(["1", "2", "3"], (n) => a.tell.Note(n)))
        expect(yield* Effect.flip(a.ask.Note("4"))).toMatchObject({ reason: "Dropped" })
        yield* go.open
        yield* settle
        expect(trace.steps).toEqual(["1", "2"])
        expect(letters).toMatchObject([
          { reason: "dropped", payload: "3" },
          { reason: "dropped", payload: "4" },
        ])
        expect(yield* a.account).toMatchObject({ ended: { dropped: 2, handled: 3 } })
      })
    ))

  it.effect("with dropOldest holds no more than its capacity while senders wait for room", () =>
    world(({ box, trace }) =>
      Effect.gen(function* () {
        const a = yield* box("A", { mailbox: { capacity: 1, overflow: "dropOldest" } })
        const go = gate()
        yield* occupy(a, go.wait)
        yield* a.tell.Note("1")
        const offered = yield* watched(a.offer.Note("offered"))
        yield* a.tell.Note("2")
        expect(offered()).toBe("waits")
        expect(yield* a.account).toMatchObject({ highWater: 1, queued: 2, offering: 1 })
        yield* go.open
        yield* settle
        expect(trace.steps).toEqual(["2", "offered"])
        expect(offered()).toBe("ok")
      })
    ))

  // Two actors that tell each other never wait for each other.
  it.effect("deadlocks no two actors that tell each other", () =>
    world(({ boxes }) =>
      Effect.gen(function* () {
        const box = yield* boxes("A", { mailbox: { capacity: 1 } })
        let rejected = 0
        const flood = (to: string): Effect.Effect<void> =>
          Effect.forEach(
            [1, 2, 3],
            () => Effect.catch(box(to).tell.Run(Effect.void), () => Effect.sync(() => rejected++)),
            { discard: true },
          )
        const one = yield* watched(box("1").ask.Run(Effect.andThen(Effect.yieldNow, flood("2"))))
        const two = yield* watched(box("2").ask.Run(Effect.andThen(Effect.yieldNow, flood("1"))))
        yield* settle
        expect([one(), two()]).toEqual(["ok", "ok"])
        expect(rejected).toBe(4)
      })
    ))

  // §3.2, 34 and 35: control overtakes what is queued, and is lost under no policy.
  for (const overflow of ["reject", "dropOldest", "dropNewest"] as const) {
    it.effect(`with ${overflow} still hears of deaths and timers, before its messages`, () =>
      world(({ box, boxes, trace }) =>
        Effect.gen(function* () {
          const others = yield* boxes("Other")
          const a = yield* box("A", { mailbox: { capacity: 2, overflow } })
          const names = ["1", "2", "3", "4", "5"]
          for (const n of names) yield* others(n).ask.Note(n)
          const go = gate()
          yield* a.ask.Run(inside((context) =>
            Effect.gen(function* () {
              for (const n of names) {
                yield* context.watch(others(n), (end) => trace.add(`${end.path} ${end.reason}`))
              }
              yield* context.timer("t", { after: 100 }, trace.add("timer"))
            })
          ))
          yield* occupy(a, go.wait)
          yield* tellAll(a, ["queued 1", "queued 2"])
          trace.steps.length = 0
          for (const n of names) yield* others(n).stop
          yield* TestClock.adjust(100)
          yield* go.open
          yield* settle
          expect(trace.steps).toEqual([
            ...names.map((n) => `Other/${n} stopped`),
            "timer",
            "queued 1",
            "queued 2",
          ])
          // Not counted: they are no messages.
          expect(yield* a.account).toMatchObject({ highWater: 2, sent: 4 })
        })
      ))
  }
})

describe("an offer", () => {
  it.effect("waits for room, the first who came first", () =>
    world(({ box, trace }) =>
      Effect.gen(function* () {
        const a = yield* box("A", { mailbox: { capacity: 1, offerers: 2 } })
        const go = gate()
        yield* occupy(a, go.wait)
        yield* a.tell.Note("1")
        const two = yield* watched(a.offer.Note("2"))
        const three = yield* watched(a.offer.Note("3"))
        expect([two(), three()]).toEqual(["waits", "waits"])
        expect(yield* a.account).toMatchObject({ queued: 3, offering: 2, running: 1 })
        yield* go.open
        yield* settle
        expect([two(), three()]).toEqual(["ok", "ok"])
        expect(trace.steps).toEqual(["1", "2", "3"])
      })
    ))

  it.effect("is rejected when too many wait: by default as many as the capacity", () =>
    world(({ box }) =>
      Effect.gen(function* () {
        const a = yield* box("A", { mailbox: { capacity: 2 } })
        const b = yield* box("B", { mailbox: { capacity: 2, offerers: 0 } })
        const go = gate()
        for (const one of [a, b]) {
          yield* occupy(one, go.wait)
          yield* tellAll(one, ["1", "2"])
        }
        yield* fork(a.offer.Note("3"))
        yield* fork(a.offer.Note("4"))
        expect(yield* Effect.flip(a.offer.Note("5"))).toMatchObject({ reason: "Offerers" })
        expect(yield* Effect.flip(b.offer.Note("3"))).toMatchObject({ reason: "Offerers" })
        yield* go.open
        yield* settle
      })
    ))

  it.effect("that is interrupted leaves the line and never runs", () =>
    world(({ box, trace }) =>
      Effect.gen(function* () {
        const a = yield* box("A", { mailbox: { capacity: 1, offerers: 2 } })
        const go = gate()
        yield* occupy(a, go.wait)
        yield* a.tell.Note("1")
        const left = yield* fork(a.offer.Note("left"))
        const stays = yield* watched(a.offer.Note("stays"))
        yield* Fiber.interrupt(left)
        expect(yield* a.account).toMatchObject({ offering: 1, ended: { cancelled: 1 } })
        yield* go.open
        yield* settle
        expect(stays()).toBe("ok")
        expect(trace.steps).toEqual(["1", "stays"])
      })
    ))

  it.effect("is let in where a queued ask was cancelled or expired", () =>
    world(({ box, trace }) =>
      Effect.gen(function* () {
        const a = yield* box("A", { mailbox: { capacity: 1 } })
        const go = gate()
        yield* occupy(a, go.wait)
        const asker = yield* fork(a.ask.Note("cancelled"))
        const one = yield* watched(a.offer.Note("1"))
        yield* Fiber.interrupt(asker)
        yield* settle
        expect(one()).toBe("ok")
        const two = yield* watched(a.offer.Note("2"))
        expect(two()).toBe("waits")
        yield* go.open
        yield* settle
        expect(trace.steps).toEqual(["1", "2"])
        const again = gate()
        yield* occupy(a, again.wait)
        const expiring = yield* watched(a.ask.Note("expired", { timeout: 100 }))
        const three = yield* watched(a.offer.Note("3"))
        yield* TestClock.adjust(100)
        expect([expiring(), three()]).toEqual(["AskTimeout", "ok"])
        yield* again.open
        yield* settle
        expect(trace.steps).toEqual(["1", "2", "3"])
      })
    ))

  it.effect("by the actor to itself, when only it could make room, is rejected", () =>
    world(({ box }) =>
      Effect.gen(function* () {
        const a = yield* box("A", { mailbox: { capacity: 1 } })
        const failed = yield* a.ask.Run(Effect.andThen(
          Effect.ignore(a.tell.Note("1")),
          Effect.flip(a.offer.Note("2")),
        ))
        expect(failed).toMatchObject({ _tag: "MailboxFull", reason: "OwnMailbox" })
        expect(failed.message).toBe(
          'Actor "A" did not take Note: its mailbox is full, and would stay so while the sender ' +
            "waits for room (1/1 waiting). Try again in 1000 ms.",
        )
      })
    ))

  it.effect("deadlocks no two actors that offer to each other", () =>
    world(({ boxes }) =>
      Effect.gen(function* () {
        const box = yield* boxes("A", { mailbox: { capacity: 1 } })
        const go = gate()
        const offers = (to: string) => Effect.andThen(go.wait, box(to).offer.Note("x"))
        const one = yield* watched(box("1").ask.Run(offers("2")))
        const two = yield* watched(box("2").ask.Run(offers("1")))
        yield* box("1").tell.Note("full")
        yield* box("2").tell.Note("full")
        yield* go.open
        yield* settle
        expect([one(), two()].sort()).toEqual(["MailboxFull", "ok"])
      })
    ))

  it.effect("is told when the actor stops meanwhile", () =>
    world(({ box, letters }) =>
      Effect.gen(function* () {
        const a = yield* box("A", { mailbox: { capacity: 1 }, grace: "1 second" })
        yield* occupy(a, Effect.never)
        yield* a.tell.Note("queued")
        const offered = yield* watched(a.offer.Note("offered"))
        const stopping = yield* fork(a.stop)
        yield* TestClock.adjust("1 second")
        yield* Fiber.join(stopping)
        expect(offered()).toBe("Stopped")
        expect(reasonsOf(letters)).toEqual(["A Note rejected", "A Note discarded"])
      })
    ))
})

describe("priority", () => {
  const note = { payload: Schema.String }
  const Low = Rpc.make("Low", note).annotate(Actor.Priority, -1)
  const Mid = Rpc.make("Mid", note)
  const High = Rpc.make("High", note).annotate(Actor.Priority, 5)
  const Hold = Rpc.make("Hold")
  const Post = (options?: Actor.ActorOptions) =>
    Actor.single("Post", [Low, Mid, High, Hold], options)

  const posted = (options?: Actor.ActorOptions) => {
    const trace = new Trace()
    const go = gate()
    const add = ({ payload }: { readonly payload: string }) => trace.add(payload)
    const actor = Post(options)
    return { trace, go, actor, handlers: { Low: add, Mid: add, High: add, Hold: () => go.wait } }
  }

  it.effect("handles the urgent first, and equals in the order in which they came", () =>
    world(() =>
      Effect.gen(function* () {
        const { actor, go, handlers, trace } = posted()
        yield* Effect.scoped(Effect.gen(function* () {
          yield* Layer.build(actor.toLayer(handlers))
          const post = yield* actor.client
          yield* post.tell.Hold()
          yield* settle
          for (let i = 0; i < 4; i++) {
            yield* post.tell.Low(`l${i}`)
            yield* post.tell.Mid(`m${i}`)
            yield* post.tell.High(`h${i}`)
          }
          yield* go.open
          yield* settle
        }))
        expect(trace.steps.join(" ")).toBe("h0 h1 h2 h3 m0 m1 m2 m3 l0 l1 l2 l3")
      })
    ))

  it.effect("with dropOldest drops in the least urgent lane", () =>
    world(({ letters }) =>
      Effect.gen(function* () {
        const { actor, go, handlers, trace } = posted({
          mailbox: { capacity: 3, overflow: "dropOldest" },
        })
        yield* Effect.scoped(Effect.gen(function* () {
          yield* Layer.build(actor.toLayer(handlers))
          const post = yield* actor.client
          yield* post.tell.Hold()
          yield* settle
          yield* post.tell.Low("l0")
          yield* post.tell.High("h0")
          yield* post.tell.Low("l1")
          yield* post.tell.Mid("m0")
          yield* post.tell.High("h1")
          yield* post.tell.High("h2")
          yield* go.open
          yield* settle
        }))
        expect(trace.steps).toEqual(["h0", "h1", "h2"])
        expect(letters.map((letter) => letter.payload)).toEqual(["l0", "l1", "m0"])
      })
    ))
})

describe("a mailbox as a bounded thing", () => {
  it.effect("shows itself under its actor's name", () =>
    world(({ box }) =>
      Effect.gen(function* () {
        const a = yield* box("A", { mailbox: { capacity: 2 } })
        const go = gate()
        yield* occupy(a, go.wait)
        yield* tellAll(a, ["1", "2", "3"])
        yield* TestClock.adjust(500)
        const { get } = yield* Saturation.Saturation
        expect(get("A")!.stats(500)).toMatchObject({
          kind: "mailbox",
          name: "A",
          capacity: 1,
          inUse: 1,
          waiting: 2,
          queueCapacity: 2,
          highWater: 2,
          oldestWaitMs: 500,
          refused: { QueueFull: 1 },
        })
        yield* go.open
        yield* settle
        expect(yield* a.account).toMatchObject({ waitedMs: 1000, longestWaitMs: 500 })
      })
    ))

  it.effect("rejects an ask that could not be answered in time, before it costs anything", () =>
    world(({ box, trace }) =>
      Effect.gen(function* () {
        const a = yield* box("A", { expected: "100 millis" })
        const go = gate()
        yield* occupy(a, go.wait)
        const failed = yield* Effect.flip(a.ask.Note("x", { timeout: 150 }))
        expect(failed).toMatchObject({
          _tag: "MailboxFull",
          reason: "Infeasible",
          predictedWaitMs: 100,
          retryAfterMs: 100,
        })
        const asked = yield* watched(a.ask.Note("y", { timeout: 250 }))
        // A tell is bounded in its wait, not in its end.
        yield* a.tell.Note("z", { expires: 250 })
        yield* go.open
        yield* settle
        expect(asked()).toBe("ok")
        expect(trace.steps).toEqual(["y", "z"])
      })
    ))
})
