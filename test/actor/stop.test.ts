import { describe, expect, it } from "@effect/vitest"
import { Clock, Effect, Exit, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as Supervisor from "../../src/task/Supervisor.ts"
import {
  fork,
  gate,
  handlers,
  inside,
  keyed,
  occupy,
  reasonsOf,
  settle,
  single,
  Trace,
  watched,
  world,
} from "./support.ts"

const Kid = single("Kid")
const kidHandlers = handlers(new Trace())

describe("a stop", () => {
  // §3.2, 38, and L10: what was accepted is still handled; what comes now is refused, with a type.
  it.effect("refuses what is new from that instant, and handles what is queued", () =>
    world(({ box, letters, trace }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        const go = gate()
        yield* occupy(a, go.wait)
        yield* a.tell.Note("1")
        const two = yield* watched(a.ask.Note("2"))
        const stopping = yield* watched(a.stop)
        expect((yield* Effect.flip(a.tell.Note("3")))._tag).toBe("Stopped")
        expect((yield* Effect.flip(a.ask.Note("4")))._tag).toBe("Stopped")
        expect((yield* Effect.flip(a.offer.Note("5")))._tag).toBe("Stopped")
        yield* go.open
        yield* settle
        expect(trace.steps).toEqual(["1", "2"])
        expect([two(), stopping()]).toEqual(["ok", "ok"])
        expect(reasonsOf(letters)).toEqual(["A Note rejected", "A Note rejected"])
      })
    ))

  // A poison pill, in its place.
  it.effect("of its own comes after what is queued", () =>
    world(({ box, trace }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        yield* a.tell.Note("1")
        yield* a.tell.Run(inside((context) => Effect.andThen(context.stop, Effect.yieldNow)))
        yield* a.tell.Note("2")
        const end = yield* fork(a.terminated)
        yield* settle
        expect(trace.steps).toEqual(["1", "2"])
        expect(yield* Fiber.join(end)).toMatchObject({ reason: "stopped" })
      })
    ))

  it.effect("lets a handler that stops its own actor, and waits for that, end after the grace", () =>
    world(({ box }) =>
      Effect.gen(function* () {
        const a = yield* box("A", { grace: "1 second" })
        const asked = yield* watched(a.ask.Run(a.stop, { timeout: "1 minute" }))
        yield* TestClock.adjust("1 second")
        expect(asked()).toBe("Stopped")
      })
    ))

  it.effect("cancels after the grace with its reason; then children, finalizers, leftovers", () =>
    world(({ box, letters, trace }) =>
      Effect.gen(function* () {
        const a = yield* box(
          "A",
          { grace: "1 second" },
          inside((context) =>
            Effect.gen(function* () {
              yield* Effect.addFinalizer(() => trace.add("closes"))
              yield* context.spawn(
                Kid,
                "kid",
                Effect.as(Effect.addFinalizer(() => trace.add("kid closes")), Kid.of(kidHandlers)),
              )
            })
          ),
        )
        const running = yield* watched(a.ask.Run(trace.never("running"), { timeout: "1 minute" }))
        const queued = yield* watched(a.ask.Note("queued", { timeout: "1 minute" }))
        yield* a.tell.Note("told")
        const stopping = yield* watched(a.stop)
        yield* TestClock.adjust(999)
        expect(trace.steps).toEqual([])
        yield* TestClock.adjust(1)
        expect(trace.steps).toEqual(["running: requested by stop", "kid closes", "closes"])
        expect([running(), queued(), stopping()]).toEqual(["Stopped", "Stopped", "ok"])
        expect(reasonsOf(letters)).toEqual(["A Note discarded", "A Note discarded"])
      })
    ))

  // L7, and §3.2, 15: a budget for each step; what overruns it is reported and stays visible.
  it.effect("abandons handlers and finalizers that hang, each after the grace, and says so", () =>
    world(({ box, tree }) =>
      Effect.gen(function* () {
        const go = gate()
        const a = yield* box("A", { grace: "1 second" }, Effect.addFinalizer(() => go.wait))
        const hanging = yield* watched(
          a.ask.Run(Effect.uninterruptible(go.wait), { timeout: "1 minute" }),
        )
        const from = yield* Clock.currentTimeMillis
        const stopping = yield* fork(Effect.andThen(a.stop, Clock.currentTimeMillis))
        yield* TestClock.adjust("1 second")
        expect(hanging()).toBe("waits")
        yield* TestClock.adjust("1 second")
        expect(hanging()).toBe("Stopped")
        for (let i = 0; i < 5; i++) yield* TestClock.adjust("1 second")
        // Draining, cancelling and closing: three times the grace, at most.
        expect((yield* Fiber.join(stopping)) - from).toBeLessThanOrEqual(3000)
        const abandoned = (yield* tree.counts).abandoned
        expect(abandoned).toBe(2)
        yield* go.open
        yield* settle
      })
    ))

  it.effect("that is repeated waits for the same end", () =>
    world(({ box, trace }) =>
      Effect.gen(function* () {
        const a = yield* box("A", {}, Effect.addFinalizer(() => trace.add("closes")))
        const go = gate()
        yield* occupy(a, go.wait)
        const one = yield* watched(a.stop)
        const two = yield* watched(a.stop)
        const left = yield* fork(a.stop)
        yield* Fiber.interrupt(left)
        expect([one(), two()]).toEqual(["waits", "waits"])
        yield* go.open
        yield* settle
        expect([one(), two()]).toEqual(["ok", "ok"])
        expect(trace.steps).toEqual(["closes"])
        yield* a.stop
      })
    ))

  it.effect("is not undone by a crash while it drains", () =>
    world(({ box, letters, trace }) =>
      Effect.gen(function* () {
        const a = yield* box("A", {}, trace.add("init"))
        const go = gate()
        yield* occupy(a, Effect.andThen(go.wait, Effect.die("crash")))
        yield* a.tell.Note("queued")
        const end = yield* fork(a.terminated)
        const stopping = yield* watched(a.stop)
        yield* go.open
        yield* settle
        expect(stopping()).toBe("ok")
        expect(yield* Fiber.join(end)).toMatchObject({ reason: "stopped" })
        expect(trace.steps).toEqual(["init"])
        expect(reasonsOf(letters)).toEqual(["A Run failed", "A Note discarded"])
      })
    ))

  it.effect("of a single actor is for good", () =>
    world(({ box, trace }) =>
      Effect.gen(function* () {
        const a = yield* box("A", {}, trace.add("init"))
        yield* a.stop
        expect((yield* Effect.flip(a.ask.Note("x")))._tag).toBe("Stopped")
        expect(yield* a.account).toBeUndefined()
        expect(trace.steps).toEqual(["init"])
      })
    ))

  it.effect("of a keyed actor makes room for the next of its key", () =>
    world(({ boxes, trace }) =>
      Effect.gen(function* () {
        const a = (yield* boxes("A", {}, trace.add("init")))("x")
        yield* a.ask.Note("1")
        yield* a.stop
        yield* a.ask.Note("2")
        expect(trace.steps).toEqual(["init", "1", "init", "2"])
      })
    ))
})

describe("the end of a layer", () => {
  it.effect("handles what is queued, and refuses what is new", () =>
    world(({ boxes, letters, trace, start }) =>
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const Own = keyed("Own")
        yield* Scope.provide(start(Own, Effect.void), scope)
        const box = (yield* Own.client)("x")
        yield* boxes("Other")
        const go = gate()
        yield* occupy(box, go.wait)
        yield* box.tell.Note("queued")
        const closing = yield* watched(Scope.close(scope, Exit.void))
        yield* settle
        expect((yield* Effect.flip(box.ask.Note("new")))._tag).toBe("Stopped")
        expect(closing()).toBe("waits")
        yield* go.open
        yield* settle
        expect(closing()).toBe("ok")
        expect(trace.steps).toEqual(["queued"])
        expect((yield* Effect.flip((yield* Own.client)("y").tell.Note("later")))._tag).toBe(
          "Stopped",
        )
        expect(letters.filter(({ reason }) => reason !== "rejected")).toEqual([])
      })
    ))

  it.effect("cancels after the grace with Shutdown", () =>
    world(({ start, trace }) =>
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const Own = keyed("Own", { grace: "1 second" })
        yield* Scope.provide(start(Own, Effect.void), scope)
        const box = (yield* Own.client)("x")
        yield* box.tell.Run(trace.never("running"))
        yield* settle
        const closing = yield* watched(Scope.close(scope, Exit.void))
        yield* TestClock.adjust("1 second")
        expect(closing()).toBe("ok")
        expect(trace.steps).toEqual(["running: shutdown"])
      })
    ))
})

describe("escalation to the kind", () => {
  // §3.2, 2: the supervisor gives up, the others are stopped too, and hear why.
  it.effect("stops all its actors: the one has failed, the others are shut down", () =>
    world(({ boxes, trace }) =>
      Effect.gen(function* () {
        const box = yield* boxes("A", { restart: Supervisor.restart({ intensity: 0 }) })
        yield* box("other").ask.Note("alive")
        const busy = yield* watched(box("busy").ask.Run(trace.never("busy")))
        const other = yield* fork(box("other").terminated)
        yield* box("bad").ask.Run(Effect.void)
        const bad = yield* fork(box("bad").terminated)
        expect((yield* Effect.flip(box("bad").ask.Run(Effect.die("bad"))))._tag).toBe("ActorFailed")
        yield* settle
        expect(yield* Fiber.join(bad)).toMatchObject({ reason: "failed" })
        expect(yield* Fiber.join(other)).toMatchObject({ reason: "shutdown" })
        expect(busy()).toBe("Stopped")
        expect(trace.steps).toEqual(["alive", "busy: parent ended: A"])
      })
    ))
})
