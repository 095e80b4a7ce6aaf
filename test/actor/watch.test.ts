import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as Supervisor from "../../src/task/Supervisor.ts"
import { type BoxRef, fork, gate, inside, occupy, settle, type Trace, world } from "./support.ts"

const watch = (box: BoxRef, other: BoxRef, trace: Trace, note = "") =>
  Effect.orDie(
    box.ask.Run(inside((context) =>
      context.watch(other, ({ path, reason }) => trace.add(`${note}${path} ${reason}`))
    )),
  )

const unwatch = (box: BoxRef, other: BoxRef) =>
  Effect.orDie(box.ask.Run(inside((context) => context.unwatch(other))))

describe("a death watch", () => {
  it.effect("tells of an end exactly once", () =>
    world(({ box, boxes, trace }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        const other = (yield* boxes("B"))("x")
        yield* other.ask.Note("alive")
        yield* watch(a, other, trace)
        yield* settle
        expect(trace.steps).toEqual(["alive"])
        yield* other.stop
        yield* settle
        // Its successor is somebody else.
        yield* other.ask.Note("again")
        yield* other.stop
        yield* settle
        expect(trace.steps).toEqual(["alive", "B/x stopped", "again"])
      })
    ))

  it.effect("of one that is not there tells so at once", () =>
    world(({ box, boxes, trace }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        const b = yield* box("B")
        yield* b.stop
        yield* watch(a, b, trace)
        yield* watch(a, (yield* boxes("C"))("never started"), trace)
        yield* settle
        expect(trace.steps).toEqual(["B not-running", "C/never started not-running"])
      })
    ))

  it.effect("that is repeated is one watch, with the later effect", () =>
    world(({ box, trace }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        const b = yield* box("B")
        yield* watch(a, b, trace, "first ")
        yield* watch(a, b, trace, "second ")
        yield* b.stop
        yield* settle
        expect(trace.steps).toEqual(["second B stopped"])
      })
    ))

  it.effect("that is taken back tells nothing, even if the news is in the line already", () =>
    world(({ box, trace }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        const b = yield* box("B")
        const c = yield* box("C")
        yield* watch(a, b, trace)
        yield* unwatch(a, b)
        yield* b.stop
        yield* watch(a, c, trace)
        const go = gate()
        yield* occupy(
          a,
          Effect.andThen(go.wait, inside((context) => context.unwatch(c)) as Effect.Effect<void>),
        )
        yield* c.stop
        yield* go.open
        yield* settle
        expect(trace.steps).toEqual([])
        // Taking back what is not there does no harm.
        yield* unwatch(a, c)
        expect(yield* a.ask.Note("on")).toBe("on")
      })
    ))

  it.effect("hears nothing of a restart", () =>
    world(({ box, trace }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        const b = yield* box("B", {
          exhausted: "stop",
          restart: Supervisor.restart({ intensity: 1 }),
        })
        yield* watch(a, b, trace)
        yield* Effect.flip(b.ask.Run(Effect.die("crash")))
        yield* settle
        expect(yield* b.ask.Note("restarted")).toBe("restarted")
        yield* Effect.flip(b.ask.Run(Effect.die("crash")))
        yield* settle
        expect(trace.steps).toEqual(["restarted", "B failed"])
      })
    ))

  it.effect("says why: stopped, passivated, failed with its cause, shut down", () =>
    world(({ box, boxes, trace }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        const b = yield* boxes("B", {
          idle: "1 second",
          exhausted: "stop",
          restart: Supervisor.restart({ intensity: 0 }),
        })
        for (const key of ["stops", "idles", "fails"]) {
          yield* b(key).ask.Run(Effect.void)
          yield* watch(a, b(key), trace)
        }
        const end = yield* fork(b("fails").terminated)
        yield* b("stops").ask.Run(inside((context) => context.stop))
        yield* b("fails").tell.Run(Effect.die("why"))
        yield* settle
        yield* TestClock.adjust("1 second")
        yield* settle
        expect(trace.steps.sort()).toEqual([
          "B/fails failed",
          "B/idles passivated",
          "B/stops stopped",
        ])
        expect(JSON.stringify((yield* Fiber.join(end)).cause)).toContain("why")
      })
    ))

  it.effect("ends with its incarnation", () =>
    world(({ box, trace }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        const b = yield* box("B")
        yield* watch(a, b, trace)
        yield* Effect.flip(a.ask.Run(Effect.die("crash")))
        yield* b.stop
        yield* settle
        expect(trace.steps).toEqual([])
      })
    ))

  it.effect("works both ways, and on oneself does no harm", () =>
    world(({ box, trace }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        const b = yield* box("B")
        yield* watch(a, b, trace)
        yield* watch(b, a, trace)
        yield* watch(a, a, trace)
        yield* b.stop
        yield* settle
        expect(trace.steps).toEqual(["B stopped"])
        yield* a.stop
        expect(trace.steps).toEqual(["B stopped"])
      })
    ))

  // One Terminated for each watch, whatever the order of ends: 200 of them, none lost.
  it.effect("loses none of many", () =>
    world(({ box, boxes, trace }) =>
      Effect.gen(function* () {
        const a = yield* box("A", { mailbox: { capacity: 1 } })
        const b = yield* boxes("B")
        const keys = Array.from({ length: 200 }, (_, i) => `${i}`)
        for (const key of keys) yield* b(key).ask.Run(Effect.void)
        for (const key of keys) yield* watch(a, b(key), trace)
        yield* Effect.forEach(keys.reverse(), (key) => b(key).stop, { concurrency: 7 })
        for (let i = 0; i < 20; i++) yield* settle
        expect(new Set(trace.steps).size).toBe(200)
        expect(trace.steps).toHaveLength(200)
      })
    ))
})

describe("terminated", () => {
  it.effect("waits for the end from outside, and tells at once of one that is not there", () =>
    world(({ box }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        const end = yield* fork(a.terminated)
        const gone = yield* fork(a.terminated)
        yield* Fiber.interrupt(gone)
        yield* a.stop
        expect(yield* Fiber.join(end)).toEqual({ path: "A", reason: "stopped", cause: undefined })
        expect(yield* a.terminated).toMatchObject({ reason: "not-running" })
      })
    ))
})
