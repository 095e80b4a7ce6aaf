import {
  Context,
  Deferred,
  Effect,
  Exit,
  Fiber,
  Layer,
  Logger,
  Schedule,
  Schema,
  Scope,
} from "effect"
import { Rpc } from "effect/rpc"
import { TestClock } from "effect/testing"
import { describe, expect, expectTypeOf, it } from "@effect/vitest"
import * as Actor from "../../src/actor/Actor.ts"
import { ActorContext } from "../../src/actor/ActorContext.ts"
import * as ActorSystem from "../../src/actor/ActorSystem.ts"
import * as Router from "../../src/actor/Router.ts"
import type { Ticket } from "../../src/bounded/Bounded.ts"
import * as Saturation from "../../src/bounded/Saturation.ts"
import { restart } from "../../src/task/restarts.ts"
import { random } from "../support/random.ts"

class Odd extends Schema.TaggedError<Odd>()("Odd", {}) {}
/** Answers with the path of the actor. */
const Who = Rpc.make("Who", { payload: { key: Schema.String }, success: Schema.String })
/** Waits until the gate opens. */
const Wait = Rpc.make("Wait", { success: Schema.String, error: Odd })
const Crash = Rpc.make("Crash")
const Quit = Rpc.make("Quit")
const protocol = [Who, Wait, Crash, Quit] as const
type Protocol = typeof protocol[number]

const never = restart({ intensity: 0 })

/** Actors that say who they are, and what they have handled. */
const setUp = (options: Actor.ActorOptions = {}) =>
  Effect.gen(function* () {
    const gate = yield* Deferred.make<void>()
    const handled: Array<string> = []
    const registry = Saturation.makeUnsafe()
    const scope = yield* Effect.scope
    const base = yield* Layer.build(
      ActorSystem.layer().pipe(
        Layer.provideMerge(Logger.layer([])),
        Layer.provideMerge(Layer.succeed(Saturation.Saturation, registry)),
      ),
    )
    /** What waits must be able to end: nobody moves the clock while the actors close. */
    const opens = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
      Effect.tap(effect, () => Effect.addFinalizer(() => Deferred.succeed(gate, undefined)))
    const definition = (name: string) => Actor.make(name, protocol, options)
    const init = Effect.gen(function* () {
      const self = yield* ActorContext
      const note = (text: string) => {
        handled.push(`${self.path} ${text}`)
      }
      return {
        Who: ({ payload }: Actor.Message<typeof Who>) => {
          note(payload.key)
          return Effect.succeed(self.path)
        },
        Wait: () =>
          Effect.andThen(Deferred.await(gate), () => {
            note("waited")
            return self.path.endsWith("1") ? Effect.fail(new Odd()) : Effect.succeed(self.path)
          }),
        Crash: () => Effect.die("boom"),
        Quit: () => self.stop,
      }
    })
    /** Single actors with names of their own. */
    const group = (count: number) =>
      Effect.forEach(Array.from({ length: count }, (_, i) => `a${i + 1}`), (name) => {
        const actor = Actor.single(name, protocol, options)
        return Effect.andThen(Layer.build(actor.toLayer(init)), actor.client).pipe(
          Effect.provideContext(Context.add(base, Scope.Scope, scope)),
        )
      }).pipe(opens)
    const provided = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
      opens(Effect.provide(effect, base)) as Effect.Effect<
        A,
        E,
        Exclude<R, ActorSystem.ActorSystem>
      >
    const system = Context.get(base, ActorSystem.ActorSystem)
    return { base, definition, gate, group, handled, init, provided, registry, system }
  })

const turn = TestClock.adjust(0)
const times = (count: number) => Array.from({ length: count }, (_, i) => i)

describe("a router over a group", () => {
  it.effect("has the clients of its actors, with their types", () =>
    Effect.gen(function* () {
      const { group } = yield* setUp()
      const routees = yield* group(2)
      const one = Router.make({ name: "one", routees })
      const all = Router.make({ name: "all", routees, strategy: "broadcast" })
      const keyed = Router.make({
        name: "keyed",
        routees,
        strategy: {
          hash: (message) => {
            expectTypeOf(message).toEqualTypeOf<
              | Actor.Message<typeof Who>
              | Actor.Message<typeof Wait>
              | Actor.Message<typeof Crash>
              | Actor.Message<typeof Quit>
            >()
            return message.tag === "Who" ? message.payload.key : message.tag
          },
        },
      })
      expectTypeOf(one).toEqualTypeOf<Router.Router<Protocol>>()
      expectTypeOf(keyed).toEqualTypeOf<Router.Router<Protocol>>()
      expectTypeOf(all).toEqualTypeOf<Router.Broadcast<Protocol>>()
      expectTypeOf(one.ask.Wait).toEqualTypeOf<Actor.Ref<Protocol>["ask"]["Wait"]>()
      expectTypeOf(all.ask.Wait()).toEqualTypeOf<
        Effect.Effect<ReadonlyArray<Router.Answer<string, Odd | Actor.AskFailure>>, Actor.Stopped>
      >()
      // @ts-expect-error the payload is missing
      const wrong = () => one.ask.Who()
      // @ts-expect-error no such message
      const none = () => one.tell.Nothing
      expect([typeof wrong, typeof none]).toEqual(["function", "function"])
      expect(Object.keys(one.tell)).toEqual(["Who", "Wait", "Crash", "Quit"])
    }))

  it.effect("gives each actor its turn", () =>
    Effect.gen(function* () {
      const { group } = yield* setUp()
      const router = Router.make({ name: "r", routees: yield* group(3), strategy: "round-robin" })
      expect(yield* Effect.forEach(times(7), (i) => router.ask.Who({ key: `${i}` })))
        .toEqual(["a1", "a2", "a3", "a1", "a2", "a3", "a1"])
    }))

  it.effect("passes over one whose mailbox is full, and says so when all are", () =>
    Effect.gen(function* () {
      const { group, handled, gate } = yield* setUp({ mailbox: { capacity: 1 } })
      const [a, b] = yield* group(2)
      const router = Router.make({ name: "r", routees: [a!, b!] })
      yield* a!.tell.Wait()
      yield* turn
      yield* a!.tell.Who({ key: "fills" })
      yield* router.tell.Who({ key: "1" })
      yield* turn
      yield* router.tell.Who({ key: "2" })
      yield* turn
      expect(handled).toEqual(["a2 1", "a2 2"])
      yield* b!.tell.Wait()
      yield* turn
      yield* b!.tell.Who({ key: "fills" })
      expect(yield* Effect.flip(router.tell.Who({ key: "3" }))).toMatchObject({
        _tag: "MailboxFull",
        actor: "a1",
      })
      yield* Deferred.succeed(gate, undefined)
    }))

  it.effect("finds the one with the least to do, and takes turns where several have as little", () =>
    Effect.gen(function* () {
      const { gate, group, handled } = yield* setUp()
      const [a, b, c] = yield* group(3)
      const router = Router.make({
        name: "r",
        routees: [a!, b!, c!],
        strategy: "least-loaded",
      })
      yield* a!.tell.Wait()
      yield* a!.tell.Wait()
      yield* b!.tell.Wait()
      // c has 0, then b and c have 1, then b and c have 2 like a.
      for (const key of ["1", "2", "3", "4", "5", "6"]) yield* router.tell.Who({ key })
      const accounts = yield* Effect.forEach([a!, b!, c!], (ref) => ref.account)
      expect(accounts.map((account) => account!.sent)).toEqual([3, 3, 3])
      yield* Deferred.succeed(gate, undefined)
      yield* turn
      expect(handled.filter((line) => !line.endsWith("waited")).sort()).toHaveLength(6)
      expect(yield* Effect.forEach(times(4), (i) => router.ask.Who({ key: `${i}` })))
        .toEqual(["a1", "a2", "a3", "a1"])
    }))

  it.effect("rather waits for another message than for a restart", () =>
    Effect.gen(function* () {
      const { gate, group, handled } = yield* setUp({
        restart: restart({ backoff: Schedule.spaced("1 minute") }),
      })
      const [a, b] = yield* group(2)
      const router = Router.make({ name: "r", routees: [a!, b!], strategy: "least-loaded" })
      yield* a!.tell.Wait()
      yield* b!.tell.Crash()
      yield* turn
      for (const key of ["1", "2"]) yield* router.tell.Who({ key })
      yield* Deferred.succeed(gate, undefined)
      yield* turn
      expect(handled).toEqual(["a1 waited", "a1 1", "a1 2"])
      // A key stays where it is, and its messages wait for the restart.
      const keyed = Router.make({ name: "k", routees: [b!], strategy: { hash: () => "b" } })
      yield* keyed.tell.Who({ key: "3" })
      yield* TestClock.adjust("1 minute")
      expect(handled.slice(3)).toEqual(["a2 3"])
    }))

  it.effect("sends the messages of one key to one actor", () =>
    Effect.gen(function* () {
      const { group } = yield* setUp()
      const router = Router.make({
        name: "r",
        routees: yield* group(5),
        strategy: { hash: ({ payload, tag }) => tag === "Who" ? payload.key : tag },
      })
      const first = yield* Effect.forEach(times(50), (i) => router.ask.Who({ key: `sku-${i}` }))
      const second = yield* Effect.forEach(times(50), (i) => router.ask.Who({ key: `sku-${i}` }))
      expect(second).toEqual(first)
      expect(new Set(first).size).toBe(5)
    }))

  it.effect.each(times(6).map((i) => 2 ** (i + 1) - 1))(
    "spreads keys over %d actors, and moves 1/n of them, to the newcomer alone, for one more",
    (count) =>
      Effect.gen(function* () {
        const { group } = yield* setUp()
        const routees = yield* group(count + 1)
        const place = (members: ReadonlyArray<Actor.Ref<Protocol>>) => {
          const router = Router.make({
            name: "r",
            routees: members,
            strategy: { hash: ({ payload, tag }) => tag === "Who" ? payload.key : tag },
          })
          return Effect.forEach(times(4000), (i) => router.ask.Who({ key: `sku-${i}` }))
        }
        const before = yield* place(routees.slice(0, count))
        const after = yield* place(routees)
        const moved = after.filter((path, i) => path !== before[i])
        expect(new Set(moved)).toEqual(new Set([`a${count + 1}`]))
        const share = 4000 / (count + 1)
        // Four standard deviations of a throw of dice.
        expect(Math.abs(moved.length - share)).toBeLessThan(4 * Math.sqrt(share))
        const counts = new Map<string, number>()
        for (const path of before) counts.set(path, (counts.get(path) ?? 0) + 1)
        for (const each of counts.values()) {
          expect(Math.abs(each - 4000 / count)).toBeLessThan(4 * Math.sqrt(4000 / count))
        }
        // One that leaves gives away only its own keys.
        yield* routees[0]!.stop
        const router = Router.make({
          name: "r",
          routees,
          strategy: { hash: ({ payload, tag }) => tag === "Who" ? payload.key : tag },
        })
        const left = yield* Effect.forEach(
          times(4000),
          (i) => router.ask.Who({ key: `sku-${i}` }),
        )
        expect(left.filter((path, i) => path !== after[i] && after[i] !== "a1")).toEqual([])
        expect(left).not.toContain("a1")
      }),
  )

  it.effect("asks all of them at once, and returns every answer", () =>
    Effect.gen(function* () {
      const { gate, group } = yield* setUp()
      const router = Router.make({ name: "r", routees: yield* group(3), strategy: "broadcast" })
      const asking = yield* Effect.forkChild(router.ask.Wait(), { startImmediately: true })
      yield* turn
      yield* Deferred.succeed(gate, undefined)
      const answers = yield* Fiber.join(asking)
      expect(answers.map(({ from }) => from)).toEqual(["a1", "a2", "a3"])
      expect(answers.map(({ exit }) => exit)).toEqual([
        Exit.fail(new Odd()),
        Exit.succeed("a2"),
        Exit.succeed("a3"),
      ])
    }))

  it.effect("takes the asks of all back when the asker leaves", () =>
    Effect.gen(function* () {
      const { group } = yield* setUp()
      const routees = yield* group(3)
      const router = Router.make({ name: "r", routees, strategy: "broadcast" })
      const asking = yield* Effect.forkChild(router.ask.Wait(), { startImmediately: true })
      yield* turn
      yield* Fiber.interrupt(asking)
      for (const ref of routees) {
        expect(yield* ref.account).toMatchObject({ running: 0, ended: { cancelled: 1 } })
      }
    }))

  it.effect("tells all, also when one takes no more, and fails then", () =>
    Effect.gen(function* () {
      const { group, handled } = yield* setUp({ mailbox: { capacity: 1 } })
      const routees = yield* group(3)
      const router = Router.make({ name: "r", routees, strategy: "broadcast" })
      yield* routees[0]!.tell.Wait()
      yield* turn
      yield* routees[0]!.tell.Wait()
      expect(yield* Effect.flip(router.tell.Who({ key: "x" }))).toMatchObject({
        _tag: "MailboxFull",
        actor: "a1",
      })
      yield* turn
      expect(handled).toEqual(["a2 x", "a3 x"])
    }))

  it.effect("offers to all: waits until there was room in every mailbox", () =>
    Effect.gen(function* () {
      const { gate, group, handled } = yield* setUp({ mailbox: { capacity: 1 } })
      const routees = yield* group(2)
      const router = Router.make({ name: "r", routees, strategy: "broadcast" })
      yield* routees[0]!.tell.Wait()
      yield* turn
      yield* routees[0]!.tell.Wait()
      let taken = false
      yield* Effect.forkChild(
        Effect.tap(router.offer.Who({ key: "x" }), () =>
          Effect.sync(() => {
            taken = true
          })),
        { startImmediately: true },
      )
      yield* turn
      expect([taken, handled]).toEqual([false, ["a2 x"]])
      yield* Deferred.succeed(gate, undefined)
      yield* TestClock.adjust("1 millis")
      expect(taken).toBe(true)
      expect(handled).toContain("a1 x")
    }))

  it.effect.each(["round-robin", "least-loaded", "broadcast", { hash: () => "same" }] as const)(
    "takes out an actor that has stopped, and says Stopped when none is left: %o",
    (strategy) =>
      Effect.gen(function* () {
        const { group, handled, system } = yield* setUp()
        const routees = yield* group(3)
        const router = Router.make({
          name: "office",
          routees,
          strategy: strategy as "round-robin",
        })
        yield* routees[1]!.stop
        expect((yield* router.routees).map(({ path }) => path)).toEqual(["a1", "a3"])
        for (const i of times(6)) yield* router.tell.Who({ key: `${i}` })
        yield* turn
        expect(handled.filter((line) => line.startsWith("a2"))).toEqual([])
        expect(new Set(handled.map((line) => line.slice(3))).size).toBe(6)
        yield* routees[0]!.stop
        yield* routees[2]!.stop
        expect(yield* router.routees).toEqual([])
        for (const how of ["tell", "offer", "ask"] as const) {
          expect(
            yield* Effect.flip(router[how].Who({ key: "late" }) as Effect.Effect<unknown, unknown>),
          )
            .toEqual(new Actor.Stopped({ actor: "office", tag: "Who", started: false }))
        }
        // In vain, but not lost: the tell and the offer are dead letters.
        expect(yield* system.deadLetters.counts).toEqual([
          expect.objectContaining({ reason: "rejected", count: 2 }),
        ])
      }),
  )

  it.effect("counts keyed actors as there even when they are not in memory", () =>
    Effect.gen(function* () {
      const { definition, init, provided, base } = yield* setUp({ idle: "1 second" })
      const actor = definition("Keyed")
      yield* Layer.build(actor.toLayer(init)).pipe(Effect.provide(base))
      const client = yield* provided(actor.client)
      const router = Router.make({ name: "r", routees: [client("x"), client("y")] })
      yield* router.ask.Who({ key: "1" })
      yield* TestClock.adjust("1 minute")
      expect(yield* client("x").account).toBe(undefined)
      expect(yield* router.routees).toHaveLength(2)
      expect(yield* Effect.forEach(times(2), () => router.ask.Who({ key: "2" }))).toEqual([
        "Keyed/y",
        "Keyed/x",
      ])
    }))

  it.effect("offers anew what waits at an actor that stops", () =>
    Effect.gen(function* () {
      const { gate, group, handled } = yield* setUp({ mailbox: { capacity: 1 }, grace: "1 second" })
      const [a, b] = yield* group(2)
      for (const ref of [a!, b!]) {
        yield* ref.tell.Wait()
        yield* turn
        yield* ref.tell.Wait()
      }
      const router = Router.make({ name: "r", routees: [a!, b!] })
      const offering = yield* Effect.forkChild(router.offer.Who({ key: "x" }), {
        startImmediately: true,
      })
      yield* turn
      expect(yield* a!.account).toMatchObject({ offering: 1 })
      const stopping = yield* Effect.forkChild(a!.stop, { startImmediately: true })
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(stopping)
      expect(yield* b!.account).toMatchObject({ offering: 1 })
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(offering)
      yield* turn
      expect(handled).toContain("b x".replace("b", "a2"))
    }))

  it.effect("goes to the actor in whose mailbox the sender has a place", () =>
    Effect.gen(function* () {
      const { group, handled, registry } = yield* setUp()
      const routees = yield* group(3)
      const router = Router.make({ name: "r", routees })
      const ticket = registry.get("a2")!.reserve({
        now: 0,
        deadline: Infinity,
        service: undefined,
      }) as Ticket
      const { CancelScope, CurrentScope } = yield* Effect.promise(() =>
        import("../../src/task/scope.ts")
      )
      const frame = new CancelScope(undefined, Infinity, undefined, [ticket], undefined)
      yield* Effect.provideService(router.tell.Who({ key: "x" }), CurrentScope, frame)
      yield* turn
      expect(handled).toEqual(["a2 x"])
      expect(ticket.open).toBe(false)
    }))

  it("needs at least one actor", () => {
    expect(() => Router.make({ name: "r", routees: [] })).toThrow(
      'Router "r" needs at least one routee.',
    )
  })
})

describe("a pool", () => {
  it.effect("runs as many actors as it is told, under its name", () =>
    Effect.gen(function* () {
      const { definition, init, provided, registry } = yield* setUp()
      const pool = yield* provided(
        Router.pool(definition("Worker"), 3, init, { name: "workers", concurrency: 2 }),
      )
      expect(yield* Effect.forEach(times(4), () => pool.ask.Who({ key: "x" }))).toEqual([
        "workers/1",
        "workers/2",
        "workers/3",
        "workers/1",
      ])
      expect(registry.get("workers")!.stats(0)).toMatchObject({
        kind: "router",
        name: "workers",
        capacity: 6,
        inUse: 0,
        waiting: 0,
        queueCapacity: 3 * 1024,
      })
    }))

  it.effect("is a layer that drains what it was told when it closes", () =>
    Effect.gen(function* () {
      const { definition, gate, handled, init, base } = yield* setUp()
      class Workers extends Context.Service<Workers, Router.Router<Protocol>>()("Workers") {}
      const live = Layer.effect(Workers, Router.pool(definition("Worker"), 2, init))
      const scope = yield* Scope.make()
      const built = yield* Layer.buildWithScope(live, scope).pipe(Effect.provide(base))
      const pool = Context.get(built, Workers)
      yield* pool.tell.Wait()
      yield* pool.tell.Wait()
      for (const i of times(4)) yield* pool.tell.Who({ key: `${i}` })
      yield* turn
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), {
        startImmediately: true,
      })
      yield* turn
      expect(yield* Effect.flip(pool.tell.Who({ key: "late" }))).toMatchObject({ _tag: "Stopped" })
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(closing)
      expect(
        handled.filter((line) => !line.endsWith("waited")).map((line) => line.slice(-1)).sort(),
      )
        .toEqual(["0", "1", "2", "3"])
    }))

  it.effect("restarts an actor that crashes, with its mailbox, and uses the others meanwhile", () =>
    Effect.gen(function* () {
      const { definition, handled, init, provided } = yield* setUp()
      const pool = yield* provided(
        Router.pool(definition("Worker"), 2, init, {
          restart: restart({ backoff: Schedule.spaced("1 second") }),
        }),
      )
      const [one] = yield* pool.routees
      yield* one!.tell.Crash()
      yield* one!.tell.Who({ key: "kept" })
      yield* turn
      for (const i of times(3)) yield* pool.tell.Who({ key: `${i}` })
      yield* turn
      expect(handled).toEqual(["Worker/2 0", "Worker/2 1", "Worker/2 2"])
      yield* TestClock.adjust("1 second")
      expect(handled.slice(3)).toEqual(["Worker/1 kept"])
      expect(yield* Effect.forEach(times(2), () => pool.ask.Who({ key: "x" })))
        .toEqual(["Worker/1", "Worker/2"])
    }))

  it.effect("replaces an actor that crashed too often by a new one, under its own policy", () =>
    Effect.gen(function* () {
      const { definition, init, provided, system, registry } = yield* setUp()
      const pool = yield* provided(
        Router.pool(definition("Worker"), 2, init, {
          restart: never,
          replace: restart({
            intensity: 1,
            period: "1 minute",
            backoff: Schedule.spaced("1 second"),
          }),
          mailbox: { capacity: 5 },
        }),
      )
      const [one] = yield* pool.routees
      yield* one!.tell.Crash()
      yield* one!.tell.Who({ key: "lost with its mailbox" })
      yield* turn
      expect((yield* pool.routees).map(({ path }) => path)).toEqual(["Worker/2"])
      yield* TestClock.adjust("1 second")
      expect((yield* pool.routees).map(({ path }) => path)).toEqual(["Worker/1", "Worker/2"])
      expect(yield* one!.ask.Who({ key: "again" })).toBe("Worker/1")
      expect(yield* system.deadLetters.counts).toEqual([
        { kind: "Worker", reason: "failed", count: 1 },
        { kind: "Worker", reason: "discarded", count: 1 },
      ])
      // The second time is once too often.
      yield* Effect.exit(one!.ask.Crash())
      yield* TestClock.adjust("1 hour")
      expect((yield* pool.routees).map(({ path }) => path)).toEqual(["Worker/2"])
      expect(yield* Effect.forEach(times(2), () => pool.ask.Who({ key: "x" })))
        .toEqual(["Worker/2", "Worker/2"])
      expect(registry.get("Worker")!.stats(0)).toMatchObject({ queueCapacity: 10 })
    }))

  it.effect("keeps its refusals in /saturation when an actor is replaced", () =>
    Effect.gen(function* () {
      const { definition, init, provided, registry } = yield* setUp({ mailbox: { capacity: 1 } })
      const pool = yield* provided(Router.pool(definition("Worker"), 1, init, { restart: never }))
      yield* pool.tell.Crash()
      yield* Effect.flip(pool.tell.Who({ key: "x" }))
      expect(registry.get("Worker")!.stats(0).refused.QueueFull).toBe(1)
      yield* TestClock.adjust("1 second")
      expect(yield* pool.ask.Who({ key: "x" })).toBe("Worker/1")
      expect(registry.get("Worker")!.stats(0).refused.QueueFull).toBe(1)
    }))

  it.effect("does not replace one that was stopped, and stops when all have", () =>
    Effect.gen(function* () {
      const { definition, init, provided } = yield* setUp()
      const pool = yield* provided(Router.pool(definition("Worker"), 2, init))
      yield* pool.tell.Quit()
      yield* TestClock.adjust("1 minute")
      expect((yield* pool.routees).map(({ path }) => path)).toEqual(["Worker/2"])
      yield* pool.tell.Quit()
      yield* TestClock.adjust("1 minute")
      expect(yield* Effect.flip(pool.ask.Who({ key: "x" }))).toEqual(
        new Actor.Stopped({ actor: "Worker", tag: "Who", started: false }),
      )
    }))

  it.effect("is started anew by the system's supervisor when its last actor has failed", () =>
    Effect.gen(function* () {
      const { definition, init, provided } = yield* setUp()
      const pool = yield* provided(
        Router.pool(definition("Worker"), 2, init, { restart: never, replace: never }),
      )
      yield* pool.tell.Crash()
      yield* TestClock.adjust("1 second")
      expect(yield* pool.routees).toHaveLength(1)
      yield* pool.tell.Crash()
      yield* TestClock.adjust("1 second")
      expect(yield* pool.routees).toHaveLength(2)
      expect(yield* Effect.forEach(times(2), () => pool.ask.Who({ key: "x" })))
        .toEqual(["Worker/1", "Worker/2"])
    }))

  it.effect("stays empty after that when it is told to stop", () =>
    Effect.gen(function* () {
      const { definition, init, provided } = yield* setUp()
      const pool = yield* provided(
        Router.pool(definition("Worker"), 1, init, {
          restart: never,
          replace: never,
          exhausted: "stop",
        }),
      )
      yield* pool.tell.Crash()
      yield* TestClock.adjust("1 hour")
      expect(yield* pool.routees).toEqual([])
      expect(yield* Effect.flip(pool.tell.Crash())).toMatchObject({ _tag: "Stopped" })
    }))

  it.effect("gives a ticket in the mailbox with the shortest wait", () =>
    Effect.gen(function* () {
      const { definition, init, provided, registry } = yield* setUp({ mailbox: { capacity: 1 } })
      const pool = yield* provided(Router.pool(definition("Worker"), 2, init))
      const request = { now: 0, deadline: Infinity, service: undefined }
      const line = registry.get("Worker")!
      const first = line.reserve(request) as Ticket
      const second = line.reserve(request) as Ticket
      expect([first.open, second.open]).toEqual([true, true])
      expect(first.bounded).not.toBe(second.bounded)
      expect(line.stats(0)).toMatchObject({ waiting: 2 })
      expect(line.reserve(request)).toMatchObject({ _tag: "Refusal", reason: "QueueFull" })
      first.release()
      second.release()
      yield* pool.tell.Quit()
      yield* pool.tell.Quit()
      yield* TestClock.adjust("1 minute")
      expect(line.reserve(request)).toMatchObject({ _tag: "Refusal", reason: "Closed" })
    }))

  it.effect.each([0, 1.5, NaN])(
    "turns down a size of %d with one sentence",
    (size) =>
      Effect.gen(function* () {
        const { definition, init, provided } = yield* setUp()
        const exit = yield* Effect.exit(provided(Router.pool(definition("Worker"), size, init)))
        expect(String(exit)).toContain(
          `Router "Worker" needs a whole number of actors above zero, not ${size}.`,
        )
      }),
  )
})

describe("a pool inside an actor", () => {
  const Boss = Actor.single("Boss", [Who, Crash])

  const boss = (options: Router.PoolOptions & Router.ToOne<Protocol> = {}) =>
    Effect.gen(function* () {
      const parts = yield* setUp()
      const routers: Array<Router.Router<Protocol>> = []
      yield* Layer.build(Boss.toLayer(Effect.gen(function* () {
        const pool = yield* Router.spawn(parts.definition("Worker"), 2, parts.init, options)
        routers.push(pool)
        return Boss.of({
          Who: ({ payload }) => Effect.orDie(pool.ask.Who(payload)),
          Crash: () => Effect.die("boom"),
        })
      }))).pipe(Effect.provide(parts.base))
      const ref = yield* parts.provided(Boss.client)
      return { ...parts, ref, routers }
    })

  it.effect("has children of that actor as routees", () =>
    Effect.gen(function* () {
      const { ref } = yield* boss({ name: "w" })
      expect(yield* Effect.forEach(times(3), () => ref.ask.Who({ key: "x" }))).toEqual([
        "Boss/w-1",
        "Boss/w-2",
        "Boss/w-1",
      ])
    }))

  it.effect("ends with the incarnation, and the next one has its own", () =>
    Effect.gen(function* () {
      const { ref, routers } = yield* boss()
      yield* Effect.exit(ref.ask.Crash())
      yield* turn
      expect(routers).toHaveLength(2)
      expect(yield* Effect.flip(routers[0]!.tell.Who({ key: "x" }))).toMatchObject({
        _tag: "Stopped",
        actor: "Boss/Worker",
      })
      expect(yield* routers[1]!.routees).toHaveLength(2)
      expect(yield* ref.ask.Who({ key: "x" })).toBe("Boss/Worker-1")
    }))

  it.effect("replaces an actor, and crashes its owner when the last one has failed", () =>
    Effect.gen(function* () {
      const { routers } = yield* boss({
        restart: never,
        replace: restart({
          intensity: 1,
          period: "1 minute",
          backoff: Schedule.spaced("1 second"),
        }),
      })
      const first = routers[0]!
      for (const left of [1, 0]) {
        yield* first.tell.Crash()
        yield* turn
        expect(yield* first.routees).toHaveLength(left)
      }
      yield* TestClock.adjust("1 second")
      expect(yield* first.routees).toHaveLength(2)
      yield* first.tell.Crash()
      yield* TestClock.adjust("1 second")
      expect([(yield* first.routees).length, routers.length]).toEqual([1, 1])
      yield* first.tell.Crash()
      yield* TestClock.adjust("1 second")
      expect([(yield* first.routees).length, routers.length]).toEqual([0, 2])
      expect(yield* routers[1]!.routees).toHaveLength(2)
    }))

  it.effect("forgets a replacement that is due after its owner's end", () =>
    Effect.gen(function* () {
      const { ref, routers } = yield* boss({
        restart: never,
        replace: restart({ backoff: Schedule.spaced("1 minute") }),
      })
      yield* routers[0]!.tell.Crash()
      yield* turn
      yield* ref.stop
      yield* TestClock.adjust("1 hour")
      expect(yield* routers[0]!.routees).toEqual([])
    }))
})

describe("a pool whose owner ends at the same moment", () => {
  it.effect("does not replace its actor any more", () =>
    Effect.gen(function* () {
      const { definition, init, provided, base } = yield* setUp()
      const Boss = Actor.single("Boss", [Quit])
      const routers: Array<Router.Router<Protocol>> = []
      yield* Layer.build(Boss.toLayer(Effect.gen(function* () {
        routers.push(yield* Router.spawn(definition("Worker"), 1, init, { restart: never }))
        return Boss.of({ Quit: () => Effect.void })
      }))).pipe(Effect.provide(base))
      const boss = yield* provided(Boss.client)
      yield* Effect.exit(routers[0]!.ask.Crash())
      yield* boss.stop
      yield* TestClock.adjust("1 minute")
      expect(yield* routers[0]!.routees).toEqual([])
    }))
})

describe("a router under fire", () => {
  it.effect.each(times(20))("loses no message (seed %d)", (seed) =>
    Effect.gen(function* () {
      const draw = random(seed)
      const strategies = [
        "round-robin",
        "least-loaded",
        { hash: ({ payload, tag }: Router.Routing<Protocol>) => tag === "Who" ? payload.key : tag },
      ] as const
      const { definition, handled, init, provided, system } = yield* setUp({
        mailbox: { capacity: 4 },
        grace: "1 second",
      })
      const pool = yield* provided(
        Router.pool(definition("Worker"), 4, init, {
          strategy: strategies[seed % 3]!,
          restart: restart({ intensity: 1, period: "1 minute" }),
          replace: restart({ intensity: Infinity, backoff: Schedule.spaced("1 second") }),
        }),
      )
      const taken: Array<string> = []
      const refused: Array<string> = []
      for (const i of times(300)) {
        const key = `m${i}`
        const chance = draw()
        if (chance < 0.8) {
          const exit = yield* Effect.exit(pool.tell.Who({ key }))
          if (Exit.isSuccess(exit)) taken.push(key)
          else refused.push(key)
        } else if (chance < 0.9) yield* Effect.exit(pool.tell.Crash())
        else yield* TestClock.adjust(draw() < 0.5 ? 0 : 700)
      }
      yield* TestClock.adjust("1 minute")
      const done = handled.map((line) => line.split(" ")[1]!)
      const counts = yield* system.deadLetters.counts
      const letters = (reason: string) =>
        counts.find((count) => count.reason === reason)?.count ?? 0
      expect(new Set(done).size).toBe(done.length)
      expect(taken).toEqual(expect.arrayContaining(done))
      // What was taken and not handled went down with the mailbox of an actor that failed for good.
      const [kind] = yield* system.kinds
      const { ended, queued, running, sent } = kind!.account
      expect([queued, running]).toEqual([0, 0])
      expect(ended.handled).toBe(done.length)
      expect(ended.discarded).toBe(letters("discarded"))
      expect(ended.rejected).toBe(letters("rejected"))
      expect(ended.failed).toBe(letters("failed"))
      expect(sent).toBe(ended.handled + ended.discarded + ended.rejected + ended.failed)
      expect(taken.length - done.length).toBeLessThanOrEqual(ended.discarded)
      expect(done.length).toBeGreaterThan(50)
    }))
})
