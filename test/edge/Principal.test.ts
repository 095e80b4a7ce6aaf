import { describe, expect, it } from "@effect/vitest"
import {
  Cause,
  Context,
  Deferred,
  Effect,
  Exit,
  Fiber,
  Layer,
  Option,
  Redacted,
  Schema,
} from "effect"
import { TestClock } from "effect/testing"
import * as Saturation from "../../src/bounded/Saturation.ts"
import * as Principal from "../../src/edge/Principal.ts"
import * as ApiKeys from "../../src/store/ApiKeys.ts"
import * as Database from "../../src/store/Database.ts"
import { issue } from "../../src/store/secret.ts"
import * as TestDatabase from "../support/database.ts"
import * as Cable from "./support/cable.ts"
import { until } from "./support/desk.ts"

interface Control {
  hold: Deferred.Deferred<void> | undefined
  holdUsed: Effect.Effect<void>
}

/** The keys of a real database, whose look-ups are counted and can be held up. */
const harness = (options: Principal.Options = {}, url: Redacted.Redacted | undefined = undefined) =>
  Effect.gen(function* () {
    const queries: Array<ReadonlyArray<string>> = []
    const control: Control = { hold: undefined, holdUsed: Effect.void }
    const counted = Layer.effect(
      ApiKeys.ApiKeys,
      Effect.map(ApiKeys.ApiKeys, (stored): ApiKeys.ApiKeys => ({
        ...stored,
        find: (ids) =>
          Effect.suspend(() => {
            queries.push(ids)
            const found = stored.find(ids)
            // What was read before the wait is what is returned after it.
            return control.hold === undefined
              ? found
              : Effect.tap(found, () => Deferred.await(control.hold!))
          }),
        used: (ids) => Effect.andThen(Effect.suspend(() => control.holdUsed), stored.used(ids)),
      })),
    )
    const registry = Saturation.makeUnsafe()
    const context = yield* Layer.build(
      Principal.layer(options).pipe(
        Layer.provideMerge(counted),
        Layer.provide(ApiKeys.layer()),
        Layer.provideMerge(
          Database.layer({ url: url ?? (yield* TestDatabase.url), maxConnections: 4 }),
        ),
      ),
    ).pipe(Effect.provideService(Saturation.Saturation, registry))
    return {
      control,
      queries,
      registry,
      db: Context.get(context, Database.Database),
      keys: Context.get(context, ApiKeys.ApiKeys),
      principals: Context.get(context, Principal.Principals),
    }
  })

const Count = Schema.Struct({ n: Schema.Int })

const grant = { name: "ada", tenant: "engines" } as const

describe("Principals", () => {
  it.effect("a thousand requests that miss one key are one query, and then none", () =>
    Effect.gen(function* () {
      const { keys, principals, queries, registry } = yield* harness()
      const { key, stored } = yield* keys.create(grant)
      const text = Redacted.value(key)
      expect(principals.recognize(text, 0)).toBeUndefined()
      const all = yield* Effect.all(
        Array.from({ length: 1000 }, () => principals.authenticate(text)),
        { concurrency: "unbounded" },
      )
      expect(new Set(all.map(({ id }) => id))).toEqual(new Set([stored.id]))
      expect(queries).toEqual([[stored.id]])
      expect(principals.recognize(text, 0)).toMatchObject({ id: stored.id, tenant: "engines" })
      expect(yield* principals.authenticate(text)).toMatchObject({ id: stored.id })
      expect(queries.length).toBe(1)
      expect(registry.get("principals lookups")!.stats(0).inUse).toBe(0)
      expect(registry.get("principals")!.stats(0).inUse).toBe(1)
    }).pipe(Effect.scoped))

  it.effect("a request that comes while its key is being looked up waits for that look-up", () =>
    Effect.gen(function* () {
      const { control, keys, principals, queries } = yield* harness()
      const { key, stored } = yield* keys.create(grant)
      const ask = Effect.forkChild(principals.authenticate(Redacted.value(key)), {
        startImmediately: true,
      })
      control.hold = yield* Deferred.make<void>()
      const first = yield* ask
      yield* until(() => queries.length === 1).pipe(TestClock.withLive)
      const others = [yield* ask, yield* ask]
      yield* Deferred.succeed(control.hold, undefined)
      for (const fiber of [first, ...others]) {
        expect(yield* Fiber.join(fiber)).toMatchObject({ id: stored.id })
      }
      expect(queries).toEqual([[stored.id]])
      // Whatever else was asked for meanwhile would be in the next query.
      yield* Effect.flip(principals.authenticate(Redacted.value(issue("weir").key)))
      expect(queries.map((ids) => ids.length)).toEqual([1, 1])
    }).pipe(Effect.scoped))

  it.effect("a thousand keys that nobody has seen take a few queries, one at a time", () =>
    Effect.gen(function* () {
      const { keys, principals, queries } = yield* harness()
      const { key, stored } = yield* keys.create(grant)
      const texts = Array.from({ length: 1000 }, () => Redacted.value(issue("weir").key))
      const exits = yield* Effect.all(
        [...texts, Redacted.value(key)].map((text) => Effect.exit(principals.authenticate(text))),
        { concurrency: "unbounded" },
      )
      expect(exits.filter(Exit.isSuccess).length).toBe(1)
      expect(queries.map((ids) => ids.length)).toEqual([256, 256, 256, 233])
      expect(queries.flat()).toContain(stored.id)
      for (const text of texts.slice(0, 10)) {
        expect(yield* Effect.flip(principals.authenticate(text)))
          .toMatchObject({ _tag: "Unauthenticated", presented: true })
      }
    }).pipe(Effect.scoped))

  it.effect("more requests than may wait are refused, and one that leaves makes room", () =>
    Effect.gen(function* () {
      const { control, principals, registry } = yield* harness({ maxWaiting: 2 })
      control.hold = yield* Deferred.make<void>()
      const wait = () =>
        Effect.forkChild(Effect.exit(principals.authenticate(Redacted.value(issue("weir").key))), {
          startImmediately: true,
        })
      const [first, second, third] = [yield* wait(), yield* wait(), yield* wait()]
      expect(Exit.isFailure(yield* Fiber.join(third))).toBe(true)
      const stats = () => registry.get("principals lookups")!.stats(0)
      expect(stats()).toMatchObject({ inUse: 2, capacity: 2 })
      expect(stats().refused.QueueFull).toBe(1)
      yield* Fiber.interrupt(first)
      expect(stats().inUse).toBe(1)
      const fourth = yield* wait()
      yield* Deferred.succeed(control.hold, undefined)
      for (const fiber of [second, fourth]) {
        const exit = yield* Fiber.join(fiber)
        expect(Exit.isFailure(exit) && Cause.squash(exit.cause))
          .toMatchObject({ _tag: "Unauthenticated" })
      }
      expect(stats().inUse).toBe(0)
    }).pipe(Effect.scoped))

  it.effect("what this process revokes is refused at once, also while it is being looked up", () =>
    Effect.gen(function* () {
      const { control, keys, principals, queries } = yield* harness()
      const { key, stored } = yield* keys.create(grant)
      const text = Redacted.value(key)
      control.hold = yield* Deferred.make<void>()
      const asked = yield* Effect.forkChild(Effect.exit(principals.authenticate(text)), {
        startImmediately: true,
      })
      yield* until(() => queries.length === 1).pipe(TestClock.withLive)
      yield* keys.revoke(stored.id)
      const { hold } = control
      control.hold = undefined
      yield* Deferred.succeed(hold, undefined)
      const exit = yield* Fiber.join(asked)
      expect(Exit.isFailure(exit) && Cause.squash(exit.cause))
        .toMatchObject({ _tag: "Unauthenticated" })
      expect(queries.length).toBe(2)

      const other = yield* keys.create(grant)
      yield* principals.authenticate(Redacted.value(other.key))
      yield* keys.revoke(other.stored.id)
      expect(principals.recognize(Redacted.value(other.key), 0)).toBeUndefined()
      expect(yield* Effect.flip(principals.authenticate(Redacted.value(other.key))))
        .toMatchObject({ _tag: "Unauthenticated" })
    }).pipe(Effect.scoped))

  it.effect("what another process revokes is refused within the ttl, without a wait before", () =>
    Effect.gen(function* () {
      const { db, keys, principals, queries } = yield* harness()
      const { key, stored } = yield* keys.create(grant)
      const text = Redacted.value(key)
      yield* principals.authenticate(text)
      yield* db.execute`update weir_api_keys set revoked_at = now() where id = ${stored.id}`
      yield* TestClock.adjust("19999 millis")
      expect(principals.recognize(text, 19_999)).toMatchObject({ id: stored.id })
      yield* TestClock.adjust("1 millis")
      expect(principals.recognize(text, 20_000)).toMatchObject({ id: stored.id })
      yield* until(() => principals.recognize(text, 20_000) === "wrong").pipe(TestClock.withLive)
      expect(queries.length).toBe(2)
    }).pipe(Effect.scoped))

  it.effect("a key in use is asked for again behind its back, one query for all that are due", () =>
    Effect.gen(function* () {
      const { db, keys, principals, queries } = yield* harness()
      const texts: Array<string> = []
      for (let n = 0; n < 20; n++) {
        const { key } = yield* keys.create(grant)
        texts.push(Redacted.value(key))
        yield* principals.authenticate(texts[n]!)
      }
      queries.length = 0
      yield* TestClock.adjust("25 seconds")
      for (let again = 0; again < 3; again++) {
        for (const text of texts) expect(principals.recognize(text, 25_000)).toBeTypeOf("object")
      }
      yield* until(() => queries.length > 0).pipe(TestClock.withLive)
      expect(queries.map((ids) => ids.length)).toEqual([20])
      // Known until 55 s, though nobody has waited for it.
      yield* until(() => principals.recognize(texts[0]!, 45_000) !== undefined)
        .pipe(TestClock.withLive)
      expect(principals.recognize(texts[0]!, 54_999)).toBeTypeOf("object")
      yield* TestClock.adjust("60 seconds")
      yield* principals.authenticate(texts[0]!)
      const used = db.many(Count)`
        select count(*)::int as n from weir_api_keys where last_used_at is not null`
      yield* TestDatabase.eventually(used, ([row]) => row!.n === 20).pipe(TestClock.withLive)
    }).pipe(Effect.scoped))

  it.effect("made-up keys without end do not keep a key in use from being confirmed", () =>
    Effect.gen(function* () {
      const { control, keys, principals, queries } = yield* harness()
      const { key, stored } = yield* keys.create(grant)
      const text = Redacted.value(key)
      yield* principals.authenticate(text)
      yield* TestClock.adjust("25 seconds")
      queries.length = 0
      control.hold = yield* Deferred.make<void>()
      const guess = () =>
        Effect.forkChild(Effect.exit(principals.authenticate(Redacted.value(issue("weir").key))), {
          startImmediately: true,
        })
      const guesses = [yield* guess()]
      yield* until(() => queries.length === 1).pipe(TestClock.withLive)
      for (let n = 0; n < 600; n++) guesses.push(yield* guess())
      expect(principals.recognize(text, 25_000)).toMatchObject({ id: stored.id })
      yield* Deferred.succeed(control.hold, undefined)
      for (const fiber of guesses) yield* Fiber.join(fiber)
      expect(queries.map((ids) => ids.length)).toEqual([1, 256, 256, 89])
      expect(queries[1]).toContain(stored.id)
    }).pipe(Effect.scoped))

  it.effect("made-up keys of one network do not keep a key of another from being looked up", () =>
    Effect.gen(function* () {
      const { control, keys, principals, queries, registry } = yield* harness()
      const known = yield* Effect.forEach([0, 1, 2], () => keys.create(grant))
      const guesses: Array<Fiber.Fiber<Exit.Exit<Principal.Principal, unknown>>> = []
      const ask = (text: string, peer: string) =>
        Effect.forkChild(Effect.exit(principals.authenticate(text, peer)), {
          startImmediately: true,
        })
      control.hold = yield* Deferred.make<void>()
      const guess = Effect.gen(function* () {
        guesses.push(yield* ask(Redacted.value(issue("weir").key), "192.0.2.1"))
      })
      yield* guess
      yield* until(() => queries.length === 1).pipe(TestClock.withLive)
      for (let n = 0; n < 1100; n++) yield* guess
      const stats = () => registry.get("principals lookups")!.stats(0)
      expect(stats()).toMatchObject({ inUse: 1024, refused: { QueueFull: 77, Displaced: 0 } })
      const fibers = yield* Effect.forEach(
        known,
        ({ key }, n) => ask(Redacted.value(key), `192.0.2.${2 + n % 2}`),
      )
      expect(stats()).toMatchObject({ inUse: 1024, refused: { QueueFull: 77, Displaced: 3 } })
      yield* Deferred.succeed(control.hold, undefined)
      for (const [n, fiber] of fibers.entries()) {
        expect(yield* Fiber.join(fiber)).toMatchObject({ value: { id: known[n]!.stored.id } })
      }
      // The next query had all of them.
      expect(queries[1]).toEqual(expect.arrayContaining(known.map(({ stored }) => stored.id)))
      const ends = yield* Effect.forEach(guesses, (fiber) => Fiber.join(fiber))
      expect(ends.filter(Exit.isSuccess)).toEqual([])
      expect(stats().inUse).toBe(0)
    }).pipe(Effect.scoped))

  it.effect("the use of a key is noted once a minute, and when the layer closes", () =>
    Effect.gen(function* () {
      const url = yield* TestDatabase.url
      const { keys } = yield* harness({}, url)
      const used = (id: string) => Effect.map(keys.find([id]), ([it]) => it!.key.lastUsedAt)
      const first = yield* keys.create(grant)
      const second = yield* keys.create(grant)
      yield* Effect.scoped(Effect.gen(function* () {
        const { principals } = yield* harness({}, url)
        yield* principals.authenticate(Redacted.value(first.key))
        yield* TestDatabase.eventually(used(first.stored.id), (at) => at !== undefined)
          .pipe(TestClock.withLive)
        yield* principals.authenticate(Redacted.value(second.key))
        expect(yield* used(second.stored.id)).toBeUndefined()
      }))
      expect(yield* used(second.stored.id)).toBeInstanceOf(Date)
    }).pipe(Effect.scoped))

  it.effect("while the database is away known keys work until the stale limit, others are 503", () =>
    Effect.gen(function* () {
      const cable = yield* Cable.make(yield* TestDatabase.url)
      const { keys, principals, queries } = yield* harness({ stale: "5 minutes" }, cable.url)
      const { key, stored } = yield* keys.create(grant)
      const other = yield* keys.create(grant)
      const text = Redacted.value(key)
      yield* principals.authenticate(text)
      cable.pull()
      const unknown = yield* Effect.flip(principals.authenticate(Redacted.value(other.key)))
      expect(unknown._tag).toBe("DatabaseUnavailable")
      queries.length = 0
      // It is left alone for a second, however many ask.
      for (let n = 0; n < 50; n++) {
        const error = yield* Effect.flip(principals.authenticate(Redacted.value(issue("weir").key)))
        expect(error._tag).toBe("DatabaseUnavailable")
      }
      expect(queries).toEqual([])
      let now = 0
      for (const seconds of [29, 31, 120, 119]) {
        yield* TestClock.adjust(`${seconds} seconds`)
        now += seconds * 1000
        expect(principals.recognize(text, now)).toMatchObject({ id: stored.id })
        expect(yield* principals.authenticate(text)).toMatchObject({ id: stored.id })
      }
      yield* TestClock.adjust("1 seconds")
      expect(principals.recognize(text, 300_000)).toBeUndefined()
      expect((yield* Effect.flip(principals.authenticate(text)))._tag).toBe("DatabaseUnavailable")
      cable.plug()
      const works = Effect.gen(function* () {
        yield* TestClock.adjust("1 seconds")
        return yield* Effect.exit(principals.authenticate(text))
      })
      yield* Effect.repeat(works, { until: Exit.isSuccess, times: 50 })
      expect(yield* principals.authenticate(Redacted.value(other.key)))
        .toMatchObject({ id: other.stored.id })
    }).pipe(Effect.scoped))

  it.effect("who asked for a key when its turn to be stale came gets it after the failed look-up", () =>
    Effect.gen(function* () {
      const cable = yield* Cable.make(yield* TestDatabase.url)
      const { keys, principals } = yield* harness({}, cable.url)
      const { key, stored } = yield* keys.create(grant)
      yield* principals.authenticate(Redacted.value(key))
      yield* TestClock.adjust("1 minute")
      cable.pull()
      expect(principals.recognize(Redacted.value(key), 60_000)).toBeUndefined()
      expect(yield* principals.authenticate(Redacted.value(key))).toMatchObject({ id: stored.id })
    }).pipe(Effect.scoped))

  it.live("a look-up that gets no answer ends in its time", () =>
    Effect.gen(function* () {
      const { control, principals } = yield* harness({ timeout: "30 millis" })
      control.hold = yield* Deferred.make<void>()
      const error = yield* Effect.flip(principals.authenticate(Redacted.value(issue("weir").key)))
      expect(error).toMatchObject({ _tag: "DatabaseUnavailable", reason: "TimedOut" })
    }).pipe(Effect.scoped))

  it.effect("a bug in the look-up is said once, and fails those who wait", () =>
    Effect.gen(function* () {
      const { db, principals, queries } = yield* harness()
      yield* db.execute`alter table weir_api_keys rename column hash to other`
      const exits = yield* Effect.all(
        Array.from(
          { length: 5 },
          () => Effect.exit(principals.authenticate(Redacted.value(issue("weir").key))),
        ),
        { concurrency: "unbounded" },
      )
      for (const exit of exits) expect(Exit.isFailure(exit) && Cause.hasDies(exit.cause)).toBe(true)
      expect(queries.length).toBe(1)
      yield* db.execute`alter table weir_api_keys rename column other to hash`
      yield* TestClock.adjust("1 second")
      expect(yield* Effect.flip(principals.authenticate(Redacted.value(issue("weir").key))))
        .toMatchObject({ _tag: "Unauthenticated" })
    }).pipe(Effect.scoped))

  it.effect("a row that makes no sense fails its own key alone", () =>
    Effect.gen(function* () {
      const { db, keys, principals, queries } = yield* harness()
      const bad = yield* keys.create(grant)
      const good = yield* keys.create(grant)
      yield* db.execute`
        update weir_api_keys set limit_requests = 5 where id = ${bad.stored.id}`
      const exits = yield* Effect.all(
        [bad, good].map(({ key }) => Effect.exit(principals.authenticate(Redacted.value(key)))),
        { concurrency: "unbounded" },
      )
      expect(queries.length).toBe(1)
      expect(exits.map((exit) => Exit.isSuccess(exit) || Cause.hasDies(exit.cause)))
        .toEqual([true, true])
      expect(exits.map(Exit.isSuccess)).toEqual([false, true])
    }).pipe(Effect.scoped))

  it.live("closing the layer does not wait for a database that does not answer", () =>
    Effect.gen(function* () {
      let held = 0
      yield* Effect.scoped(Effect.gen(function* () {
        const { control, keys, principals } = yield* harness()
        const { key } = yield* keys.create(grant)
        control.holdUsed = Effect.andThen(
          Effect.sync(() => {
            held++
          }),
          Effect.never,
        )
        yield* principals.authenticate(Redacted.value(key))
      }))
      expect(held).toBeGreaterThan(0)
    }))

  it.effect("closing the layer answers those who wait", () =>
    Effect.gen(function* () {
      const hold = yield* Deferred.make<void>()
      const waiting = yield* Effect.scoped(Effect.gen(function* () {
        const { control, principals, queries } = yield* harness()
        control.hold = hold
        const fiber = yield* Effect.forkDetach(
          Effect.exit(principals.authenticate(Redacted.value(issue("weir").key))),
          { startImmediately: true },
        )
        yield* until(() => queries.length === 1).pipe(TestClock.withLive)
        return fiber
      }))
      const exit = yield* Fiber.join(waiting)
      expect(Exit.isFailure(exit) && Cause.squash(exit.cause))
        .toMatchObject({ _tag: "Refused", reason: "Closed" })
    }))
})

describe("Principal", () => {
  it.effect("current and required tell who is calling", () =>
    Effect.gen(function* () {
      expect(Option.isNone(yield* Principal.current)).toBe(true)
      expect(yield* Effect.flip(Principal.required)).toMatchObject({ presented: false })
      const ada = { id: "1", name: "ada", tenant: "t", criticality: undefined, scopes: [] }
      const both = yield* Effect.all([Principal.current, Principal.required]).pipe(
        Effect.provideService(Principal.Current, ada),
      )
      expect(both).toEqual([Option.some(ada), ada])
    }))
})
