import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as Supervisor from "../../src/task/Supervisor.ts"
import {
  type BoxRef,
  fork,
  gate,
  handlers,
  inside,
  settle,
  single,
  type Trace,
  watched,
  world,
} from "./support.ts"

const Kid = single("Kid")

/** Starts a child that writes down its start and its end. */
const spawn = (
  trace: Trace,
  name: string,
  options?: Parameters<typeof single>[1],
  closing: Effect.Effect<void> = Effect.void,
) =>
  inside((context) =>
    context.spawn(
      Kid,
      name,
      Effect.as(
        Effect.acquireRelease(
          trace.add(`${name} starts`),
          () => Effect.andThen(closing, trace.add(`${name} ends`)),
        ),
        handlers(trace),
      ),
      options,
    ) as Effect.Effect<BoxRef>
  )

describe("spawn", () => {
  it.effect("starts a child below its parent's path", () =>
    world(({ boxes, trace }) =>
      Effect.gen(function* () {
        const a = (yield* boxes("A"))("x")
        const kid: BoxRef = yield* a.ask.Run(spawn(trace, "kid"))
        expect(kid).toMatchObject({ path: "A/x/kid", key: "kid" })
        expect(yield* kid.ask.Note("hello")).toBe("hello")
        const grandchild: BoxRef = yield* kid.ask.Run(spawn(trace, "grandchild"))
        expect(grandchild.path).toBe("A/x/kid/grandchild")
        expect(yield* kid.ask.Run(Kid.self)).toMatchObject({ path: "A/x/kid" })
      })
    ))

  // §3.2, 20: start order as written, stop order exactly reversed, through nested ones.
  it.effect("ends children in the reverse order of their start, before their parent's scope", () =>
    world(({ box, trace }) =>
      Effect.gen(function* () {
        const a = yield* box("A", {}, Effect.addFinalizer(() => trace.add("parent closes")))
        yield* a.ask.Run(spawn(trace, "one"))
        const two: BoxRef = yield* a.ask.Run(spawn(trace, "two", {}, Effect.sleep(10)))
        yield* two.ask.Run(spawn(trace, "two's"))
        yield* a.ask.Run(spawn(trace, "three"))
        trace.steps.length = 0
        const stopping = yield* watched(a.stop)
        yield* TestClock.adjust(10)
        expect(stopping()).toBe("ok")
        expect(trace.steps).toEqual([
          "three ends",
          "two's ends",
          "two ends",
          "one ends",
          "parent closes",
        ])
      })
    ))

  // S16: stopped and awaited before the parent's new incarnation.
  it.effect("lets no child survive a crash of its parent", () =>
    world(({ box, trace }) =>
      Effect.gen(function* () {
        const a = yield* box("A", {}, trace.add("init"))
        const kid: BoxRef = yield* a.ask.Run(spawn(trace, "kid", {}, Effect.sleep(100)))
        const running = yield* watched(kid.ask.Run(trace.never("kid's handler")))
        const end = yield* fork(kid.terminated)
        yield* Effect.flip(a.ask.Run(Effect.die("crash")))
        expect(trace.steps).toEqual(["init", "kid starts", "kid's handler: parent ended: A"])
        yield* TestClock.adjust(100)
        expect(trace.steps.slice(3)).toEqual(["kid ends", "init"])
        expect(running()).toBe("Stopped")
        expect(yield* Fiber.join(end)).toMatchObject({ path: "A/kid", reason: "shutdown" })
        expect((yield* Effect.flip(kid.ask.Note("x")))._tag).toBe("Stopped")
      })
    ))

  // §3.2, 33: the name is free again as soon as its bearer is gone.
  it.effect("takes each name once, and again when its bearer has ended", () =>
    world(({ box, trace }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        const kid: BoxRef = yield* a.ask.Run(spawn(trace, "kid"))
        const failed = yield* Effect.flip(
          a.ask.Run(Effect.sandbox(spawn(trace, "kid"))),
        )
        expect(String(failed.defect ?? failed)).toContain('has a child named "kid" already')
        yield* kid.stop
        const again: BoxRef = yield* a.ask.Run(spawn(trace, "kid"))
        expect(yield* again.ask.Note("again")).toBe("again")
        expect((yield* Effect.flip(kid.ask.Note("old")))._tag).toBe("Stopped")
      })
    ))

  it.effect("frees the name of a child that could not start", () =>
    world(({ box, trace }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        const kid: BoxRef = yield* a.ask.Run(inside((context) =>
          context.spawn(Kid, "kid", Effect.fail("no") as Effect.Effect<never>, {
            restart: Supervisor.restart({ intensity: 0 }),
            exhausted: "stop",
          }) as Effect.Effect<BoxRef>
        ))
        expect(yield* kid.terminated).toMatchObject({ reason: "not-running" })
        const again: BoxRef = yield* a.ask.Run(spawn(trace, "kid"))
        expect(yield* again.ask.Note("again")).toBe("again")
      })
    ))

  it.effect("is refused to a life that is over", () =>
    world(({ box, trace }) =>
      Effect.gen(function* () {
        let tried = ""
        const a = yield* box(
          "A",
          {},
          inside((context) =>
            Effect.addFinalizer(() =>
              Effect.catchDefect(
                Effect.asVoid(context.spawn(Kid, "late", handlers(trace))),
                (defect) =>
                  Effect.sync(() => {
                    tried = String(defect)
                  }),
              )
            )
          ),
        )
        yield* a.stop
        expect(tried).toContain('Actor "A" cannot spawn "late": this life of it has ended.')
      })
    ))

  it.effect("restarts a child alone: its parent and its siblings do not notice", () =>
    world(({ box, trace }) =>
      Effect.gen(function* () {
        const a = yield* box("A", {}, trace.add("init"))
        const one: BoxRef = yield* a.ask.Run(spawn(trace, "one"))
        const two: BoxRef = yield* a.ask.Run(spawn(trace, "two"))
        yield* Effect.flip(one.ask.Run(Effect.die("crash")))
        expect(trace.steps).toEqual(["init", "one starts", "two starts", "one ends", "one starts"])
        expect(yield* two.ask.Note("two")).toBe("two")
        expect(yield* one.ask.Note("one")).toBe("one")
      })
    ))

  it.effect("keeps a keyed parent in memory until its children have ended", () =>
    world(({ boxes, trace }) =>
      Effect.gen(function* () {
        const box = yield* boxes("A", { idle: "1 second" })
        const kid: BoxRef = yield* box("x").ask.Run(spawn(trace, "kid"))
        yield* TestClock.adjust("1 hour")
        expect(yield* box("x").account).toBeDefined()
        yield* kid.stop
        yield* TestClock.adjust("1 second")
        expect(yield* box("x").account).toBeUndefined()
      })
    ))

  it.effect("that crashes beyond its restarts while its parent is busy cancels what that does", () =>
    world(({ box, trace }) =>
      Effect.gen(function* () {
        const a = yield* box("A", {}, trace.add("init"))
        const kid: BoxRef = yield* a.ask.Run(
          spawn(trace, "kid", { restart: Supervisor.restart({ intensity: 0 }) }),
        )
        const busy = yield* watched(a.ask.Run(trace.never("busy")))
        yield* kid.tell.Run(Effect.die("kid"))
        yield* settle
        expect(busy()).toBe("ActorFailed")
        expect(trace.steps).toEqual([
          "init",
          "kid starts",
          "kid ends",
          "busy: parent ended: A",
          "init",
        ])
      })
    ))

  it.effect("that hang each have their own grace; the next life of the parent waits for all", () =>
    world(({ box, trace }) =>
      Effect.gen(function* () {
        const a = yield* box("A", { grace: "1 second" }, trace.add("init"))
        const go = gate()
        for (const name of ["one", "two", "three"]) {
          yield* a.ask.Run(spawn(trace, name, { grace: "1 second" }, go.wait))
        }
        trace.steps.length = 0
        yield* Effect.flip(a.ask.Run(Effect.die("crash")))
        yield* TestClock.adjust(2999)
        expect(trace.steps).toEqual([])
        yield* TestClock.adjust(1)
        expect(trace.steps).toEqual(["init"])
        yield* go.open
        yield* settle
      })
    ))

  it.effect("that drain are stopped at once when their parent crashes", () =>
    world(({ box, trace }) =>
      Effect.gen(function* () {
        const a = yield* box("A", {}, trace.add("init"))
        const kid: BoxRef = yield* a.ask.Run(spawn(trace, "kid"))
        yield* kid.tell.Run(trace.never("kid's handler"))
        yield* settle
        const stopping = yield* watched(kid.stop)
        yield* Effect.flip(a.ask.Run(Effect.die("crash")))
        yield* settle
        expect(stopping()).toBe("ok")
        expect(trace.steps).toEqual([
          "init",
          "kid starts",
          "kid's handler: requested by stop",
          "kid ends",
          "init",
        ])
      })
    ))

  // §3.2, 21: what a child does about its own end cannot make its parent hang.
  it.effect("whose finalizer hangs is abandoned after its grace, and seen in the tree", () =>
    world(({ box, trace, tree }) =>
      Effect.gen(function* () {
        const a = yield* box("A", { grace: "1 second" })
        const go = gate()
        yield* a.ask.Run(spawn(trace, "kid", { grace: "1 second" }, go.wait))
        const stopping = yield* watched(a.stop)
        yield* TestClock.adjust("1 second")
        expect(stopping()).toBe("ok")
        expect([...tree.unsafe.live].map(({ name, state }) => `${name} ${state}`))
          .toContain("A/kid.close abandoned")
        yield* go.open
        yield* settle
        expect(trace.steps.at(-1)).toBe("kid ends")
      })
    ))
})
