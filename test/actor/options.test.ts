import { describe, expect, it } from "@effect/vitest"
import { Cause, Effect, Exit, Layer, Schema } from "effect"
import { Rpc } from "effect/rpc"
import * as Actor from "../../src/actor/Actor.ts"
import type { ActorSystem } from "../../src/actor/ActorSystem.ts"
import { handlers, inside, keyed, settle, single, Trace, world } from "./support.ts"

/** The sentence that a program with a mistake in it dies of. */
const mistake = (exit: Exit.Exit<unknown, unknown>): string => {
  const defect = Exit.isFailure(exit)
    ? exit.cause.reasons.find(Cause.isDieReason)?.defect
    : undefined
  const { _tag, message } = (defect ?? {}) as { readonly _tag?: string; readonly message?: string }
  return `${_tag}: ${message}`
}

const wrong: ReadonlyArray<readonly [Actor.ActorOptions, string]> = [
  [{ mailbox: { capacity: 0 } }, "mailbox.capacity is 0. It must be a whole number, at least 1."],
  [
    { mailbox: { capacity: 1.5 } },
    "mailbox.capacity is 1.5. It must be a whole number, at least 1.",
  ],
  [{ mailbox: { offerers: -1 } }, "mailbox.offerers is -1. It must be a whole number, at least 0."],
  [{ mailbox: { stash: NaN } }, "mailbox.stash is NaN. It must be a whole number, at least 0."],
  [
    { mailbox: { overflow: "drop" as "reject" } },
    'mailbox.overflow is "drop". Use reject, dropOldest or dropNewest.',
  ],
  [{ concurrency: 0 }, "concurrency is 0. It must be a whole number, at least 1."],
  [{ residents: 0 }, "residents is 0. It must be a whole number, at least 1."],
  [{ failedStatus: 200 }, "failedStatus is 200. It must be a whole number from 400 to 599."],
  [{ grace: "soon" as "1 second" }, 'grace is "soon". Give a duration, such as "5 seconds".'],
  [{ idle: -5 }, 'idle is -5. Give a duration, such as "5 seconds".'],
  [{ expected: "x" as "1 second" }, 'expected is "x". Give a duration, such as "5 seconds".'],
  [
    { exhausted: "ignore" as "stop" },
    'exhausted is "ignore". Use escalate or stop.',
  ],
]

describe("an option that makes no sense", () => {
  for (const [options, sentence] of wrong) {
    it.effect(`is one sentence: ${sentence}`, () =>
      world(({ start }) =>
        Effect.gen(function* () {
          const exit = yield* Effect.exit(start(keyed("A", options)))
          expect(mistake(exit)).toBe(`Mistake: Actor "A": ${sentence}`)
        })
      ))
  }

  it.effect("of a child crashes the handler that spawns it, with the sentence", () =>
    world(({ box }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        const Kid = single("Kid", { concurrency: 0 })
        const failed = yield* Effect.flip(
          a.ask.Run(inside((context) => context.spawn(Kid, "kid", handlers(new Trace())))),
        )
        expect(failed.message).toContain('Actor "Kid": concurrency is 0.')
        expect(yield* a.ask.Note("on")).toBe("on")
      })
    ))

  it.effect("may be given to toLayer, which overrides the definition", () =>
    world(({ kinds, start }) =>
      Effect.gen(function* () {
        yield* start(keyed("A", { concurrency: 2, residents: 5 }), undefined, { concurrency: 3 })
        expect(kinds[0]!.settings).toMatchObject({ residents: 5, mailbox: { concurrency: 3 } })
      })
    ))
})

describe("names", () => {
  it.effect("are unique among the actors of a system; the first one goes on", () =>
    world(({ box, start }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        const exit = yield* Effect.exit(start(keyed("A")))
        expect(mistake(exit)).toMatch(/^Mistake: .*"A".*Give each .* a name of its own\.$/)
        expect(yield* a.ask.Note("first")).toBe("first")
      })
    ))

  it("of messages are unique in a protocol", () => {
    expect(() => Actor.make("A", [Rpc.make("M"), Rpc.make("M")]))
      .toThrow('Actor "A": two messages are named "M".')
  })

  it.effect("of messages may be those of any object's own methods", () =>
    world(() =>
      Effect.gen(function* () {
        const Odd = Actor.single("Odd", [
          Rpc.make("constructor", { success: Schema.String }),
          Rpc.make("toString", { success: Schema.String }),
        ])
        yield* Layer.build(Odd.toLayer({
          constructor: () => Effect.succeed("built"),
          toString: () => Effect.succeed("text"),
        }))
        const odd = yield* Odd.client
        expect(yield* odd.ask.constructor()).toBe("built")
        expect(yield* odd.ask.toString()).toBe("text")
      })
    ))

  it("of priorities are whole numbers, at most 16", () => {
    const many = Array.from(
      { length: 17 },
      (_, i) => Rpc.make(`M${i}`).annotate(Actor.Priority, i),
    )
    expect(() => Actor.make("A", many)).toThrow("Use whole numbers, at most 16 different ones.")
    expect(() => Actor.make("A", [Rpc.make("M").annotate(Actor.Priority, 0.5)]))
      .toThrow('Actor "A": priorities are 0.5.')
  })
})

describe("an actor without its layer", () => {
  it.effect("is a mistake with the next step", () =>
    world(() =>
      Effect.gen(function* () {
        const a = yield* single("A").client
        const sentence =
          'Mistake: Actor "A" is not running. Provide the layer that its toLayer made.'
        expect(mistake(yield* Effect.exit(a.ask.Note("x")))).toBe(sentence)
        expect(mistake(yield* Effect.exit(a.tell.Note("x")))).toBe(sentence)
        expect(yield* a.terminated).toMatchObject({ reason: "not-running" })
        yield* a.stop
      })
    ))

  it.effect("is found once it is there, by references that were made before", () =>
    world(({ start }) =>
      Effect.gen(function* () {
        const actor = single("A")
        const a = yield* actor.client
        yield* start(actor)
        expect(yield* a.ask.Note("found")).toBe("found")
      })
    ))
})

describe("the types", () => {
  it("reject a protocol with a stream in it", () => {
    const Watch = Rpc.make("Watch", { success: Schema.Int, stream: true })
    // @ts-expect-error: An actor cannot answer with a stream: Watch
    const keyedStream = Actor.make("A", [Watch])
    // @ts-expect-error: An actor cannot answer with a stream: Watch
    const singleStream = Actor.single("A", [Rpc.make("Look"), Watch])
    expect([keyedStream.name, singleStream.name]).toEqual(["A", "A"])
  })

  it("know the payload, the answer and the errors of each message", () => {
    class No extends Schema.TaggedError<No>()("No", {}) {}
    const Add = Rpc.make("Add", { payload: { n: Schema.Int }, success: Schema.Int, error: No })
    const Sum = Actor.make("Sum", [Add, Rpc.make("Reset")])
    const check = Effect.gen(function* () {
      const sum = (yield* Sum.client)("x")
      const n: number = yield* sum.ask.Add({ n: 1 })
      const none: void = yield* sum.ask.Reset()
      const failures: Effect.Effect<number, No | Actor.AskFailure> = sum.ask.Add({ n: 1 })
      const sends: Effect.Effect<void, Actor.MailboxFull | Actor.Stopped> = sum.tell.Reset()
      // @ts-expect-error: n is a number
      sum.ask.Add({ n: "1" })
      // @ts-expect-error: the payload is missing
      sum.ask.Add()
      // @ts-expect-error: no such message
      sum.tell.Subtract()
      return [n, none, failures, sends]
    })
    // @ts-expect-error: a handler is missing
    Sum.of({ Add: () => Effect.succeed(1) })
    // @ts-expect-error: the answer is a number
    Sum.of({ Add: () => Effect.succeed("1"), Reset: () => Effect.void })
    expect(Effect.isEffect(check)).toBe(true)
  })

  it("ask of a layer what init and the handlers need, but not what the actor provides", () => {
    const layer: Layer.Layer<never, never, ActorSystem> = single("A").toLayer(
      Effect.as(
        Effect.andThen(Effect.addFinalizer(() => Effect.void), inside(() => Effect.void)),
        handlers(new Trace()),
      ),
    )
    expect(Layer.isLayer(layer)).toBe(true)
  })

  it.effect("infer what spawn needs: nothing, for plain handlers", () =>
    world(({ box }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        const Ping = Actor.single("Ping", [Rpc.make("Ping")])
        yield* a.ask.Run(inside((context) => {
          const spawned: Effect.Effect<Actor.Ref<Rpc.Rpc<"Ping">>> = context.spawn(Ping, "ping", {
            Ping: () => Effect.void,
          })
          return Effect.flatMap(spawned, (ping) => Effect.orDie(ping.tell.Ping()))
        }))
        yield* settle
      })
    ))
})
