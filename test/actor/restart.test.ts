import { describe, expect, it } from "@effect/vitest"
import { Cause, Effect, Fiber, Layer, Logger, Schedule } from "effect"
import { TestClock } from "effect/testing"
import * as Supervisor from "../../src/task/Supervisor.ts"
import {
  type BoxRef,
  fork,
  gate,
  inside,
  occupy,
  settle,
  tagOf,
  watched,
  world,
} from "./support.ts"

import { Rpc } from "effect/rpc"
import * as Actor from "../../src/actor/Actor.ts"
const kid = Actor.single("Kid", [Rpc.make("Ping")])

const pretty = (cause: unknown) => Cause.pretty(cause as Cause.Cause<unknown>)
const boom = (note = "boom") => Effect.die(new Error(note))

/** Counts the incarnations. */
const lives = () => {
  const seen: Array<number> = []
  const init = inside((context) => Effect.sync(() => seen.push(context.incarnation)))
  return { seen, init }
}

const crash = (box: BoxRef) => Effect.flip(box.ask.Run(boom()))

describe("a crash", () => {
  it.effect("restarts the actor under the same reference, with fresh state", () =>
    world(({ box }) =>
      Effect.gen(function* () {
        const { init, seen } = lives()
        const a = yield* box("A", {}, init)
        expect(seen).toEqual([1])
        const failed = yield* crash(a)
        expect(failed).toMatchObject({ _tag: "ActorFailed", actor: "A", tag: "Run", status: 500 })
        expect(failed.message).toBe('Actor "A" crashed on Run: boom')
        expect(seen).toEqual([1, 2])
        expect(yield* a.ask.Note("x")).toBe("x")
      })
    ))

  // §3.2, 49: the caller of a server that crashes hears the reason of the crash, at once.
  it.effect("fails its asker at once with the cause", () =>
    world(({ box }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        const asked = yield* watched(a.ask.Run(Effect.andThen(Effect.sleep(10), boom())))
        yield* TestClock.adjust(9)
        expect(asked()).toBe("waits")
        yield* TestClock.adjust(1)
        expect(asked()).toBe("ActorFailed")
      })
    ))

  it.effect("of a tell is a failed message and a dead letter with its cause", () =>
    world(({ box, letters }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        yield* a.tell.Run(boom("told"))
        yield* settle
        expect(letters).toMatchObject([{ to: "A", tag: "Run", how: "tell", reason: "failed" }])
        expect(pretty(letters[0]!.cause)).toContain("told")
        expect(yield* a.account).toMatchObject({ sent: 1, ended: { failed: 1 } })
      })
    ))

  // Pekko S13: the message in flight is not processed again; what is queued stays, in order.
  it.effect("keeps the mailbox in order and does not retry the message in flight", () =>
    world(({ box, trace }) =>
      Effect.gen(function* () {
        const { init, seen } = lives()
        const a = yield* box("A", {}, init)
        const go = gate()
        yield* occupy(a, Effect.andThen(go.wait, Effect.andThen(trace.add("crashing"), boom())))
        for (const n of ["1", "2", "3"]) yield* a.tell.Note(n)
        yield* go.open
        yield* settle
        expect(trace.steps).toEqual(["crashing", "1", "2", "3"])
        expect(seen).toEqual([1, 2])
      })
    ))

  // akka-core 31814: a second failure must not lose what the first one kept.
  it.effect("keeps mailbox and stash in order across repeated failures and back-off", () =>
    world(({ box, trace }) =>
      Effect.gen(function* () {
        const { seen } = lives()
        const restart = Supervisor.restart({ intensity: 5, backoff: Schedule.spaced("1 second") })
        let fails = 0
        const a = yield* box(
          "A",
          { restart },
          inside((context) =>
            Effect.suspend(() => {
              seen.push(context.incarnation)
              return fails-- > 0 ? boom("init") : Effect.void
            })
          ),
        )
        let open = false
        const later = (name: string) => inside((context) => open ? trace.add(name) : context.stash)
        yield* a.tell.Run(later("s1"))
        yield* a.tell.Run(later("s2"))
        const go = gate()
        yield* occupy(a, Effect.andThen(go.wait, boom()))
        for (const n of ["1", "2"]) yield* a.tell.Note(n)
        fails = 2
        yield* go.open
        yield* settle
        yield* a.tell.Note("3")
        expect(seen).toEqual([1])
        expect(yield* a.account).toMatchObject({ stashed: 2, queued: 5, running: 0 })
        yield* TestClock.adjust("1 second")
        yield* TestClock.adjust("1 second")
        expect(seen).toEqual([1, 2, 3])
        expect(trace.steps).toEqual([])
        yield* TestClock.adjust("1 second")
        expect(seen).toEqual([1, 2, 3, 4])
        expect(trace.steps).toEqual(["1", "2", "3"])
        open = true
        yield* a.ask.Run(inside((context) => context.unstashAll))
        yield* settle
        expect(trace.steps).toEqual(["1", "2", "3", "s1", "s2"])
      })
    ))

  it.effect("tries a message again only as often as its Retries say", () =>
    world(({ box, letters, trace }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        let runs = 0
        const flaky = (until: number) =>
          Effect.suspend(() => ++runs < until ? boom(`run ${runs}`) : Effect.succeed(runs))
        yield* a.tell.Run(Effect.void)
        expect(yield* a.ask.Again(flaky(3))).toBe(3)
        expect(letters).toEqual([])
        yield* TestClock.adjust("6 seconds")
        runs = 0
        const go = gate()
        yield* occupy(a, go.wait)
        const asked = yield* watched(a.ask.Again(flaky(9)))
        yield* a.tell.Note("behind")
        yield* go.open
        yield* settle
        expect(asked()).toBe("ActorFailed")
        expect(runs).toBe(3)
        // It was tried again before what was queued.
        expect(trace.steps).toEqual(["behind"])
        expect(letters).toHaveLength(1)
      })
    ))

  it.effect("tries a message again that the crash of another one has cut short", () =>
    world(({ box, letters, trace }) =>
      Effect.gen(function* () {
        const a = yield* box("A", { concurrency: 2 })
        let runs = 0
        const slow = Effect.suspend(() =>
          ++runs === 1 ? trace.never("first run") : Effect.succeed(`run ${runs}`)
        )
        const again = yield* fork(a.ask.Again(slow))
        const once = yield* watched(a.ask.Run(boom("now")))
        yield* settle
        expect(once()).toBe("ActorFailed")
        expect(yield* Fiber.join(again)).toBe("run 2")
        expect(trace.steps).toEqual(["first run: parent ended: A"])
        expect(letters.map((letter) => letter.reason)).toEqual(["failed"])
        expect(yield* a.account).toMatchObject({ running: 0, ended: { handled: 1, failed: 1 } })
      })
    ))

  it.effect("closes the old incarnation's scope before the next init", () =>
    world(({ box, trace }) =>
      Effect.gen(function* () {
        const a = yield* box(
          "A",
          {},
          inside((context) =>
            Effect.acquireRelease(trace.add(`open ${context.incarnation}`), () =>
              Effect.andThen(Effect.sleep(100), trace.add(`close ${context.incarnation}`)))
          ),
        )
        expect((yield* crash(a))._tag).toBe("ActorFailed")
        const asked = yield* watched(a.ask.Note("kept"))
        expect(trace.steps).toEqual(["open 1"])
        yield* TestClock.adjust(100)
        expect(trace.steps).toEqual(["open 1", "close 1", "open 2", "kept"])
        expect(asked()).toBe("ok")
        const closing = yield* fork(a.stop)
        yield* TestClock.adjust(100)
        yield* Fiber.join(closing)
        expect(trace.steps.at(-1)).toBe("close 2")
      })
    ))

  it.effect("cancels the other handlers of the incarnation, whose askers get ActorFailed", () =>
    world(({ box, letters, trace }) =>
      Effect.gen(function* () {
        const a = yield* box("A", { concurrency: 2 })
        const other = yield* watched(a.ask.Run(trace.never("other")))
        expect((yield* crash(a))._tag).toBe("ActorFailed")
        yield* settle
        expect(other()).toBe("ActorFailed")
        expect(trace.steps).toEqual(["other: parent ended: A"])
        expect(letters.map((letter) => letter.reason)).toEqual(["failed", "failed"])
      })
    ))

  it.effect("answers askers of handlers that do not end within the grace, and goes on", () =>
    world(({ box }) =>
      Effect.gen(function* () {
        const { init, seen } = lives()
        const a = yield* box("A", { concurrency: 2, grace: "1 second" }, init)
        const go = gate()
        const other = yield* watched(
          a.ask.Run(Effect.uninterruptible(go.wait), { timeout: "1 minute" }),
        )
        yield* crash(a)
        expect(other()).toBe("waits")
        yield* TestClock.adjust("1 second")
        expect(other()).toBe("ActorFailed")
        expect(seen).toEqual([1, 2])
        expect(yield* a.ask.Note("on")).toBe("on")
        yield* go.open
        yield* settle
        expect(yield* a.account).toMatchObject({ sent: 3, running: 0 })
      })
    ))

  // S18, and §3.2, 49: one report for each crash, with its cause; none for what is no crash.
  it.effect("is logged once, with cause, attempt and the next delay", () => {
    const lines: Array<string> = []
    const logger = Logger.make(({ cause, logLevel, message }) => {
      lines.push(`${logLevel}: ${String(message)} ${Cause.prettyErrors(cause)[0]?.message ?? ""}`)
    })
    return world(({ box }) =>
      Effect.gen(function* () {
        const restart = Supervisor.restart({
          intensity: 2,
          backoff: Schedule.exponential("100 millis"),
        })
        const a = yield* box("A", { restart, exhausted: "stop" })
        yield* Effect.flip(a.ask.Run(Effect.fail("typed")))
        for (let i = 0; i < 3; i++) {
          yield* Effect.flip(a.ask.Run(boom(`crash ${i + 1}`)))
          yield* TestClock.adjust("1 second")
        }
        const b = yield* box("B")
        yield* b.stop
        expect(lines).toEqual([
          'Warn: Actor "A" crashed and is restarted (attempt 1, in 100 ms). crash 1',
          'Warn: Actor "A" crashed and is restarted (attempt 2, in 200 ms). crash 2',
          'Error: Actor "A" crashed too often and has been stopped. crash 3',
        ])
      })
    ).pipe(Effect.provide(Logger.layer([logger])))
  })

  it.effect("gives the new life all its places, whatever of the old one still hangs", () =>
    world(({ box }) =>
      Effect.gen(function* () {
        const a = yield* box("A", { grace: "1 second" })
        const go = gate()
        const hung = yield* watched(
          a.ask.Run(Effect.uninterruptible(go.wait), { timeout: "1 minute" }),
        )
        yield* a.tell.Now(Effect.die("bug"))
        yield* settle
        yield* TestClock.adjust("1 second")
        expect(hung()).toBe("ActorFailed")
        // Nor does a timer of its own hold one.
        yield* a.ask.Run(
          inside((context) => context.timer("t", { after: 0 }, Effect.uninterruptible(go.wait))),
        )
        yield* TestClock.adjust("1 second")
        yield* a.tell.Now(Effect.die("bug"))
        yield* settle
        yield* TestClock.adjust("1 second")
        expect(yield* a.ask.Note("on")).toBe("on")
        expect(yield* a.account).toMatchObject({ sent: 5, running: 1 })
        yield* go.open
        yield* settle
        expect(yield* a.account).toMatchObject({ running: 0, ended: { failed: 3, handled: 2 } })
      })
    ))

  it.effect("is not what a typed failure is: that is a reply", () =>
    world(({ box, letters }) =>
      Effect.gen(function* () {
        const { init, seen } = lives()
        const a = yield* box("A", {}, init)
        expect(yield* Effect.flip(a.ask.Run(Effect.fail("no")))).toBe("no")
        yield* a.tell.Run(Effect.fail("nobody hears"))
        yield* settle
        expect(seen).toEqual([1])
        expect(letters.map((letter) => letter.reason)).toEqual(["failed"])
        expect(yield* a.account).toMatchObject({ ended: { handled: 1, failed: 1 } })
      })
    ))

  it.effect("is what a handler that throws amounts to, but not one that interrupts itself", () =>
    world(({ box }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        const failed = yield* Effect.flip(a.ask.Run(Effect.suspend(() => {
          throw new TypeError("typo")
        })))
        expect(failed.message).toBe('Actor "A" crashed on Run: typo')
        // A handler that interrupts itself harms nobody else.
        const own = yield* Effect.flip(a.ask.Run(Effect.interrupt))
        expect(own).toMatchObject({ _tag: "ActorFailed", defect: "it interrupted itself" })
      })
    ))
})

describe("init", () => {
  // §3.2, 29 and 33: no zombie, no swallowed failure.
  it.effect("that fails is a crash: it is tried again, and messages wait", () =>
    world(({ box, trace }) =>
      Effect.gen(function* () {
        let tries = 0
        const a = yield* box(
          "A",
          {},
          Effect.suspend(() => ++tries < 3 ? Effect.fail("no") : Effect.void),
        )
        yield* settle
        expect(tries).toBe(3)
        expect(yield* a.ask.Note("there")).toBe("there")
        expect(trace.steps).toEqual(["there"])
      })
    ))

  // §3.2, 28: what the half-built incarnation has made is released, children first.
  it.effect("that fails half-way leaves neither its children nor its resources", () =>
    world(({ boxes, trace }) =>
      Effect.gen(function* () {
        let tries = 0
        const Kid = yield* Effect.succeed(kid)
        const a = (yield* boxes(
          "A",
          {},
          inside((context) =>
            Effect.gen(function* () {
              yield* Effect.acquireRelease(trace.add("open"), () => trace.add("close"))
              yield* context.spawn(
                Kid,
                "kid",
                Effect.as(
                  Effect.acquireRelease(trace.add("kid opens"), () => trace.add("kid closes")),
                  { Ping: () => Effect.void },
                ),
              )
              if (++tries === 1) return yield* boom()
            })
          ),
        ))("x")
        expect(yield* a.ask.Note("hello")).toBe("hello")
        expect(trace.steps).toEqual([
          "open",
          "kid opens",
          "kid closes",
          "close",
          "open",
          "kid opens",
          "hello",
        ])
      })
    ))

  it.effect("that fails at once, for ever, holds nobody up and can be stopped (S17)", () =>
    world(({ box }) =>
      Effect.gen(function* () {
        let tries = 0
        const a = yield* box(
          "A",
          { restart: Supervisor.restart({ intensity: Infinity }) },
          Effect.suspend(() => ++tries > 1000 ? Effect.never : Effect.fail("no")),
        )
        yield* settle
        expect(tries).toBeGreaterThan(1)
        expect(tries).toBeLessThan(1000)
        const asked = yield* watched(a.ask.Note("x"))
        yield* a.stop
        expect(asked()).toBe("Stopped")
        const before = tries
        yield* settle
        expect(tries).toBe(before)
      })
    ))

  it.effect("runs when the messages of the life before have all ended", () =>
    world(({ box }) =>
      Effect.gen(function* () {
        const actor: { current?: BoxRef } = {}
        const seen: Array<unknown> = []
        const a = yield* box(
          "A",
          { concurrency: 2 },
          Effect.suspend(() =>
            actor.current === undefined
              ? Effect.void
              : Effect.map(actor.current.account, (account) => seen.push(account?.running))
          ),
        )
        actor.current = a
        yield* a.tell.Run(Effect.onInterrupt(Effect.never, () => Effect.sleep(100)))
        yield* settle
        yield* crash(a)
        expect(seen).toEqual([])
        yield* TestClock.adjust(100)
        expect(seen).toEqual([0])
      })
    ))

  // §3.2, 13.
  it.effect("that yields nonsense crashes with the first message that finds no handler", () =>
    world(() =>
      Effect.gen(function* () {
        const Odd = Actor.single("Odd", [Rpc.make("Ping")])
        yield* Layer.build(Odd.toLayer({} as { readonly Ping: () => Effect.Effect<void> }))
        const failed = yield* Effect.flip((yield* Odd.client).ask.Ping())
        expect(failed).toMatchObject({ _tag: "ActorFailed", actor: "Odd", tag: "Ping" })
        expect((failed as Actor.ActorFailed).defect).toBeInstanceOf(TypeError)
      })
    ))

  it.effect("that takes time lets messages wait, and a stop interrupts it", () =>
    world(({ box, trace }) =>
      Effect.gen(function* () {
        const a = yield* box("A", { grace: "1 second" }, trace.never("init"))
        const asked = yield* watched(a.ask.Note("x", { timeout: "1 minute" }))
        const stopping = yield* watched(a.stop)
        yield* TestClock.adjust("1 second")
        expect(asked()).toBe("Stopped")
        expect(stopping()).toBe("ok")
        expect(trace.steps).toEqual(["init: requested by stop"])
      })
    ))

  it.effect("that asks its own actor fails at once", () =>
    world(({ boxes }) =>
      Effect.gen(function* () {
        const errors: Array<unknown> = []
        const selves: Array<BoxRef> = []
        const client = yield* boxes(
          "A",
          {},
          Effect.suspend(() =>
            selves[0] === undefined ? Effect.void : Effect.catch(
              Effect.asVoid(selves[0].ask.Note("me")),
              (error) => Effect.sync(() => void errors.push(error)),
            )
          ),
        )
        const self = client("x")
        selves.push(self)
        expect(yield* self.ask.Note("hello")).toBe("hello")
        expect(errors).toMatchObject([{ _tag: "AskCycle", path: ["A/x", "A/x"] }])
      })
    ))
})

describe("the budget of restarts", () => {
  // §3.2, 32: five siblings that fail once each share no budget.
  it.effect("is per actor", () =>
    world(({ boxes }) =>
      Effect.gen(function* () {
        const a = yield* boxes("A")
        for (const key of ["1", "2", "3", "4", "5"]) yield* crash(a(key))
        for (const key of ["1", "2", "3", "4", "5"]) expect(yield* a(key).ask.Note(key)).toBe(key)
      })
    ))

  // §3.2, 23: the fourth crash in five seconds is one too many; with a limit of 0 the first.
  it.effect("is three in five seconds, and slides", () =>
    world(({ boxes }) =>
      Effect.gen(function* () {
        const a = (yield* boxes("A", { exhausted: "stop" }))("x")
        for (let i = 0; i < 3; i++) yield* crash(a)
        yield* TestClock.adjust("5001 millis")
        for (let i = 0; i < 3; i++) yield* crash(a)
        const end = yield* fork(a.terminated)
        yield* crash(a)
        expect(yield* Fiber.join(end)).toMatchObject({ path: "A/x", reason: "failed" })
      })
    ))

  it.effect("of none stops the actor at its first crash, and the next message starts another", () =>
    world(({ boxes, letters, trace }) =>
      Effect.gen(function* () {
        const restart = Supervisor.restart({ intensity: 0 })
        const client = yield* boxes("A", { exhausted: "stop", restart })
        const a = client("x")
        const go = gate()
        yield* occupy(a, Effect.andThen(go.wait, boom()))
        const end = yield* fork(a.terminated)
        const queued = yield* watched(a.ask.Note("queued"))
        yield* a.tell.Note("told")
        yield* go.open
        yield* settle
        expect(queued()).toBe("Stopped")
        const terminated = yield* Fiber.join(end)
        expect(terminated.reason).toBe("failed")
        expect(pretty(terminated.cause)).toContain("boom")
        expect(letters.map((letter) => `${letter.tag} ${letter.reason}`)).toEqual([
          "Run failed",
          "Note discarded",
          "Note discarded",
        ])
        expect(yield* a.ask.Note("again")).toBe("again")
        expect(trace.steps).toEqual(["again"])
      })
    ))

  it.effect("exhausted by a child crashes its parent, which starts anew", () =>
    world(({ box, trace }) =>
      Effect.gen(function* () {
        const { seen } = lives()
        let child:
          | { readonly tell: { readonly Ping: () => Effect.Effect<void, unknown> } }
          | undefined
        const a = yield* box(
          "A",
          {},
          inside((context) =>
            Effect.gen(function* () {
              seen.push(context.incarnation)
              const made = yield* context.spawn(kid, "kid", { Ping: () => boom("kid") }, {
                restart: Supervisor.restart({ intensity: 1 }),
              })
              const first = child === undefined
              child = made
              if (first) yield* context.watch(made, (end) => trace.add(`${end.path} ${end.reason}`))
            })
          ),
        )
        yield* child!.tell.Ping()
        yield* settle
        expect(seen).toEqual([1])
        const end = yield* fork((child as never as BoxRef).terminated)
        yield* child!.tell.Ping()
        yield* settle
        expect(seen).toEqual([1, 2])
        expect(yield* Fiber.join(end)).toMatchObject({ path: "A/kid", reason: "failed" })
        expect(yield* a.ask.Note("well")).toBe("well")
      })
    ))

  it.effect("exhausted by a child with exhausted: stop leaves its parent alone", () =>
    world(({ box }) =>
      Effect.gen(function* () {
        const { seen, init } = lives()
        let child: BoxRef | undefined
        const a = yield* box(
          "A",
          {},
          inside((context) =>
            Effect.gen(function* () {
              yield* init
              child = (yield* context.spawn(kid, "kid", { Ping: () => boom("kid") }, {
                restart: Supervisor.restart({ intensity: 0 }),
                exhausted: "stop",
              })) as never
            })
          ),
        )
        yield* (child as never as { tell: { Ping: () => Effect.Effect<void> } }).tell.Ping()
        yield* settle
        expect(yield* child!.terminated).toMatchObject({ reason: "not-running" })
        expect(yield* a.ask.Note("well")).toBe("well")
        expect(seen).toEqual([1])
      })
    ))

  it.effect("waits as its schedule says, and an actor can be stopped meanwhile", () =>
    world(({ boxes }) =>
      Effect.gen(function* () {
        const restart = Supervisor.restart({
          intensity: 10,
          backoff: Schedule.exponential("100 millis"),
        })
        const { init, seen } = lives()
        const a = (yield* boxes("A", { restart }, init))("x")
        yield* crash(a)
        yield* TestClock.adjust(99)
        expect(seen).toEqual([1])
        yield* TestClock.adjust(1)
        expect(seen).toEqual([1, 2])
        yield* crash(a)
        yield* TestClock.adjust(199)
        expect(seen).toEqual([1, 2])
        yield* TestClock.adjust(1)
        expect(seen).toEqual([1, 2, 3])
        yield* crash(a)
        const asked = yield* watched(a.ask.Note("x", { timeout: "1 hour" }))
        // S17: it can be stopped while it waits for its restart.
        yield* a.stop
        expect(asked()).toBe("Stopped")
        yield* TestClock.adjust("1 minute")
        expect(seen).toEqual([1, 2, 3])
        // The next one starts with its first message.
        expect(tagOf(yield* Effect.exit(a.ask.Note("y")))).toBe("ok")
      })
    ))
})
