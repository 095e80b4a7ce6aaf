import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { Task } from "@weir/runtime"
import { type BoxRef, gate, inside, settle, watched, world } from "./support.ts"

/** Asks along a list of actors, the last one runs `end`. */
const along = (
  box: (key: string) => BoxRef,
  keys: ReadonlyArray<string>,
  end: Effect.Effect<unknown, unknown>,
  how: "Run" | "Now" = "Run",
): Effect.Effect<unknown, unknown> => {
  const [key, ...rest] = keys
  return key === undefined ? end : box(key).ask[how](along(box, rest, end, how))
}

const path = (keys: string) => ({
  _tag: "AskCycle",
  path: [...keys].map((key) => `A/${key}`),
})

describe("AskCycle", () => {
  it.effect("an actor that asks itself fails at once, and goes on", () =>
    world(({ boxes }) =>
      Effect.gen(function* () {
        const box = yield* boxes("A")
        const failed = yield* Effect.flip(along(box, ["a", "a"], Effect.void))
        expect(failed).toMatchObject({ ...path("aa"), tag: "Run" })
        expect((failed as Error).message).toBe(
          "Asking Run would wait for ever: A/a -> A/a. Use tell, or mark the message as reentrant.",
        )
        expect(yield* box("a").ask.Note("on")).toBe("on")
      })
    ))

  it.effect("is found through others, with the path", () =>
    world(({ boxes }) =>
      Effect.gen(function* () {
        const box = yield* boxes("A")
        expect(yield* Effect.flip(along(box, ["a", "b", "a"], Effect.void)))
          .toMatchObject(path("bab"))
        expect(yield* Effect.flip(along(box, ["a", "b", "c", "d", "b"], Effect.void)))
          .toMatchObject(path("dbcd"))
        expect(
          yield* Effect.flip(
            along(box, ["a", "b"], Task.run("inner", along(box, ["a"], Effect.void))),
          ),
        ).toMatchObject(path("bab"))
      })
    ))

  it.effect("is found where two requests lock two actors in opposite order", () =>
    world(({ boxes }) =>
      Effect.gen(function* () {
        const box = yield* boxes("A")
        const go = gate()
        const errors: Array<unknown> = []
        const keep = Effect.catch((error: unknown) => Effect.sync(() => void errors.push(error)))
        const one = yield* watched(
          box("a").ask.Run(Effect.andThen(go.wait, keep(box("b").ask.Note("from a")))),
        )
        const two = yield* watched(
          box("b").ask.Run(Effect.andThen(go.wait, keep(box("a").ask.Note("from b")))),
        )
        yield* go.open
        yield* settle
        expect([one(), two()]).toEqual(["ok", "ok"])
        expect(errors).toMatchObject([path("bab")])
      })
    ))

  it.effect("is found where both places of an actor wait for a third", () =>
    world(({ boxes }) =>
      Effect.gen(function* () {
        const box = yield* boxes("A", { concurrency: 2 })
        const go = gate()
        const self = () => box("a").ask.Run(Effect.andThen(go.wait, box("a").ask.Note("x")))
        const one = yield* watched(self())
        const two = yield* watched(self())
        yield* go.open
        yield* settle
        // The second is told, which makes room for the first.
        expect([one(), two()].sort()).toEqual(["AskCycle", "ok"])
      })
    ))

  it.effect("is not seen in a diamond", () =>
    world(({ boxes }) =>
      Effect.gen(function* () {
        const box = yield* boxes("A")
        const leaf = along(box, ["d"], Effect.sleep(10))
        const asked = yield* watched(
          box("a").ask.Run(
            Effect.all([along(box, ["b"], leaf), along(box, ["c"], leaf)], {
              concurrency: "unbounded",
            }),
          ),
        )
        yield* TestClock.adjust(20)
        expect(asked()).toBe("ok")
      })
    ))

  it.effect("is not seen where the message is reentrant", () =>
    world(({ boxes }) =>
      Effect.gen(function* () {
        const box = yield* boxes("A")
        expect(yield* along(box, ["a", "b", "a"], Effect.succeed("deep"), "Now")).toBe("deep")
        expect(yield* box("a").ask.Run(box("a").ask.Now(Effect.succeed("self")))).toBe("self")
      })
    ))

  it.effect("is not seen where a place is free", () =>
    world(({ boxes }) =>
      Effect.gen(function* () {
        const box = yield* boxes("A", { concurrency: 2 })
        expect(yield* along(box, ["a", "b", "a"], Effect.succeed("deep"))).toBe("deep")
        expect(yield* Effect.flip(along(box, ["a", "a", "a"], Effect.void)))
          .toMatchObject({ _tag: "AskCycle" })
      })
    ))

  it.effect("is not seen where the others only wait for time", () =>
    world(({ boxes }) =>
      Effect.gen(function* () {
        const box = yield* boxes("A")
        const busy = yield* watched(box("b").ask.Run(Effect.sleep(100)))
        const asked = yield* watched(along(box, ["a", "b"], Effect.succeed("later")))
        expect(asked()).toBe("waits")
        yield* TestClock.adjust(100)
        expect([busy(), asked()]).toEqual(["ok", "ok"])
      })
    ))

  it.effect("is not seen any more once the asker has left", () =>
    world(({ boxes, trace }) =>
      Effect.gen(function* () {
        const box = yield* boxes("A")
        const go = gate()
        // b asks a and gives up; then a asks b, which is still busy with something else.
        const b = yield* watched(
          box("b").ask.Run(
            Effect.andThen(
              Effect.ignore(box("a").ask.Run(Effect.never, { timeout: 10 })),
              go.wait,
            ),
          ),
        )
        yield* TestClock.adjust(10)
        const a = yield* watched(
          box("a").ask.Run(Effect.flatMap(
            box("b").ask.Note("fine"),
            () => trace.add("asked"),
          )),
        )
        expect(a()).toBe("waits")
        yield* go.open
        yield* settle
        expect([a(), b()]).toEqual(["ok", "ok"])
        expect(trace.steps).toEqual(["fine", "asked"])
      })
    ))

  it.effect("is found from a timer and from a child", () =>
    world(({ boxes }) =>
      Effect.gen(function* () {
        const box = yield* boxes("A")
        const errors: Array<unknown> = []
        const keep = Effect.catch((error: unknown) => Effect.sync(() => void errors.push(error)))
        yield* box("a").ask.Run(inside((context) =>
          context.timer("t", { after: 10 }, Effect.asVoid(keep(box("a").ask.Note("self"))))
        ))
        yield* TestClock.adjust(10)
        yield* settle
        expect(errors).toMatchObject([path("aa")])
      })
    ))
})
