import { Cause, Deferred, Effect, Fiber, Layer, Logger, Schema, Stream } from "effect"
import { Rpc } from "effect/rpc"
import { TestClock } from "effect/testing"
import { describe, expect, it } from "@effect/vitest"
import * as Actor from "../../src/actor/Actor.ts"
import * as ActorSystem from "../../src/actor/ActorSystem.ts"
import * as DeadLetters from "../../src/actor/DeadLetters.ts"
import * as Saturation from "../../src/bounded/Saturation.ts"

const secret = "4111 1111 1111 1111"

const Pay = Rpc.make("Pay", { payload: { card: Schema.String }, success: Schema.String })
const Refuse = Rpc.make("Refuse", { error: Schema.String })
const Note = Rpc.make("Note", { payload: { text: Schema.Unknown } })
const protocol = [Pay, Refuse, Note]
const options = { mailbox: { capacity: 1 }, grace: "1 second" } as const

/** The keyed actor `Till`: `Pay` runs until `open` is done. */
const setUp = (
  given: { readonly actor?: Actor.ActorOptions; readonly system?: ActorSystem.Options } = {},
) =>
  Effect.gen(function* () {
    const open = yield* Deferred.make<void>()
    const Till = Actor.make("Till", protocol, { ...options, ...given.actor })
    const lines: Array<string> = []
    const logger = Logger.make<unknown, void>(({ cause, logLevel, message }) => {
      const [line, ...rest] = Array.isArray(message) ? message : [message]
      lines.push([logLevel, line, ...rest, Cause.pretty(cause)].join(" ").trim())
    })
    const registry = Saturation.makeUnsafe()
    const context = yield* Layer.build(
      Till.toLayer({
        Pay: () => Effect.as(Deferred.await(open), "paid"),
        Refuse: () => Effect.fail("no"),
        Note: () => Effect.void,
      }).pipe(
        Layer.provideMerge(ActorSystem.layer(given.system)),
        Layer.provide(Logger.layer([logger])),
        Layer.provide(Layer.succeed(Saturation.Saturation, registry)),
      ),
    )
    // What still runs must be able to end: nobody moves the clock while the layer closes.
    if (given.actor?.grace !== 0) {
      yield* Effect.addFinalizer(() => Deferred.succeed(open, undefined))
    }
    const till = yield* Effect.provide(Till.client, context)
    const { deadLetters } = yield* Effect.provide(ActorSystem.ActorSystem, context)
    return { open, till, deadLetters, lines, registry }
  })

const pay = { card: secret }
const turn = TestClock.adjust(0)

/** One message runs and one waits, so the mailbox is full. */
const fill = (till: Actor.Ref<typeof protocol[number]>) =>
  Effect.gen(function* () {
    yield* till.tell.Pay(pay)
    yield* turn
    yield* till.tell.Pay(pay)
  })

describe("a dead letter is written", () => {
  it.effect("for a tell and an offer that were not accepted, not for an ask", () =>
    Effect.gen(function* () {
      const { deadLetters, till } = yield* setUp({
        actor: { mailbox: { capacity: 1, offerers: 0 } },
      })
      const one = till("one")
      yield* fill(one)
      yield* TestClock.adjust(7)
      for (const how of ["tell", "offer", "ask"] as const) {
        expect(yield* Effect.flip(one[how].Note({ text: 1 }))).toMatchObject({
          _tag: "MailboxFull",
        })
      }
      const letter = {
        to: "Till/one",
        kind: "Till",
        tag: "Note",
        payload: { text: 1 },
        reason: "rejected",
        at: 7,
        cause: undefined,
      }
      expect(yield* deadLetters.recent).toEqual([
        expect.objectContaining({ ...letter, how: "tell" }),
        expect.objectContaining({ ...letter, how: "offer" }),
      ])
    }))

  it.effect.each(["dropOldest", "dropNewest"] as const)(
    "for each message that %s drops, and a line in the log of a default system",
    (overflow) =>
      Effect.gen(function* () {
        const { deadLetters, lines, till } = yield* setUp({
          actor: { mailbox: { capacity: 1, overflow } },
        })
        const one = till("one")
        yield* fill(one)
        for (const text of [1, 2, 3]) yield* one.tell.Note({ text })
        yield* turn
        const recent = yield* deadLetters.recent
        expect(recent.map(({ payload, reason }) => [reason, payload])).toEqual(
          overflow === "dropOldest"
            ? [["dropped", pay], ["dropped", { text: 1 }], ["dropped", { text: 2 }]]
            : [["dropped", { text: 1 }], ["dropped", { text: 2 }], ["dropped", { text: 3 }]],
        )
        expect(lines).toHaveLength(3)
        expect(lines[1]).toBe(
          'Warn Dead letter: Note (tell) to actor "Till/one" was dropped, because the mailbox was full.',
        )
      }),
  )

  it.effect("for the typed error of a tell, with the error, in the log too", () =>
    Effect.gen(function* () {
      const { deadLetters, lines, till } = yield* setUp()
      yield* till("one").tell.Refuse()
      yield* turn
      const [letter] = yield* deadLetters.recent
      expect(letter).toMatchObject({ reason: "failed", tag: "Refuse", how: "tell" })
      expect(Cause.squash(letter!.cause as Cause.Cause<unknown>)).toBe("no")
      expect(lines).toHaveLength(1)
      expect(lines[0]).toContain('to actor "Till/one" failed in its handler.')
      expect(lines[0]).toContain("no")
    }))

  it.effect("for a message whose time is up in the mailbox", () =>
    Effect.gen(function* () {
      const { deadLetters, open, till } = yield* setUp()
      const one = till("one")
      yield* one.tell.Pay(pay)
      yield* turn
      yield* one.tell.Note({ text: 1 }, { expires: "3 seconds" })
      yield* TestClock.adjust("3 seconds")
      yield* Deferred.succeed(open, undefined)
      yield* turn
      expect(yield* deadLetters.counts).toEqual([{ kind: "Till", reason: "expired", count: 1 }])
    }))

  it.effect("for what is queued when the actor stops for good", () =>
    Effect.gen(function* () {
      const { deadLetters, till } = yield* setUp()
      const one = till("one")
      yield* fill(one)
      const stopping = yield* Effect.forkChild(one.stop, { startImmediately: true })
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(stopping)
      expect(yield* deadLetters.counts).toEqual([{ kind: "Till", reason: "discarded", count: 1 }])
    }))

  it.effect("for an answer whose asker has left: it names the actor and the message that was asked", () =>
    Effect.gen(function* () {
      const { deadLetters, open, till } = yield* setUp()
      const asking = yield* Effect.forkChild(
        Effect.flip(till("one").ask.Pay(pay, { timeout: "1 second", onCancel: "detach" })),
        { startImmediately: true },
      )
      yield* TestClock.adjust("1 second")
      expect(yield* Fiber.join(asking)).toMatchObject({ _tag: "AskTimeout", state: "running" })
      yield* Deferred.succeed(open, undefined)
      yield* turn
      expect(yield* deadLetters.recent).toEqual([
        expect.objectContaining({
          to: "Till/one",
          tag: "Pay",
          how: "ask",
          reason: "late-reply",
          payload: "paid",
        }),
      ])
    }))

  it.effect("keeps the newest, and counts them all, by kind and not by key", () =>
    Effect.gen(function* () {
      const { deadLetters, till } = yield* setUp({ system: { deadLetters: { recent: 3 } } })
      for (let i = 0; i < 250; i++) yield* till(`key ${i}`).tell.Refuse()
      yield* turn
      expect(yield* deadLetters.counts).toEqual([{ kind: "Till", reason: "failed", count: 250 }])
      const recent = yield* deadLetters.recent
      expect(recent.map(({ to }) => to)).toEqual(["Till/key 247", "Till/key 248", "Till/key 249"])
    }))

  it.effect("keeps 100 by default", () =>
    Effect.gen(function* () {
      const { deadLetters, till } = yield* setUp()
      for (let i = 0; i < 101; i++) yield* till(`key ${i}`).tell.Refuse()
      yield* turn
      const recent = yield* deadLetters.recent
      expect(recent).toHaveLength(100)
      expect(recent[0]).toMatchObject({ to: "Till/key 1" })
    }))
})

describe("the log of dead letters", () => {
  it.effect("has ten lines for a kind and reason in a minute, then one with the number of the rest", () =>
    Effect.gen(function* () {
      const { lines, till } = yield* setUp()
      yield* TestClock.adjust("12 seconds")
      for (let i = 0; i < 30; i++) {
        yield* till(`key ${i}`).tell.Refuse()
        yield* TestClock.adjust("1 second")
      }
      expect(lines).toHaveLength(10)
      yield* TestClock.adjust("29 seconds")
      expect(lines).toHaveLength(10)
      yield* TestClock.adjust("1 second")
      expect(lines).toHaveLength(11)
      expect(lines[10]).toBe(
        'Warn 20 more dead letters to "Till" (failed) were not logged in the last minute.',
      )
      yield* TestClock.adjust("1 hour")
      expect(lines).toHaveLength(11)
      yield* till("key").tell.Refuse()
      yield* turn
      expect(lines).toHaveLength(12)
      expect(lines[11]).toContain('Dead letter: Refuse (tell) to actor "Till/key"')
    }))

  it.effect("has no summary when nothing was left out", () =>
    Effect.gen(function* () {
      const { lines, till } = yield* setUp()
      for (const total of [10, 20]) {
        for (let i = 0; i < 10; i++) {
          yield* till("key").offer.Refuse()
          yield* turn
        }
        yield* TestClock.adjust("1 minute")
        expect(lines).toHaveLength(total)
      }
      expect(lines.filter((line) => !line.includes("Dead letter: Refuse"))).toEqual([])
    }))

  it.effect("counts each reason apart", () =>
    Effect.gen(function* () {
      const { lines, till } = yield* setUp({ system: { deadLetters: { logged: 1 } } })
      const one = till("one")
      for (let i = 0; i < 3; i++) {
        yield* one.offer.Refuse()
        yield* turn
      }
      yield* fill(one)
      for (let i = 0; i < 2; i++) yield* Effect.flip(one.tell.Refuse())
      yield* TestClock.adjust("1 minute")
      expect(lines.map((line) => line.split("\n")[0])).toEqual([
        'Warn Dead letter: Refuse (offer) to actor "Till/one" failed in its handler. Error: no',
        'Warn Dead letter: Refuse (tell) to actor "Till/one" was not accepted.',
        'Warn 2 more dead letters to "Till" (failed) were not logged in the last minute.',
        'Warn 1 more dead letter to "Till" (rejected) was not logged in the last minute.',
      ])
    }))

  it.effect("never holds a payload", () =>
    Effect.gen(function* () {
      const { deadLetters, lines, till } = yield* setUp({
        actor: { mailbox: { capacity: 1, overflow: "dropNewest" } },
      })
      yield* fill(till("one"))
      for (let i = 0; i < 20; i++) yield* till("one").tell.Pay(pay)
      yield* TestClock.adjust("1 hour")
      expect(lines).toHaveLength(11)
      expect((yield* deadLetters.recent)[0]?.payload).toEqual(pay)
      expect(lines.filter((line) => line.includes(secret))).toEqual([])
    }))

  it.effect("tells what it left out when the system closes", () =>
    Effect.gen(function* () {
      const { lines } = yield* Effect.scoped(Effect.gen(function* () {
        const parts = yield* setUp()
        for (let i = 0; i < 12; i++) yield* parts.till(`key ${i}`).tell.Refuse()
        yield* turn
        expect(parts.lines).toHaveLength(10)
        return parts
      }))
      expect(lines).toHaveLength(11)
      expect(lines[10]).toContain("2 more dead letters")
    }))
})

describe("a subscriber to dead letters", () => {
  it.effect("gets every letter from then on, in order", () =>
    Effect.gen(function* () {
      const { deadLetters, till } = yield* setUp()
      yield* till("before").tell.Refuse()
      yield* turn
      const got: Array<string> = []
      yield* Effect.forkChild(
        Stream.runForEach(deadLetters.stream(), ({ letter, missed }) =>
          Effect.sync(() => got.push(`${letter.to} ${missed}`))),
        { startImmediately: true },
      )
      for (let i = 0; i < 3; i++) {
        yield* till(`key ${i}`).tell.Refuse()
      }
      yield* turn
      expect(got).toEqual(["Till/key 0 0", "Till/key 1 0", "Till/key 2 0"])
      yield* till("later").tell.Refuse()
      yield* turn
      expect(got).toHaveLength(4)
    }))

  it.effect("that is slow loses the oldest, hears how many, and holds nobody up", () =>
    Effect.gen(function* () {
      const { deadLetters, registry, till } = yield* setUp()
      const go = yield* Deferred.make<void>()
      const got: Array<readonly [string, number]> = []
      yield* Effect.forkChild(
        Stream.runForEach(deadLetters.stream({ buffer: 4 }), ({ letter, missed }) => {
          got.push([letter.to, missed])
          return Deferred.await(go)
        }),
        { startImmediately: true },
      )
      yield* till("first").tell.Refuse()
      yield* turn
      for (let i = 0; i < 10; i++) yield* till(`key ${i}`).tell.Refuse()
      yield* TestClock.adjust("2 seconds")
      expect(got).toEqual([["Till/first", 0]])
      expect((yield* deadLetters.counts)[0]?.count).toBe(11)
      expect(registry.get("dead-letters")?.stats(2000)).toMatchObject({
        kind: "dead-letters",
        capacity: 16,
        inUse: 1,
        waiting: 4,
        queueCapacity: 4,
        highWater: 4,
        oldestWaitMs: 2000,
        refused: { QueueFull: 0, Shed: 6 },
      })
      yield* Deferred.succeed(go, undefined)
      yield* turn
      expect(got.slice(1)).toEqual([
        ["Till/key 6", 6],
        ["Till/key 7", 0],
        ["Till/key 8", 0],
        ["Till/key 9", 0],
      ])
      expect(registry.get("dead-letters")?.stats(2000)).toMatchObject({ waiting: 0, highWater: 4 })
    }))

  it.effect("has a buffer of 256 when it does not say otherwise", () =>
    Effect.gen(function* () {
      const { deadLetters, registry } = yield* setUp()
      yield* Effect.forkChild(Stream.runDrain(deadLetters.stream()), { startImmediately: true })
      expect(registry.get("dead-letters")?.stats(0)).toMatchObject({ queueCapacity: 256 })
    }))

  it.effect("that leaves gives its place back, and one too many is refused", () =>
    Effect.gen(function* () {
      const { deadLetters, registry, till } = yield* setUp({
        system: { deadLetters: { subscribers: 1 } },
      })
      const first = yield* Effect.forkChild(Stream.runDrain(deadLetters.stream()), {
        startImmediately: true,
      })
      expect(yield* Effect.flip(Stream.runDrain(deadLetters.stream()))).toMatchObject({
        _tag: "Refused",
        reason: "QueueFull",
        resource: "dead-letters",
      })
      yield* Fiber.interrupt(first)
      expect(registry.get("dead-letters")?.stats(0)).toMatchObject({ inUse: 0, waiting: 0 })
      const taking = yield* Effect.forkChild(
        Stream.runCollect(Stream.take(deadLetters.stream(), 1)),
        { startImmediately: true },
      )
      yield* till("one").tell.Refuse()
      yield* turn
      expect(yield* Fiber.join(taking)).toHaveLength(1)
      expect(registry.get("dead-letters")?.stats(0)).toMatchObject({ inUse: 0 })
    }))

  it.effect("gets the last letters of a system that closes, then the end", () =>
    Effect.gen(function* () {
      const got: Array<string> = []
      let ended = false
      yield* Effect.scoped(Effect.gen(function* () {
        const { deadLetters, till } = yield* setUp({ actor: { grace: 0 } })
        yield* fill(till("one"))
        yield* Effect.forkDetach(
          Effect.andThen(
            Stream.runForEach(
              deadLetters.stream(),
              ({ letter }) => Effect.sync(() => got.push(letter.reason)),
            ),
            Effect.sync(() => {
              ended = true
            }),
          ),
          { startImmediately: true },
        )
      }))
      yield* turn
      expect(got).toEqual(["discarded"])
      expect(ended).toBe(true)
    }))

  it.effect("that hands letters on to an actor that has ended does not cause the next ones", () =>
    Effect.gen(function* () {
      const { deadLetters, till } = yield* setUp()
      const audit = till("audit")
      // Full for good: whatever it is told becomes a dead letter.
      yield* fill(audit)
      let letters = 0
      yield* Effect.forkChild(
        Stream.runForEach(deadLetters.stream(), ({ letter }) => {
          letters++
          return Effect.ignore(audit.tell.Note({ text: letter }))
        }),
        { startImmediately: true },
      )
      yield* till("one").tell.Refuse()
      yield* TestClock.adjust("1 hour")
      expect(letters).toBe(1)
      expect(yield* deadLetters.counts).toEqual([
        { kind: "Till", reason: "rejected", count: 1 },
        { kind: "Till", reason: "failed", count: 1 },
      ])
    }))

  it.effect("that answers every letter with another one goes round a thousand times a second", () =>
    Effect.gen(function* () {
      const { deadLetters, till } = yield* setUp()
      let letters = 0
      const looping = yield* Effect.forkChild(
        Stream.runForEach(deadLetters.stream(), () => {
          letters++
          return till("echo").offer.Refuse()
        }),
        { startImmediately: true },
      )
      // Far more turns than a thousand rounds take.
      const turns = Effect.forEach(Array.from({ length: 10_000 }), () => Effect.yieldNow)
      yield* till("one").tell.Refuse()
      yield* turns
      expect(letters).toBe(1000)
      yield* TestClock.adjust("999 millis")
      yield* turns
      expect(letters).toBe(1000)
      yield* TestClock.adjust("1 millis")
      yield* turns
      expect(letters).toBe(2000)
      yield* Fiber.interrupt(looping)
    }))
})

describe("ActorSystem.layer", () => {
  it.effect("gives the dead letters of a second system in one registry a name of their own", () =>
    Effect.gen(function* () {
      const registry = Saturation.makeUnsafe()
      yield* Layer.build(
        Layer.mergeAll(Layer.fresh(ActorSystem.layer()), Layer.fresh(ActorSystem.layer())).pipe(
          Layer.provide(Layer.succeed(Saturation.Saturation, registry)),
        ),
      )
      expect(registry.snapshot(0).map(({ name }) => name)).toEqual([
        "dead-letters",
        "dead-letters 2",
      ])
    }))

  it.effect.each([
    { recent: -1 },
    { logged: 0.5 },
    { subscribers: 0 },
  ])("turns down the options %o with one sentence", (deadLetters) =>
    Effect.gen(function* () {
      const exit = yield* Effect.exit(Layer.build(ActorSystem.layer({ deadLetters })))
      expect(exit._tag === "Failure" && String(Cause.squash(exit.cause))).toMatch(
        /^RangeError: Dead letters: \w+ is -?[\d.]+\. It must be a whole number, at least \d\.$/,
      )
    }))

  it("knows every reason", () => {
    const all: Record<DeadLetters.Reason, true> = {
      rejected: true,
      failed: true,
      expired: true,
      dropped: true,
      discarded: true,
      "late-reply": true,
    }
    expect(DeadLetters.reasons).toEqual(Object.keys(all))
  })
})
