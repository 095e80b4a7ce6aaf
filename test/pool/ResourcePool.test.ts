import { describe, expect, it } from "@effect/vitest"
import { Refused, ResourcePool, Saturation } from "@weir/runtime"
import { Cause, Deferred, Effect, Exit, Fiber, Schema, Scope } from "effect"
import { TestClock } from "effect/testing"
import { CancelScope, CurrentScope, root } from "../../src/task/scope.ts"
import { random } from "../support/random.ts"

const fresh = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.suspend(() =>
    Effect.provideService(effect, Saturation.Saturation, Saturation.makeUnsafe())
  )

const fork = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.forkChild(effect, { startImmediately: true })

/** Connections that say when they are opened and closed. */
const connections = (close: Effect.Effect<void> = Effect.void) => {
  const log = { opened: 0, closed: 0, open: 0, most: 0 }
  const acquire = Effect.acquireRelease(
    Effect.sync(() => {
      log.most = Math.max(log.most, ++log.open)
      return { id: ++log.opened, broken: false }
    }),
    () =>
      Effect.andThen(
        close,
        Effect.sync(() => {
          log.open--
          log.closed++
        }),
      ),
  )
  return { log, acquire }
}

describe("ResourcePool", () => {
  it.effect("makes resources when they are needed, and no more than capacity", () =>
    fresh(Effect.gen(function* () {
      const { acquire, log } = connections()
      const pool = yield* ResourcePool.make({ name: "db", capacity: 3, acquire })
      expect(log.opened).toBe(0)
      yield* pool.use(() => Effect.void)
      yield* pool.use(() => Effect.void)
      expect(log.opened).toBe(1)
      const users = yield* Effect.forEach(
        Array.from({ length: 9 }),
        () => fork(pool.use((resource) => Effect.as(Effect.sleep(10), resource.id))),
      )
      yield* TestClock.adjust(30)
      const ids = yield* Effect.forEach(users, (user) => Fiber.join(user))
      expect(new Set(ids).size).toBe(3)
      expect(yield* pool.stats).toMatchObject({
        kind: "pool",
        inUse: 0,
        waiting: 0,
        created: 3,
        idle: 3,
        started: 11,
      })
    })))

  it.effect("never lends one resource to two users at once", () =>
    fresh(Effect.gen(function* () {
      const { acquire } = connections()
      const pool = yield* ResourcePool.make({ name: "db", capacity: 2, acquire })
      const inUse = new Set<number>()
      const use = pool.use(({ id }) =>
        Effect.gen(function* () {
          expect(inUse.has(id)).toBe(false)
          inUse.add(id)
          yield* Effect.sleep(id * 3)
          inUse.delete(id)
        })
      )
      const users = yield* Effect.forEach(Array.from({ length: 20 }), () => fork(use))
      yield* TestClock.adjust("1 second")
      for (const user of users) yield* Fiber.join(user)
    })))

  it.effect("tells a failure to make one to its caller only, and gives the slot back", () =>
    fresh(Effect.gen(function* () {
      let attempts = 0
      const pool = yield* ResourcePool.make({
        name: "db",
        capacity: 1,
        acquire: Effect.suspend(() =>
          ++attempts === 1
            ? Effect.andThen(Effect.sleep(10), Effect.fail("no route"))
            : Effect.succeed("connection")
        ),
      })
      const first = yield* fork(Effect.exit(pool.use((resource) => Effect.succeed(resource))))
      const second = yield* fork(pool.use((resource) => Effect.succeed(resource)))
      yield* TestClock.adjust(10)
      expect(yield* Fiber.join(first)).toEqual(Exit.fail("no route"))
      expect(yield* Fiber.join(second)).toBe("connection")
      expect(yield* pool.stats).toMatchObject({ inUse: 0, created: 1, idle: 1 })
    })))

  it.effect("gives up making one after acquireTimeout", () =>
    fresh(Effect.gen(function* () {
      const pool = yield* ResourcePool.make({
        name: "db",
        capacity: 1,
        acquire: Effect.never,
        acquireTimeout: "2 seconds",
      })
      const user = yield* fork(Effect.flip(pool.use(() => Effect.void)))
      yield* TestClock.adjust("2 seconds")
      const error = yield* Fiber.join(user)
      expect(error).toBeInstanceOf(ResourcePool.AcquireTimeout)
      expect(error.message).toContain('the pool "db": it took longer than 2000 ms')
      expect(yield* pool.stats).toMatchObject({ inUse: 0, created: 0 })
    })))

  it.effect("gives up making one that cannot be interrupted, and closes it when it comes late", () =>
    fresh(Effect.gen(function* () {
      const { acquire, log } = connections()
      const network = yield* Deferred.make<void>()
      const pool = yield* ResourcePool.make({
        name: "db",
        capacity: 1,
        acquire: Effect.uninterruptible(Effect.andThen(Deferred.await(network), acquire)),
        acquireTimeout: "2 seconds",
        closeTimeout: "3 seconds",
      })
      const late = yield* fork(Effect.flip(pool.use(() => Effect.void)))
      const left = yield* fork(pool.use(() => Effect.void))
      yield* TestClock.adjust("5 seconds")
      expect(yield* Fiber.join(late)).toBeInstanceOf(ResourcePool.AcquireTimeout)
      // The second one has the slot now, and its caller leaves.
      const leaving = yield* fork(Fiber.interrupt(left))
      yield* TestClock.adjust("2999 millis")
      expect(leaving.pollUnsafe()).toBeUndefined()
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(leaving)
      expect(yield* pool.stats).toMatchObject({ inUse: 0, created: 0 })
      yield* Deferred.succeed(network, undefined)
      yield* TestClock.adjust(0)
      expect(log).toMatchObject({ opened: 2, closed: 2, open: 0 })
      expect(yield* pool.use(({ id }) => Effect.succeed(id))).toBe(3)
    })))

  it.effect("closes what was being made when its caller is interrupted", () =>
    fresh(Effect.gen(function* () {
      let closed = 0
      const pool = yield* ResourcePool.make({
        name: "db",
        capacity: 1,
        acquire: Effect.andThen(
          Effect.addFinalizer(() => Effect.sync(() => closed++)),
          Effect.never,
        ),
      })
      const user = yield* fork(pool.use(() => Effect.void))
      yield* Fiber.interrupt(user)
      expect(closed).toBe(1)
      expect(yield* pool.stats).toMatchObject({ inUse: 0, created: 0, idle: 0 })
    })))

  it.effect("validates what was idle for a while, and replaces what fails", () =>
    fresh(Effect.gen(function* () {
      const { acquire, log } = connections()
      const asked: Array<number> = []
      const pool = yield* ResourcePool.make({
        name: "db",
        capacity: 2,
        acquire,
        validate: (resource) =>
          Effect.sync(() => {
            asked.push(resource.id)
            if (resource.id === 2) throw new Error("validation crashed")
            return !resource.broken
          }),
        validateAfter: "5 seconds",
      })
      const id = pool.use((resource) => Effect.succeed(resource.id))
      expect(yield* id).toBe(1)
      yield* TestClock.adjust("5 seconds")
      expect([yield* id, asked]).toEqual([1, []])
      yield* TestClock.adjust("6 seconds")
      expect([yield* id, asked]).toEqual([1, [1]])
      yield* pool.use((resource) => Effect.sync(() => resource.broken = true))
      yield* TestClock.adjust("6 seconds")
      expect([yield* id, asked, log.closed]).toEqual([2, [1, 1], 1])
      // A crash of the validation means "invalid".
      yield* TestClock.adjust("6 seconds")
      expect([yield* id, asked, log.closed]).toEqual([3, [1, 1, 2], 2])
      expect(log.most).toBe(1)
    })))

  it.effect("closes an invalidated resource: idle at once, borrowed when it comes back", () =>
    fresh(Effect.gen(function* () {
      const { acquire, log } = connections()
      const pool = yield* ResourcePool.make({ name: "db", capacity: 2, acquire })
      const first = yield* pool.use((resource) => Effect.succeed(resource))
      yield* pool.invalidate(first)
      expect([log.closed, (yield* pool.stats).created]).toEqual([1, 0])
      yield* pool.use((resource) =>
        Effect.gen(function* () {
          expect(resource.id).toBe(2)
          yield* pool.invalidate(resource)
          expect(log.closed).toBe(1)
        })
      )
      expect([log.closed, (yield* pool.stats).created]).toEqual([2, 0])
      yield* pool.invalidate(first)
      expect((yield* pool.stats).created).toBe(0)
    })))

  it.effect("closes what was idle for too long, and what is too old", () =>
    fresh(Effect.gen(function* () {
      const { acquire, log } = connections()
      const pool = yield* ResourcePool.make({
        name: "db",
        capacity: 2,
        acquire,
        idleTimeToLive: "10 seconds",
        maxLifetime: "1 minute",
      })
      yield* Effect.all([
        pool.use(() => Effect.yieldNow),
        pool.use(() => Effect.yieldNow),
      ], { concurrency: 2 })
      expect(yield* pool.stats).toMatchObject({ created: 2, idle: 2 })
      // One of the two stays in use, the other one goes.
      for (let i = 0; i < 4; i++) {
        yield* TestClock.adjust("5 seconds")
        yield* pool.use(() => Effect.void)
      }
      expect(yield* pool.stats).toMatchObject({ created: 1, idle: 1 })
      for (let i = 0; i < 8; i++) {
        yield* TestClock.adjust("5 seconds")
        yield* pool.use(() => Effect.void)
      }
      expect(log).toEqual({ opened: 3, closed: 2, open: 1, most: 2 })
      yield* TestClock.adjust("10 seconds")
      expect(yield* pool.stats).toMatchObject({ created: 0, idle: 0 })
    })))

  it.effect("waits for a resource to close no longer than closeTimeout", () =>
    fresh(Effect.gen(function* () {
      const { acquire } = connections(Effect.never)
      const scope = yield* Scope.make()
      const pool = yield* Scope.provide(
        ResourcePool.make({ name: "db", capacity: 1, acquire, closeTimeout: "3 seconds" }),
        scope,
      )
      const user = yield* fork(pool.use((resource) => pool.invalidate(resource)))
      const next = yield* fork(pool.use((resource) => Effect.succeed(resource.id)))
      yield* TestClock.adjust("2 seconds")
      expect(yield* pool.stats).toMatchObject({ inUse: 1, waiting: 1, created: 1 })
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(user)
      expect(yield* Fiber.join(next)).toBe(2)
      const closing = yield* fork(Scope.close(scope, Exit.void))
      yield* TestClock.adjust("2 seconds")
      expect(closing.pollUnsafe()).toBe(undefined)
      yield* TestClock.adjust("1 second")
      expect(closing.pollUnsafe()).toEqual(Exit.void)
    })))

  it.effect("refuses waiters and waits for borrowed resources when its scope closes", () =>
    fresh(Effect.gen(function* () {
      const { acquire, log } = connections()
      const scope = yield* Scope.make()
      const pool = yield* Scope.provide(
        ResourcePool.make({ name: "db", capacity: 1, acquire }),
        scope,
      )
      const user = yield* fork(pool.use(() => Effect.as(Effect.sleep(50), "done")))
      const waiter = yield* fork(Effect.exit(pool.use(() => Effect.void)))
      const closing = yield* fork(Scope.close(scope, Exit.void))
      const refused = yield* Fiber.join(waiter)
      expect(
        Exit.isFailure(refused) &&
          refused.cause.reasons.map((reason) =>
            Cause.isFailReason(reason) && reason.error instanceof Refused.Refused &&
            reason.error.reason
          ),
      ).toEqual(["Closed"])
      yield* TestClock.adjust(49)
      expect([closing.pollUnsafe(), log.closed]).toEqual([undefined, 0])
      yield* TestClock.adjust(1)
      yield* Fiber.join(closing)
      expect([yield* Fiber.join(user), log.closed]).toEqual(["done", 1])
    })))

  it.effect("makes resources outside the deadline and cancel scope of the caller", () =>
    fresh(Effect.gen(function* () {
      const seen = yield* Deferred.make<CancelScope>()
      const pool = yield* ResourcePool.make({
        name: "db",
        capacity: 1,
        acquire: Effect.flatMap(CurrentScope, (scope) => Deferred.succeed(seen, scope)),
      })
      const own = new CancelScope(root, 1000, undefined, undefined, undefined)
      yield* Effect.provideService(pool.use(() => Effect.void), CurrentScope, own)
      expect(yield* Deferred.await(seen)).toBe(yield* CurrentScope)
    })))

  it.effect.prop(
    "leaks nothing under random use, failure, invalidation and interruption",
    { seed: Schema.Int },
    ({ seed }) =>
      fresh(Effect.gen(function* () {
        const next = random(seed)
        const pick = (n: number) => Math.floor(next() * n)
        const { acquire, log } = connections(Effect.suspend(() => Effect.sleep(pick(5))))
        const capacity = 1 + pick(4)
        const scope = yield* Scope.make()
        const pool = yield* Scope.provide(
          ResourcePool.make({
            name: "db",
            capacity,
            acquire: Effect.gen(function* () {
              yield* Effect.sleep(pick(5))
              const resource = yield* acquire
              if (next() < 0.2) return yield* Effect.fail("cannot connect")
              return resource
            }),
            validate: () => Effect.delay(Effect.sync(() => next() < 0.7), pick(5)),
            validateAfter: "3 millis",
            idleTimeToLive: "20 millis",
            maxLifetime: "60 millis",
            acquireTimeout: "1 second",
          }),
          scope,
        )
        const fibers: Array<Fiber.Fiber<unknown, unknown>> = []
        const lent = new Set<number>()
        let lentTwice = 0
        for (let i = 0; i < 60; i++) {
          const use = pool.use((resource) =>
            Effect.gen(function* () {
              if (lent.has(resource.id)) lentTwice++
              lent.add(resource.id)
              yield* Effect.ensuring(
                Effect.sleep(pick(10)),
                Effect.sync(() => lent.delete(resource.id)),
              )
              if (next() < 0.3) yield* pool.invalidate(resource)
              if (next() < 0.2) yield* Effect.fail("failed")
            })
          )
          fibers.push(yield* fork(use))
          if (next() < 0.3) fibers[pick(fibers.length)]!.interruptUnsafe()
          if (next() < 0.4) yield* TestClock.adjust(pick(12))
          expect(log.open).toBeLessThanOrEqual(capacity)
          expect((yield* pool.stats).created).toBeLessThanOrEqual(capacity)
        }
        yield* TestClock.adjust("1 second")
        for (const fiber of fibers) expect(fiber.pollUnsafe()).toBeDefined()
        expect(yield* pool.stats).toMatchObject({ inUse: 0, waiting: 0, created: 0, idle: 0 })
        yield* Scope.close(scope, Exit.void)
        expect([log.open, log.most <= capacity, log.opened]).toEqual([0, true, log.closed])
        expect(lentTwice).toBe(0)
      })),
    { arbitrary: { runs: 50 } },
  )
})
