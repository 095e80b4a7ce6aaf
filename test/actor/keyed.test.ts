import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import {
  armed,
  type BoxRef,
  fork,
  gate,
  inside,
  occupy,
  settle,
  watched,
  world,
} from "./support.ts"

const init = (trace: { add: (step: string) => Effect.Effect<void> }) =>
  inside(({ key }) => trace.add(`${key} starts`))

describe("a keyed actor", () => {
  it.effect("starts with its first message, each key for itself", () =>
    world(({ boxes, kinds, trace }) =>
      Effect.gen(function* () {
        const box = yield* boxes("A", {}, init(trace))
        const x = box("x")
        expect(yield* x.account).toBeUndefined()
        expect(yield* x.terminated).toMatchObject({ reason: "not-running" })
        yield* x.stop
        expect(trace.steps).toEqual([])
        yield* x.tell.Note("1")
        yield* box("y").ask.Note("2")
        yield* box("x").ask.Note("3")
        expect(trace.steps).toEqual(["x starts", "y starts", "2", "1", "3"])
        expect([...kinds[0]!.residents].map(({ path }) => path)).toEqual(["A/x", "A/y"])
      })
    ))

  it.effect("leaves memory when it has been idle, and starts anew with the next message", () =>
    world(({ boxes, kinds, trace }) =>
      Effect.gen(function* () {
        const box = yield* boxes("A", { idle: "10 seconds" }, init(trace))
        const x = box("x")
        yield* x.ask.Note("1")
        yield* TestClock.adjust("9 seconds")
        // Idle since the end of its last message.
        const slow = yield* fork(x.ask.Run(Effect.sleep("3 seconds")))
        yield* TestClock.adjust("3 seconds")
        yield* Fiber.join(slow)
        const end = yield* fork(x.terminated)
        yield* TestClock.adjust(9999)
        expect(yield* x.account).toBeDefined()
        yield* TestClock.adjust(1)
        expect(yield* Fiber.join(end)).toMatchObject({ path: "A/x", reason: "passivated" })
        expect(yield* x.account).toBeUndefined()
        expect(yield* armed).toBe(0)
        yield* x.ask.Note("2")
        expect(trace.steps).toEqual(["x starts", "1", "x starts", "2"])
        // What the old one has counted is not lost.
        expect(kinds[0]!.account()).toMatchObject({ sent: 3, ended: { handled: 3 } })
      })
    ))

  it.effect("leaves memory by one timer, also when finalizers send to others of the kind", () =>
    world(({ boxes }) =>
      Effect.gen(function* () {
        const box: (key: string) => BoxRef = yield* boxes(
          "A",
          { idle: "1 second" },
          inside(({ key }) =>
            key === "x"
              ? Effect.addFinalizer(() => Effect.orDie(box("y").ask.Note("bye")))
              : Effect.void
          ),
        )
        yield* box("x").ask.Note("hi")
        yield* TestClock.adjust("1 second")
        expect(yield* box("y").account).toMatchObject({ sent: 1 })
        expect(yield* armed).toBe(1)
      })
    ))

  it.effect("is never passivated with an infinite idle time", () =>
    world(({ boxes }) =>
      Effect.gen(function* () {
        const x = (yield* boxes("A", { idle: Duration.infinity }))("x")
        yield* x.ask.Note("1")
        yield* TestClock.adjust("1000 days")
        expect(yield* x.account).toBeDefined()
        expect(yield* armed).toBe(0)
      })
    ))

  it.effect("makes room for a new one when it has been idle for longest", () =>
    world(({ boxes, trace }) =>
      Effect.gen(function* () {
        const box = yield* boxes("A", { residents: 2 }, init(trace))
        yield* box("x").ask.Note("1")
        yield* box("y").ask.Note("2")
        yield* box("x").ask.Note("3")
        yield* box("z").ask.Note("4")
        expect(yield* box("y").account).toBeUndefined()
        expect(yield* box("x").account).toBeDefined()
        expect(trace.steps).toEqual(["x starts", "1", "y starts", "2", "3", "z starts", "4"])
      })
    ))

  it.effect("is rejected when all that may be in memory are busy", () =>
    world(({ boxes, kinds, letters }) =>
      Effect.gen(function* () {
        const box = yield* boxes("A", { residents: 2 })
        const go = gate()
        yield* occupy(box("x"), go.wait)
        yield* occupy(box("y"), go.wait)
        expect(yield* Effect.flip(box("z").ask.Note("1"))).toMatchObject({
          _tag: "MailboxFull",
          actor: "A/z",
          reason: "Residents",
          waiting: 2,
          capacity: 2,
        })
        expect((yield* Effect.flip(box("z").tell.Note("2")))._tag).toBe("MailboxFull")
        expect((yield* Effect.flip(box("z").offer.Note("3")))._tag).toBe("MailboxFull")
        expect(letters).toMatchObject([
          { to: "A/z", how: "tell", reason: "rejected" },
          { to: "A/z", how: "offer", reason: "rejected" },
        ])
        expect(kinds[0]!.account()).toMatchObject({ sent: 5, ended: { rejected: 3 } })
        expect(kinds[0]!.bounded.stats(0)).toMatchObject({ inUse: 2, refused: { QueueFull: 3 } })
        yield* go.open
        yield* settle
        expect(yield* box("z").ask.Note("4")).toBe("4")
      })
    ))

  it.effect("waits for the cleanup of the one before it: one owner at a time", () =>
    world(({ boxes, trace }) =>
      Effect.gen(function* () {
        const box = yield* boxes(
          "A",
          { idle: "1 second" },
          inside(({ key }) =>
            Effect.acquireRelease(
              trace.add(`${key} opens`),
              () => Effect.andThen(Effect.sleep("1 second"), trace.add(`${key} closes`)),
            )
          ),
        )
        const x = box("x")
        yield* x.ask.Run(Effect.void)
        yield* TestClock.adjust("1 second")
        const one = yield* watched(x.ask.Note("1"))
        const left = yield* fork(x.ask.Note("left"))
        yield* x.tell.Note("2")
        yield* Fiber.interrupt(left)
        expect(one()).toBe("waits")
        yield* TestClock.adjust("1 second")
        yield* settle
        expect(trace.steps).toEqual(["x opens", "x closes", "x opens", "1", "2"])
        expect(one()).toBe("ok")
        // The same with a successor that is stopped before it has begun.
        yield* TestClock.adjust("1 second")
        const two = yield* watched(x.ask.Note("3"))
        yield* x.stop
        expect(two()).toBe("Stopped")
        const three = yield* watched(x.ask.Note("4"))
        yield* TestClock.adjust("1 second")
        expect(three()).toBe("ok")
        expect(trace.steps.slice(5)).toEqual(["x closes", "x opens", "4"])
        const stopping = yield* fork(x.stop)
        yield* TestClock.adjust("1 second")
        yield* Fiber.join(stopping)
      })
    ))

  it.effect("waits no longer than the grace for a cleanup that hangs", () =>
    world(({ boxes, tree }) =>
      Effect.gen(function* () {
        const go = gate()
        let first = true
        const box = yield* boxes(
          "A",
          { idle: "1 second", grace: "1 second" },
          Effect.suspend(() => {
            const hangs = first
            first = false
            return Effect.addFinalizer(() => hangs ? go.wait : Effect.void)
          }),
        )
        const x = box("x")
        yield* x.ask.Run(Effect.void)
        yield* TestClock.adjust("1 second")
        const asked = yield* watched(x.ask.Note("1"))
        yield* TestClock.adjust(999)
        expect(asked()).toBe("waits")
        yield* TestClock.adjust(1)
        yield* settle
        expect(asked()).toBe("ok")
        expect([...tree.unsafe.live].map(({ name, state }) => `${name} ${state}`))
          .toContain("A/x.close abandoned")
        yield* go.open
        yield* settle
      })
    ))

  it.effect("comes and goes ten thousand times and leaves nothing", () =>
    world(({ boxes, kinds }) =>
      Effect.gen(function* () {
        const box = yield* boxes("A", { residents: 100, idle: "1 second" })
        for (let i = 0; i < 10_000; i++) {
          yield* box(`${i}`).tell.Run(Effect.void).pipe(
            Effect.andThen(i % 100 === 99 ? settle : Effect.void),
          )
        }
        expect(kinds[0]!.account()).toMatchObject({ sent: 10_000, ended: { handled: 10_000 } })
        yield* TestClock.adjust("1 second")
        expect([...kinds[0]!.residents]).toEqual([])
        expect(yield* armed).toBe(0)
      })
    ))
})

describe("a single actor", () => {
  it.effect("starts with its layer, once, and is not passivated", () =>
    world(({ box, trace }) =>
      Effect.gen(function* () {
        const a = yield* box("A", { idle: "1 second" }, trace.add("init"))
        expect(trace.steps).toEqual(["init"])
        expect(a).toMatchObject({ path: "A", key: "" })
        yield* TestClock.adjust("1 hour")
        yield* a.ask.Note("1")
        expect(trace.steps).toEqual(["init", "1"])
      })
    ))
})
