import { describe, expect, it } from "@effect/vitest"
import { Bulkhead, Refused, Saturation } from "@weir/runtime"
import { Cause, Effect, Exit, Fiber, Schema, Scope, Tracer } from "effect"
import { TestClock } from "effect/testing"
import type { Ticket } from "../../src/bounded/Bounded.ts"
import { CancelScope, CurrentScope, root } from "../../src/task/scope.ts"
import { random } from "../support/random.ts"

/** Work with an own registry, so that tests do not share names. */
const fresh = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.suspend(() =>
    Effect.provideService(effect, Saturation.Saturation, Saturation.makeUnsafe())
  )

const request = (deadline: number, tickets?: ReadonlyArray<Ticket>) =>
  new CancelScope(root, deadline, { waitedMs: 0, waitingOn: undefined }, tickets, undefined)

const by = (deadline: number, tickets?: ReadonlyArray<Ticket>) =>
  Effect.provideService(CurrentScope, request(deadline, tickets))

const fork = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.forkChild(effect, { startImmediately: true })

const detach = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.forkDetach(effect, { startImmediately: true })

const reasonOf = <A>(exit: Exit.Exit<A, Refused.Refused>): string => {
  if (Exit.isSuccess(exit)) return "ok"
  const failure = exit.cause.reasons.find(Cause.isFailReason)
  return failure === undefined ? "interrupted" : failure.error.reason
}

/** 100 requests at once, a pool of 10, 200 ms of work each, under one deadline. */
const burst = (options: {
  deadline: number
  expected?: number
  declared?: number
  tickets?: boolean
}) =>
  fresh(Effect.gen(function* () {
    let running = 0
    let most = 0
    let started = 0
    const bulkhead = yield* Bulkhead.make({
      name: "db",
      capacity: 10,
      expected: options.expected,
    })
    const work = Effect.gen(function* () {
      started++
      most = Math.max(most, ++running)
      yield* Effect.sleep(200)
    }).pipe(Effect.ensuring(Effect.sync(() => running--)))
    const answers: Array<{ at: number; reason: string }> = []
    const answer = (at: number, reason: string) => answers.push({ at, reason })
    for (let i = 0; i < 100; i++) {
      let tickets: ReadonlyArray<Ticket> | undefined
      if (options.tickets) {
        const ticket = bulkhead.bounded.reserve({
          now: 0,
          deadline: options.deadline,
          service: options.declared,
        })
        if (Refused.isRefusal(ticket)) {
          answer(0, ticket.reason)
          continue
        }
        tickets = [ticket]
      }
      const decode = options.tickets ? Effect.sleep(1 + i % 7) : Effect.void
      const once = Effect.andThen(decode, bulkhead.use(work)).pipe(
        by(options.deadline, tickets),
        Effect.timeoutOption(options.deadline),
        Effect.exit,
        Effect.tap((exit) =>
          Effect.clockWith((clock) =>
            Effect.sync(() =>
              answer(
                clock.currentTimeMillisUnsafe(),
                Exit.isSuccess(exit) && exit.value._tag === "None" ? "timeout" : reasonOf(exit),
              )
            )
          )
        ),
      )
      yield* fork(once)
    }
    yield* TestClock.adjust("10 seconds")
    const stats = yield* bulkhead.stats
    expect(stats).toMatchObject({ inUse: 0, waiting: 0, tickets: 0, started })
    expect(most).toBeLessThanOrEqual(10)
    const count = (reason: string) => answers.filter((_) => _.reason === reason).length
    return { answers, started, count, stats, most }
  }))

describe("Bulkhead", () => {
  describe("100 requests at once, 10 slots, 200 ms of work", () => {
    for (const tickets of [false, true]) {
      const door = tickets ? "with tickets at the door" : "acquired at once"
      it.effect(`${door}: a deadline of 1.1 s admits exactly 50 and refuses 50 at once`, () =>
        Effect.gen(function* () {
          const run = yield* burst({ deadline: 1100, expected: 200, tickets })
          expect([run.count("ok"), run.count("Infeasible"), run.started]).toEqual([50, 50, 50])
          for (const { at, reason } of run.answers) if (reason !== "ok") expect(at).toBe(0)
          expect(run.stats.highWater).toBe(tickets ? 50 : 40)
        }))

      it.effect(`${door}: a deadline of 0.5 s admits exactly 20`, () =>
        Effect.gen(function* () {
          const run = yield* burst({ deadline: 500, expected: 200, tickets })
          expect([run.count("ok"), run.count("Infeasible"), run.started]).toEqual([20, 80, 20])
        }))

      it.effect(`${door}: with nothing known the first sample refuses who cannot make it`, () =>
        Effect.gen(function* () {
          const run = yield* burst({ deadline: 1100, tickets })
          expect([run.count("ok"), run.count("Late"), run.started]).toEqual([50, 50, 50])
          for (const { at, reason } of run.answers) {
            if (reason === "Late") expect(at).toBeLessThanOrEqual(201)
          }
        }))
    }
  })

  it.effect("counts with what its callers declare while it knows nothing itself", () =>
    Effect.gen(function* () {
      const run = yield* burst({ deadline: 1100, declared: 200, tickets: true })
      expect([run.count("ok"), run.count("Infeasible"), run.started]).toEqual([50, 50, 50])
    }))

  describe("use", () => {
    it.effect("runs without suspending while a slot is free", () =>
      fresh(Effect.gen(function* () {
        const bulkhead = yield* Bulkhead.make({ name: "b", capacity: 1 })
        const fiber = yield* fork(bulkhead.use(Effect.succeed(1)))
        expect(fiber.pollUnsafe()).toEqual(Exit.succeed(1))
        expect(yield* bulkhead.stats).toMatchObject({ inUse: 0, started: 1 })
      })))

    it.effect("starts waiters in the order in which they came", () =>
      fresh(Effect.gen(function* () {
        const bulkhead = yield* Bulkhead.make({ name: "b", capacity: 2 })
        const order: Array<number> = []
        for (let i = 0; i < 20; i++) {
          const work = Effect.andThen(Effect.sync(() => order.push(i)), Effect.sleep(1 + i % 3))
          yield* fork(bulkhead.use(work))
        }
        yield* TestClock.adjust("1 second")
        expect(order).toEqual(Array.from({ length: 20 }, (_, i) => i))
      })))

    it.effect("keeps who was let in when newcomers come in the turn in which a slot frees", () =>
      fresh(Effect.gen(function* () {
        const bulkhead = yield* Bulkhead.make({ name: "b", capacity: 1, queueCapacity: 1 })
        const newcomers: Array<string> = []
        const newcomer = Effect.flatMap(
          Effect.exit(bulkhead.use(Effect.sleep(1))),
          (exit) => Effect.sync(() => newcomers.push(reasonOf(exit))),
        )
        yield* fork(Effect.andThen(
          bulkhead.use(Effect.sleep(10)),
          Effect.andThen(detach(newcomer), detach(newcomer)),
        ))
        const b = yield* fork(bulkhead.use(Effect.succeed("B")))
        yield* TestClock.adjust("1 second")
        expect(yield* Fiber.join(b)).toBe("B")
        expect(newcomers.toSorted()).toEqual(["QueueFull", "ok"])
      })))

    it.effect("frees the place of an interrupted waiter in the same turn", () =>
      fresh(Effect.gen(function* () {
        const bulkhead = yield* Bulkhead.make({ name: "b", capacity: 1, queueCapacity: 1 })
        yield* fork(bulkhead.use(Effect.never))
        const waiter = yield* fork(bulkhead.use(Effect.die("never runs")))
        yield* fork(Effect.yieldNow)
        waiter.interruptUnsafe()
        expect(bulkhead.bounded.stats(0).waiting).toBe(0)
        expect(reasonOf(yield* Fiber.await(waiter))).toBe("interrupted")
      })))

    it.effect("keeps the slot while uninterruptible work goes on after its caller timed out", () =>
      fresh(Effect.gen(function* () {
        const bulkhead = yield* Bulkhead.make({ name: "b", capacity: 5 })
        let running = 0
        let most = 0
        const work = Effect.uninterruptible(Effect.gen(function* () {
          most = Math.max(most, ++running)
          yield* Effect.sleep(100)
          running--
        }))
        for (let i = 0; i < 50; i++) {
          yield* fork(Effect.ignore(Effect.timeout(bulkhead.use(work), 10)))
        }
        yield* TestClock.adjust(20)
        expect([running, (yield* bulkhead.stats).inUse]).toEqual([5, 5])
        yield* TestClock.adjust("1 minute")
        expect(most).toBe(5)
        expect(yield* bulkhead.stats).toMatchObject({ inUse: 0, waiting: 0 })
      })))

    it.effect("gives the slot back only after the finalizers of its work", () =>
      fresh(Effect.gen(function* () {
        const bulkhead = yield* Bulkhead.make({ name: "b", capacity: 1 })
        const fiber = yield* fork(
          bulkhead.use(Effect.ensuring(Effect.never, Effect.sleep(100))),
        )
        // The first sleep of a TestClock cannot be one of an interrupted fiber.
        yield* TestClock.adjust(1)
        fiber.interruptUnsafe()
        yield* TestClock.adjust(99)
        expect((yield* bulkhead.stats).inUse).toBe(1)
        yield* TestClock.adjust(1)
        expect((yield* bulkhead.stats).inUse).toBe(0)
      })))

    it.effect("starts none of the waiters when all are interrupted in one turn", () =>
      fresh(Effect.gen(function* () {
        const bulkhead = yield* Bulkhead.make({ name: "b", capacity: 2 })
        let started = 0
        const work = Effect.andThen(Effect.sync(() => started++), Effect.never)
        const fibers: Array<Fiber.Fiber<unknown, unknown>> = []
        for (let i = 0; i < 20; i++) fibers.push(yield* fork(bulkhead.use(work)))
        for (const fiber of fibers) fiber.interruptUnsafe()
        expect(yield* bulkhead.stats).toMatchObject({ inUse: 0, waiting: 0 })
        yield* TestClock.adjust(1)
        expect(started).toBe(2)
      })))

    it.effect("passes failures and defects on and gives the slot back", () =>
      fresh(Effect.gen(function* () {
        const bulkhead = yield* Bulkhead.make({ name: "b", capacity: 1 })
        expect(yield* Effect.flip(bulkhead.use(Effect.fail("boom")))).toBe("boom")
        expect(Exit.isFailure(yield* Effect.exit(bulkhead.use(Effect.die("bug"))))).toBe(true)
        expect(Exit.isFailure(
          yield* Effect.exit(bulkhead.use(Effect.suspend((): Effect.Effect<void> => {
            throw new Error("bug")
          }))),
        )).toBe(true)
        expect((yield* bulkhead.stats).inUse).toBe(0)
      })))

    it.effect("learns the service time from what completed, and not from what failed", () =>
      fresh(Effect.gen(function* () {
        const bulkhead = yield* Bulkhead.make({ name: "b", capacity: 1, expected: "200 millis" })
        yield* Effect.ignore(bulkhead.use(Effect.fail("refused by the other side")))
        expect((yield* bulkhead.stats).serviceMs).toBe(200)
        const waits: Array<Fiber.Fiber<void, Refused.Refused>> = []
        for (let i = 0; i < 5; i++) waits.push(yield* fork(bulkhead.use(Effect.sleep(50))))
        yield* TestClock.adjust(250)
        // Time spent waiting is not service time.
        expect((yield* bulkhead.stats).serviceMs).toBe(50)
      })))

    it.effect("dies when work in a slot asks for another one, in children too", () =>
      fresh(Effect.gen(function* () {
        const bulkhead = yield* Bulkhead.make({ name: "b", capacity: 5 })
        const other = yield* Bulkhead.make({ name: "other", capacity: 5 })
        const nested = (inner: Effect.Effect<unknown, Refused.Refused, Scope.Scope>) =>
          bulkhead.use(Effect.all([Effect.scoped(inner)], { concurrency: "unbounded" }))
        for (const inner of [bulkhead.use(Effect.void), bulkhead.acquire]) {
          const exit = yield* Effect.exit(nested(inner))
          const defect = Exit.isFailure(exit) && exit.cause.reasons.find(Cause.isDieReason)?.defect
          expect(defect).toBeInstanceOf(Bulkhead.ReentrantAcquire)
          expect(String((defect as Error).message)).toContain('the bulkhead "b"')
        }
        expect(yield* nested(other.use(Effect.succeed(1)))).toEqual([1])
        // One after the other is fine.
        yield* bulkhead.use(Effect.void)
        yield* bulkhead.use(Effect.void)
        expect((yield* bulkhead.stats).inUse).toBe(0)
      })))

    it.effect("tells the task what it waits for, and for how long it waited", () =>
      fresh(Effect.gen(function* () {
        const waits: Array<number> = []
        const bulkhead = yield* Bulkhead.make({
          name: "b",
          capacity: 1,
          onWait: (ms) => waits.push(ms),
        })
        yield* fork(bulkhead.use(Effect.sleep(30)))
        const scope = request(Infinity)
        yield* fork(
          Effect.provideService(bulkhead.use(Effect.sleep(5)), CurrentScope, scope),
        )
        yield* TestClock.adjust(10)
        expect(scope.task).toEqual({ waitedMs: 0, waitingOn: "b" })
        yield* TestClock.adjust(20)
        expect(scope.task).toEqual({ waitedMs: 30, waitingOn: undefined })
        expect(waits).toEqual([0, 30])
      })))

    it.effect("redeems the ticket of its request once", () =>
      fresh(Effect.gen(function* () {
        const bulkhead = yield* Bulkhead.make({ name: "b", capacity: 1 })
        const ticket = bulkhead.bounded.reserve({ now: 0, deadline: 1000, service: undefined })
        if (Refused.isRefusal(ticket)) throw new Error("refused")
        const tickets = () => Effect.map(bulkhead.stats, (_) => _.tickets)
        expect(yield* tickets()).toBe(1)
        yield* bulkhead.use(tickets()).pipe(
          Effect.tap((open) => Effect.sync(() => expect(open).toBe(0))),
          Effect.andThen(bulkhead.use(Effect.void)),
          by(1000, [ticket]),
        )
        expect(ticket.open).toBe(false)
      })))

    it.effect("lets a fiber that was detached inside acquire once the slot is back", () =>
      fresh(Effect.gen(function* () {
        const bulkhead = yield* Bulkhead.make({ name: "b", capacity: 1 })
        const later = yield* bulkhead.use(
          detach(Effect.andThen(Effect.sleep(10), bulkhead.use(Effect.succeed("later")))),
        )
        yield* TestClock.adjust(10)
        expect(yield* Fiber.join(later)).toBe("later")
      })))

    it.effect("waits in a finalizer no longer than the deadline", () =>
      fresh(Effect.gen(function* () {
        const bulkhead = yield* Bulkhead.make({ name: "b", capacity: 1 })
        yield* fork(bulkhead.use(Effect.never))
        const waiter = yield* fork(Effect.uninterruptible(by(500)(bulkhead.use(Effect.void))))
        yield* TestClock.adjust(499)
        expect(waiter.pollUnsafe()).toBe(undefined)
        yield* TestClock.adjust(1)
        expect(reasonOf(yield* Fiber.await(waiter))).toBe("Late")
        expect((yield* bulkhead.stats).waiting).toBe(0)
      })))

    it.effect("a wait is a span, which says why it was refused", () =>
      fresh(Effect.gen(function* () {
        const spans: Array<Tracer.NativeSpan> = []
        const tracer = Tracer.make({
          span: (options) => {
            const span = new Tracer.NativeSpan(options)
            spans.push(span)
            return span
          },
        })
        const bulkhead = yield* Bulkhead.make({ name: "b", capacity: 1, maxWait: "1 second" })
        const traced = Effect.provideService(bulkhead.use(Effect.never), Tracer.Tracer, tracer)
        const first = yield* fork(traced)
        const second = yield* fork(Effect.exit(traced))
        yield* TestClock.adjust("1 second")
        expect(reasonOf(yield* Fiber.join(second))).toBe("Late")
        expect(spans.map((span) => [span.name, Object.fromEntries(span.attributes)])).toEqual([
          ["ResourcePool.wait", { "weir.pool.name": "b" }],
          ["ResourcePool.wait", { "weir.pool.name": "b", "weir.refused.reason": "Late" }],
        ])
        yield* Fiber.interrupt(first)
      })))

    it.effect("refuses a waiter after maxWait when it has no deadline", () =>
      fresh(Effect.gen(function* () {
        const bulkhead = yield* Bulkhead.make({ name: "b", capacity: 1, maxWait: "1 second" })
        yield* fork(bulkhead.use(Effect.never))
        const waiter = yield* fork(bulkhead.use(Effect.void))
        yield* TestClock.adjust(999)
        expect(waiter.pollUnsafe()).toBe(undefined)
        yield* TestClock.adjust(1)
        expect(reasonOf(yield* Fiber.await(waiter))).toBe("Late")
        expect((yield* bulkhead.stats).waiting).toBe(0)
      })))
  })

  describe("acquire", () => {
    it.effect("holds a slot until the scope closes, also when it had to wait", () =>
      fresh(Effect.gen(function* () {
        const bulkhead = yield* Bulkhead.make({ name: "b", capacity: 1 })
        const first = yield* Scope.make()
        const second = yield* Scope.make()
        yield* Scope.provide(bulkhead.acquire, first)
        const waiter = yield* fork(Scope.provide(bulkhead.acquire, second))
        expect(yield* bulkhead.stats).toMatchObject({ inUse: 1, waiting: 1 })
        yield* Scope.close(first, Exit.void)
        yield* Fiber.join(waiter)
        expect(yield* bulkhead.stats).toMatchObject({ inUse: 1, waiting: 0 })
        yield* Scope.close(second, Exit.void)
        expect((yield* bulkhead.stats).inUse).toBe(0)
      })))

    it.effect("dies when what follows in its scope asks for another one, in children too", () =>
      fresh(Effect.gen(function* () {
        const bulkhead = yield* Bulkhead.make({ name: "b", capacity: 1 })
        const other = yield* Bulkhead.make({ name: "other", capacity: 1 })
        const followedBy = <A, E>(next: Effect.Effect<A, E, Scope.Scope>) =>
          Effect.exit(Effect.scoped(Effect.andThen(bulkhead.acquire, next)))
        for (
          const next of [
            bulkhead.acquire,
            bulkhead.use(Effect.void),
            Effect.all([bulkhead.use(Effect.void)], { concurrency: "unbounded" }),
            Effect.flatMap(fork(bulkhead.use(Effect.void)), Fiber.join),
          ]
        ) {
          const exit = yield* followedBy(next)
          const defect = Exit.isFailure(exit) && exit.cause.reasons.find(Cause.isDieReason)?.defect
          expect(defect).toBeInstanceOf(Bulkhead.ReentrantAcquire)
          expect((yield* bulkhead.stats).inUse).toBe(0)
        }
        expect(yield* followedBy(other.use(Effect.succeed(1)))).toEqual(Exit.succeed(1))
        // Once it is given back another one is fine, also where the context outlives the scope.
        const scope = yield* Scope.make()
        yield* Scope.provide(
          Effect.gen(function* () {
            const before = yield* CurrentScope
            yield* bulkhead.acquire
            yield* Scope.close(scope, Exit.void)
            expect(yield* CurrentScope).toBe(before)
            yield* bulkhead.use(Effect.void)
          }),
          scope,
        )
      })))

    it.effect("keeps the deadline of its task for what follows", () =>
      fresh(Effect.gen(function* () {
        const bulkhead = yield* Bulkhead.make({ name: "b", capacity: 1 })
        const { deadline, task } = yield* Effect.scoped(
          Effect.andThen(bulkhead.acquire, CurrentScope),
        ).pipe(by(500))
        expect(deadline).toBe(500)
        expect(task).toBeDefined()
      })))

    it.effect("does not know the scope that it alone was given: a second one waits", () =>
      fresh(Effect.gen(function* () {
        const bulkhead = yield* Bulkhead.make({ name: "b", capacity: 1, maxWait: "1 second" })
        const scope = yield* Scope.make()
        yield* Scope.provide(bulkhead.acquire, scope)
        const waiter = yield* fork(bulkhead.use(Effect.void))
        yield* TestClock.adjust("1 second")
        expect(reasonOf(yield* Fiber.await(waiter))).toBe("Late")
        yield* Scope.close(scope, Exit.void)
      })))

    it.effect("gives up its place when it is interrupted while it waits", () =>
      fresh(Effect.gen(function* () {
        const bulkhead = yield* Bulkhead.make({ name: "b", capacity: 1 })
        yield* Scope.provide(bulkhead.acquire, yield* Scope.make())
        const waiter = yield* fork(Effect.scoped(bulkhead.acquire))
        yield* Fiber.interrupt(waiter)
        expect(yield* bulkhead.stats).toMatchObject({ inUse: 1, waiting: 0 })
      })))
  })

  describe("make", () => {
    it.effect("registers the bulkhead while its scope is open", () =>
      fresh(Effect.gen(function* () {
        const registry = yield* Saturation.Saturation
        const scope = yield* Scope.make()
        const bulkhead = yield* Scope.provide(
          Bulkhead.make({ name: "b", kind: "pool", capacity: 3 }),
          scope,
        )
        expect(registry.get("b")).toBe(bulkhead.bounded)
        expect(registry.snapshot(0)[0]).toMatchObject({
          kind: "pool",
          name: "b",
          capacity: 3,
          queueCapacity: 64,
        })
        yield* Scope.close(scope, Exit.void)
        expect(registry.get("b")).toBe(undefined)
      })))

    it.effect("refuses waiters and newcomers once its scope closes", () =>
      fresh(Effect.gen(function* () {
        const scope = yield* Scope.make()
        const bulkhead = yield* Scope.provide(Bulkhead.make({ name: "b", capacity: 1 }), scope)
        const running = yield* fork(bulkhead.use(Effect.as(Effect.sleep(10), "done")))
        const waiter = yield* fork(bulkhead.use(Effect.void))
        yield* Scope.close(scope, Exit.void)
        expect(reasonOf(yield* Fiber.await(waiter))).toBe("Closed")
        expect(reasonOf(yield* Effect.exit(bulkhead.use(Effect.void)))).toBe("Closed")
        yield* TestClock.adjust(10)
        expect(yield* Fiber.join(running)).toBe("done")
      })))

    it.effect("dies with one sentence when an option is invalid", () =>
      fresh(Effect.gen(function* () {
        const bad: ReadonlyArray<[Bulkhead.Options, string]> = [
          [{ name: "b", capacity: 0 }, "capacity is 0"],
          [{ name: "b", capacity: 1.5 }, "capacity is 1.5"],
          [{ name: "b", capacity: 1, queueCapacity: -1 }, "queueCapacity is -1"],
          [{ name: "b", capacity: 1, expected: 0 }, "expected"],
          [{ name: "b", capacity: 1, margin: NaN }, "margin is NaN"],
          [{ name: "b", capacity: 1, risk: 0 }, "risk is 0. Use a number above 0 and up to 0.5"],
          [{ name: "b", capacity: 1, risk: 0.6 }, "risk is 0.6"],
          [{ name: "b", capacity: 1, maxWait: 0 }, "maxWait"],
          [{ name: "", capacity: 1 }, "name is empty"],
        ]
        for (const [options, sentence] of bad) {
          const exit = yield* Effect.exit(Bulkhead.make(options))
          expect(Exit.isFailure(exit) && Cause.pretty(exit.cause)).toContain(sentence)
          // Shown without a stack: it is no bug.
          expect(Exit.isFailure(exit) && Cause.squash(exit.cause)).toMatchObject({
            _tag: "Mistake",
          })
        }
      })))
  })

  describe("under random load", () => {
    it.effect.prop(
      "leaks nothing under random acquires, timeouts, cancels and crashes",
      { seed: Schema.Int },
      ({ seed }) =>
        fresh(Effect.gen(function* () {
          const next = random(seed)
          const pick = (n: number) => Math.floor(next() * n)
          const capacity = 1 + pick(4)
          const queueCapacity = pick(10)
          const bulkhead = yield* Bulkhead.make({ name: "b", capacity, queueCapacity })
          let running = 0
          let most = 0
          let answered = 0
          const started: Array<number> = []
          const fibers: Array<Fiber.Fiber<unknown, unknown>> = []
          const total = 60
          for (let i = 0; i < total; i++) {
            const kind = pick(5)
            const ms = pick(30)
            const sleep = Effect.sleep(ms)
            const body = [
              sleep,
              Effect.andThen(sleep, Effect.fail("failed")),
              Effect.andThen(sleep, Effect.die("crashed")),
              Effect.uninterruptible(sleep),
              Effect.ensuring(Effect.never, sleep),
            ][kind]!
            const work = Effect.suspend((): Effect.Effect<void, string> => {
              started.push(i)
              most = Math.max(most, ++running)
              return Effect.ensuring(body, Effect.sync(() => running--))
            })
            const tickets: Array<Ticket> = []
            const deadline = next() < 0.5 ? Infinity : i * 5 + pick(100)
            if (next() < 0.4) {
              const ticket = bulkhead.bounded.reserve({ now: i, deadline, service: undefined })
              if (!Refused.isRefusal(ticket)) tickets.push(ticket)
            }
            const scoped = Effect.scoped(Effect.andThen(bulkhead.acquire, work))
            const acquire = (next() < 0.3 ? scoped : bulkhead.use(work)).pipe(
              by(deadline, tickets),
              Effect.timeout(1 + pick(60)),
              Effect.ensuring(Effect.sync(() => {
                answered++
                for (const ticket of tickets) ticket.release()
              })),
            )
            fibers.push(yield* fork(acquire))
            if (next() < 0.3) fibers[pick(fibers.length)]!.interruptUnsafe()
            if (next() < 0.5) yield* TestClock.adjust(pick(15))
            const stats = yield* bulkhead.stats
            expect(stats.inUse).toBeLessThanOrEqual(capacity)
            expect(stats.inUse + stats.waiting).toBeLessThanOrEqual(capacity + queueCapacity)
          }
          yield* TestClock.adjust("1 minute")
          for (const fiber of fibers) expect(fiber.pollUnsafe()).toBeDefined()
          expect(answered).toBe(total)
          expect([running, most <= capacity]).toEqual([0, true])
          expect(started).toEqual(started.toSorted((a, b) => a - b))
          expect(yield* bulkhead.stats).toMatchObject({ inUse: 0, waiting: 0, tickets: 0 })
        })),
      { arbitrary: { runs: 60 } },
    )
  })
})
