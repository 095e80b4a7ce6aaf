import { describe, expect, it } from "@effect/vitest"
import { Bulkhead, Refused, Saturation } from "@weir/runtime"
import { Cause, Context, Effect, Exit, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import type { Ticket } from "../../src/bounded/Bounded.ts"
import { CancelScope, CurrentScope, root } from "../../src/task/scope.ts"

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

const reasonOf = <A>(exit: Exit.Exit<A, Refused.Refused>): string => {
  if (Exit.isSuccess(exit)) return "ok"
  const failure = exit.cause.reasons.find(Cause.isFailReason)
  return failure === undefined ? "interrupted" : failure.error.reason
}

/** 100 requests at once, a pool of 10, 200 ms of work each, under one deadline. */
const burst = (options: { deadline: number; expected?: number; tickets?: boolean }) =>
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
          service: undefined,
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
})
