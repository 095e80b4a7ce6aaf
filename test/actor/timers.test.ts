import { describe, expect, it } from "@effect/vitest"
import { Context, Effect } from "effect"
import { TestClock } from "effect/testing"
import type { ActorContext } from "../../src/actor/ActorContext.ts"
import { armed, type BoxRef, gate, inside, occupy, settle, world } from "./support.ts"

const on = <A>(
  box: BoxRef,
  use: (context: ActorContext) => Effect.Effect<A, never, ActorContext>,
) => Effect.orDie(box.ask.Run(inside(use)))

describe("a timer", () => {
  it.effect("runs once after its time, in the actor's turn", () =>
    world(({ box, trace }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        yield* on(a, (context) => context.timer("t", { after: 100 }, trace.add("due")))
        yield* TestClock.adjust(99)
        expect(trace.steps).toEqual([])
        yield* TestClock.adjust(1)
        yield* TestClock.adjust(1000)
        expect(trace.steps).toEqual(["due"])
      })
    ))

  it.effect("of every so often runs until it is cancelled", () =>
    world(({ box, trace }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        yield* on(a, (context) => context.timer("t", { every: 100 }, trace.add("tick")))
        for (let i = 0; i < 3; i++) yield* TestClock.adjust(100)
        expect(trace.steps).toHaveLength(3)
        yield* on(a, (context) => context.cancelTimer("t"))
        yield* TestClock.adjust(1000)
        expect(trace.steps).toHaveLength(3)
        expect(yield* armed).toBe(0)
      })
    ))

  it.effect("that is due again while it has not ended is left out", () =>
    world(({ box, trace }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        yield* on(a, (context) => context.timer("t", { every: 100 }, trace.add("tick")))
        const go = gate()
        yield* occupy(a, go.wait)
        for (let i = 0; i < 5; i++) yield* TestClock.adjust(100)
        yield* go.open
        yield* settle
        expect(trace.steps).toEqual(["tick"])
        yield* TestClock.adjust(100)
        expect(trace.steps).toEqual(["tick", "tick"])
      })
    ))

  it.effect("of the same name replaces the one before, also when that is due already", () =>
    world(({ box, trace }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        yield* on(a, (context) => context.timer("t", { after: 100 }, trace.add("old")))
        yield* TestClock.adjust(50)
        yield* on(a, (context) => context.timer("t", { after: 100 }, trace.add("new")))
        yield* TestClock.adjust(50)
        expect(trace.steps).toEqual([])
        const go = gate()
        yield* occupy(
          a,
          Effect.andThen(
            go.wait,
            inside((context) => context.timer("t", { after: 10 }, trace.add("newest"))) as never,
          ),
        )
        yield* TestClock.adjust(50)
        yield* go.open
        yield* settle
        expect(trace.steps).toEqual([])
        yield* TestClock.adjust(10)
        expect(trace.steps).toEqual(["newest"])
      })
    ))

  it.effect("that arms itself anew is still one that can be cancelled", () =>
    world(({ box, trace }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        const again: Effect.Effect<void, never, ActorContext> = inside((context) =>
          Effect.andThen(trace.add("tick"), context.timer("t", { after: 100 }, again))
        ) as never
        yield* on(a, (context) => context.timer("t", { after: 100 }, again))
        for (let i = 0; i < 3; i++) yield* TestClock.adjust(100)
        expect(trace.steps).toHaveLength(3)
        yield* on(a, (context) => context.cancelTimer("t"))
        yield* TestClock.adjust(1000)
        expect(trace.steps).toHaveLength(3)
      })
    ))

  it.effect("ends with its incarnation, also one that is due", () =>
    world(({ box, trace }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        yield* on(a, (context) =>
          Effect.andThen(
            context.timer("due", { after: 10 }, trace.add("due")),
            Effect.andThen(
              context.timer("later", { every: 100 }, trace.add("later")),
              context.receiveTimeout("1 second", trace.add("quiet")),
            ),
          ))
        const go = gate()
        yield* occupy(a, Effect.andThen(go.wait, Effect.die("crash")))
        yield* TestClock.adjust(10)
        yield* go.open
        yield* settle
        yield* TestClock.adjust("1 hour")
        expect(trace.steps).toEqual([])
        expect(yield* armed).toBe(0)
        expect(yield* a.ask.Note("restarted")).toBe("restarted")
      })
    ))

  it.effect("that fails crashes the actor", () =>
    world(({ box }) =>
      Effect.gen(function* () {
        const seen: Array<number> = []
        const a = yield* box(
          "A",
          {},
          inside((context) => Effect.sync(() => void seen.push(context.incarnation))),
        )
        yield* on(a, (context) => context.timer("t", { after: 10 }, Effect.die("timer")))
        yield* TestClock.adjust(10)
        expect(seen).toEqual([1, 2])
      })
    ))

  it.effect("set by init runs once the actor is ready", () =>
    world(({ box, trace }) =>
      Effect.gen(function* () {
        yield* box(
          "A",
          {},
          inside((context) =>
            Effect.andThen(
              context.timer("t", { after: 10 }, trace.add("due")),
              Effect.andThen(Effect.sleep(50), trace.add("ready")),
            )
          ),
        )
        yield* TestClock.adjust(49)
        expect(trace.steps).toEqual([])
        yield* TestClock.adjust(1)
        expect(trace.steps).toEqual(["ready", "due"])
      })
    ))

  it.effect("finds the services of the code that has set it", () =>
    world(({ box, trace }) =>
      Effect.gen(function* () {
        const Name = Context.Service<{ readonly name: string }>("test/Name")
        const a = yield* box("A")
        const say = Effect.flatMap(Name, ({ name }) => trace.add(name))
        yield* a.ask.Run(Effect.provideService(
          inside((context) => context.timer("t", { after: 10 }, say) as Effect.Effect<void>),
          Name,
          { name: "given" },
        ))
        yield* TestClock.adjust(10)
        expect(trace.steps).toEqual(["given"])
      })
    ))

  it.effect("keeps a keyed actor in memory as long as it is armed", () =>
    world(({ boxes, trace }) =>
      Effect.gen(function* () {
        const box = yield* boxes("A", { idle: "1 second" })
        yield* on(
          box("x"),
          (context) => context.timer("t", { after: "1 minute" }, trace.add("due")),
        )
        yield* TestClock.adjust("59 seconds")
        expect(yield* box("x").account).toBeDefined()
        yield* TestClock.adjust("1 second")
        expect(trace.steps).toEqual(["due"])
        yield* TestClock.adjust("1 second")
        expect(yield* box("x").account).toBeUndefined()
      })
    ))

  it.effect("of no time at all is a mistake where it would never end", () =>
    world(({ box }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        const failed = yield* Effect.flip(
          a.ask.Run(inside((context) => context.timer("t", { every: 0 }, Effect.void))),
        )
        expect(failed.message).toContain('Timer "t": every must be at least 1 ms.')
        // Less than the clock can tell apart: such a timer would be due for ever.
        const tiny = yield* Effect.flip(
          a.ask.Run(inside((context) => context.timer("t", { every: 0.000_001 }, Effect.void))),
        )
        expect(tiny.message).toContain('Timer "t": every must be at least 1 ms.')
        const quiet = yield* Effect.flip(
          a.ask.Run(inside((context) => context.receiveTimeout(0, Effect.void))),
        )
        expect(quiet.message).toContain("receiveTimeout: the duration must be at least 1 ms.")
      })
    ))

  it.effect("begun by a finalizer of a life that is over is not begun", () =>
    world(({ box, trace }) =>
      Effect.gen(function* () {
        const a = yield* box(
          "A",
          {},
          inside((context) =>
            Effect.addFinalizer(() =>
              Effect.andThen(
                context.timer("t", { after: 10 }, trace.add("timer")),
                context.watch(a_(), () => trace.add("watch")),
              )
            )
          ),
        )
        yield* Effect.flip(a.ask.Run(Effect.die("crash")))
        yield* TestClock.adjust(10)
        expect(yield* a.ask.Note("on")).toBe("on")
        expect(trace.steps).toEqual(["on"])
      })
    ))
})

/** A reference to an actor that is not there. */
const a_ = () => ({ path: "nobody" }) as never

describe("receiveTimeout", () => {
  it.effect("runs when no message came for that long, and again after as long", () =>
    world(({ box, trace }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        yield* on(a, (context) => context.receiveTimeout(100, trace.add("quiet")))
        yield* TestClock.adjust(60)
        yield* a.ask.Note("message")
        yield* TestClock.adjust(60)
        expect(trace.steps).toEqual(["message"])
        yield* TestClock.adjust(40)
        expect(trace.steps).toEqual(["message", "quiet"])
        yield* TestClock.adjust(100)
        expect(trace.steps).toEqual(["message", "quiet", "quiet"])
      })
    ))

  it.effect("is replaced by the next one", () =>
    world(({ box, trace }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        yield* on(a, (context) => context.receiveTimeout(100, trace.add("short")))
        yield* on(a, (context) => context.receiveTimeout(300, trace.add("long")))
        yield* TestClock.adjust(299)
        expect(trace.steps).toEqual([])
        yield* TestClock.adjust(1)
        expect(trace.steps).toEqual(["long"])
      })
    ))
})
