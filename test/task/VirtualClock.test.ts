import { describe, expect, it } from "@effect/vitest"
import { Bulkhead, Deadline, Task, TaskTree, VirtualClock } from "@weir/runtime"
import { Clock, Deferred, Duration, Effect, Fiber, Schedule } from "effect"
import { random } from "./support.ts"

const virtually = <A, E>(effect: Effect.Effect<A, E>): Promise<A> =>
  Effect.runPromise(
    effect.pipe(
      Effect.provideService(TaskTree.TaskTree, TaskTree.makeUnsafe()),
      Effect.provide(VirtualClock.layer),
    ),
  )

const now = Clock.currentTimeMillis

describe("a virtual clock", () => {
  it("begins at 0 and jumps to the end of a sleep", async () => {
    const program = Effect.gen(function* () {
      const begin = yield* now
      yield* Effect.sleep("3 hours")
      return [begin, yield* now, yield* Clock.currentTimeNanos, yield* Clock.monotonicTimeNanos]
    })
    expect(await virtually(program))
      .toEqual([0, 10_800_000, BigInt("10800000000000"), BigInt("10800000000000")])
  })

  it("wakes sleepers by their instant, and those of one instant in the order of their sleep", async () => {
    const woken: Array<string> = []
    const sleeper = (name: string, millis: number) =>
      Effect.andThen(Effect.sleep(millis), Effect.sync(() => woken.push(name)))
    await virtually(Effect.all(
      [sleeper("c", 20), sleeper("a", 10), sleeper("d", 20), sleeper("b", 10)],
      { concurrency: "unbounded" },
    ))
    expect(woken).toEqual(["a", "b", "c", "d"])
  })

  it("reaches deadlines and longest waits that begin at a fraction of a millisecond", async () => {
    const begins = Array.from({ length: 200 }, (_, n) => n / 7)
    const late = Effect.flip(Deadline.within("10 millis")(Effect.never))
    const program = Effect.gen(function* () {
      const held = yield* Bulkhead.make({
        name: "held",
        capacity: 1,
        queueCapacity: 200,
        maxWait: "10 millis",
      })
      yield* Effect.forkScoped(held.use(Effect.never), { startImmediately: true })
      const tags = yield* Effect.forEach(begins, (begin) =>
        Effect.gen(function* () {
          yield* Effect.sleep(begin)
          const { _tag } = yield* late
          const { reason } = yield* Effect.flip(held.use(Effect.void))
          return `${_tag} ${reason}`
        }), { concurrency: "unbounded" })
      return new Set(tags)
    }).pipe(Effect.scoped)
    expect([...(await virtually(program))]).toEqual(["DeadlineExceeded Late"])
  })

  it("does not go on while a fiber yields, or a promise is about to settle", async () => {
    const program = Effect.gen(function* () {
      const busy = Effect.gen(function* () {
        for (let i = 0; i < 50; i++) {
          yield* Effect.yieldNow
          yield* Effect.promise(() => Promise.resolve().then(() => Promise.resolve()))
        }
        return yield* now
      })
      return yield* Effect.all([busy, Effect.sleep("1 milli")], { concurrency: "unbounded" })
    })
    expect((await virtually(program))[0]).toBe(0)
  })

  it("forgets a sleeper that is interrupted", async () => {
    const program = Effect.gen(function* () {
      const long = yield* Effect.forkChild(Effect.sleep("1 hour"), { startImmediately: true })
      yield* Effect.sleep("10 millis")
      yield* Fiber.interrupt(long)
      yield* Effect.sleep("10 millis")
      return yield* now
    })
    expect(await virtually(program)).toBe(20)
  })

  it("does not wait for a sleep without end", async () => {
    const program = Effect.gen(function* () {
      yield* Effect.forkChild(Effect.sleep(Duration.infinity), { startImmediately: true })
      yield* Effect.sleep("1 milli")
      return yield* now
    })
    expect(await virtually(program)).toBe(1)
  })

  it("moves deadlines, schedules and timeouts", async () => {
    const program = Effect.gen(function* () {
      const late = yield* Effect.flip(Effect.never.pipe(Deadline.within("30 millis")))
      const times: Array<number> = []
      const note = Effect.map(now, (at) => times.push(at))
      yield* Effect.repeat(note, { schedule: Schedule.spaced("10 millis"), times: 3 })
      yield* Effect.ignore(Effect.timeout(Effect.never, "5 millis"))
      return [late._tag, ...times, yield* now]
    })
    expect(await virtually(program)).toEqual(["DeadlineExceeded", 30, 40, 50, 60, 65])
  })

  it("holds for tasks and for what a finalizer waits for", async () => {
    const program = Effect.gen(function* () {
      const started = yield* Deferred.make<void>()
      const task = yield* Task.start(
        "work",
        Effect.gen(function* () {
          yield* Effect.addFinalizer(() => Effect.sleep("1 second"))
          yield* Deferred.succeed(started, undefined)
          yield* Effect.sleep("1 hour")
        }),
      )
      yield* Deferred.await(started)
      yield* task.cancel()
      return yield* now
    }).pipe(Effect.scoped)
    expect(await virtually(program)).toBe(1000)
  })

  it("gives the same times for every program of sleeps that a real clock would give", async () => {
    for (let seed = 1; seed <= 50; seed++) {
      const below = random(seed)
      // A tree of sleeps, in sequence or side by side, with the time that it takes.
      const tree = (depth: number): readonly [Effect.Effect<void>, number] => {
        if (depth === 0) {
          const millis = below(20)
          return [Effect.sleep(millis), millis]
        }
        const parts = Array.from({ length: 1 + below(3) }, () => tree(depth - 1))
        const effects = parts.map(([effect]) => effect)
        const times = parts.map(([, millis]) => millis)
        return below(2) === 0
          ? [Effect.all(effects, { discard: true }), times.reduce((a, b) => a + b, 0)]
          : [
            Effect.all(effects, { discard: true, concurrency: "unbounded" }),
            Math.max(...times),
          ]
      }
      const [effect, millis] = tree(3)
      expect(await virtually(Effect.andThen(effect, now)), `seed ${seed}`).toBe(millis)
    }
  })
})
