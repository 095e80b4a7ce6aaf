/**
 * The retry storm: for a while the database is ten times slower. Clients that have waited too long
 * try again. What happens when the database is well again?
 *
 * @module
 */
import { Retry, RetryBudget } from "@weir/runtime"
import { Clock, Data, Effect, Random, Schedule } from "effect"
import { now, openPool, recorded, type Row, type World } from "./burst.ts"
import { arrivals, capacity, patienceOf } from "./load.ts"
import type { Parameters } from "./variants.ts"

/** Part of the capacity that clients ask for before they retry. */
export const offeredPart = 0.8

/** How much slower queries are during the stall. */
export const slower = 10

/** Calls in all that a client makes for one answer. */
export const attempts = 3

/** When the stall begins and ends, and when no more calls arrive; in deadlines. */
export interface Course {
  readonly stall: number
  readonly well: number
  readonly end: number
}

export const virtualCourse: Course = { stall: 3, well: 5, end: 17 }
export const realCourse: Course = { stall: 2, well: 4, end: 10 }

/** How clients try again. */
export type Habit = "at once" | "budget" | "budget and admission"

export const habits: ReadonlyArray<Habit> = ["at once", "budget", "budget and admission"]

/** One stretch of time, half a deadline long. */
export interface Window {
  /** In milliseconds, where it begins. */
  readonly at: number
  /** Answers in time, attempts and calls that began, per second. */
  readonly good: number
  readonly sent: number
  readonly called: number
}

/** What became of the calls. */
export interface Storm {
  readonly habit: Habit
  readonly calls: number
  readonly answered: number
  readonly attempts: number
  /** Attempts per call, of the calls that began after the stall. */
  readonly amplification: number
  /** The part of the calls of the last third of the time after the stall that were answered. */
  readonly atTheEnd: number
  readonly windows: ReadonlyArray<Window>
  readonly stallAt: number
  readonly wellAt: number
}

class Failed extends Data.TaggedError("Failed")<{ readonly retryable: boolean }> {}

const retried =
  (habit: Habit, budget: RetryBudget.RetryBudget) =>
  <R>(call: Effect.Effect<void, Failed, R>): Effect.Effect<void, Failed, R> => {
    if (habit === "at once") return Effect.retry(call, Schedule.recurs(attempts - 1))
    return Effect.gen(function* () {
      budget.deposit(yield* Clock.currentTimeMillis)
      yield* Retry.retry<Failed>({ idempotent: true, attempts, budget })(call)
    })
  }

/** Runs one habit. The same seed has the same calls for each of them. */
export const storm = (
  world: World,
  parameters: Parameters,
  habit: Habit,
  course: Course,
): Effect.Effect<Storm> =>
  Effect.scoped(Effect.gen(function* () {
    const { deadlineMs, queryMs, seed } = parameters
    const [stallAt, wellAt, endAt] = [course.stall, course.well, course.end]
      .map((deadlines) => deadlines * deadlineMs) as [number, number, number]
    const due = yield* arrivals(offeredPart * capacity(parameters), endAt).pipe(
      Random.withSeed(`${seed} storm`),
    )
    const patience = patienceOf(parameters, habit === "budget and admission")
    const pool = yield* openPool({
      name: `retries ${habit}`,
      patience,
      pool: parameters.pool,
      queue: due.length,
    })
    const budget = RetryBudget.make()
    const begin = yield* now
    const took = Effect.map(now, (at) => {
      const since = at - begin
      return since >= stallAt && since < wellAt ? slower * queryMs : queryMs
    })
    const sent: Array<Row> = []
    const call = Effect.fnUntraced(function* (name: string) {
      const row = yield* recorded(world, { name, pool, begin, queryMs: took, patience })
      sent.push(row)
      // Who has been refused knows better than to ask again at once.
      if (row.outcome !== "ok") {
        return yield* new Failed({ retryable: row.outcome !== "refused" })
      }
    })
    const answers = yield* Effect.forEach(due, (at, i) =>
      call(`call ${i + 1}`).pipe(
        retried(habit, budget),
        Effect.as(true),
        Effect.catchTag("Failed", () => Effect.succeed(false)),
        Effect.delay(at),
      ), { concurrency: "unbounded" }).pipe(Random.withSeed(`${seed} jitter`))
    const after = due.filter((at) => at >= wellAt).length
    const lately = endAt - (endAt - wellAt) / 3
    const last = answers.filter((_, i) => due[i]! >= lately)
    const step = deadlineMs / 2
    const within = (times: ReadonlyArray<number>, at: number) =>
      times.filter((time) => time >= at && time < at + step).length / step * 1000
    const good = sent.filter(({ outcome }) => outcome === "ok").map(({ ended }) => ended)
    const began = sent.map(({ arrived }) => arrived)
    return {
      habit,
      calls: due.length,
      answered: answers.filter((it) => it).length,
      attempts: sent.length,
      amplification: began.filter((at) => at >= wellAt).length / Math.max(1, after),
      atTheEnd: last.filter((it) => it).length / Math.max(1, last.length),
      windows: Array.from({ length: Math.ceil(endAt / step) }, (_, i) => ({
        at: i * step,
        good: within(good, i * step),
        sent: within(began, i * step),
        called: within(due, i * step),
      })),
      stallAt,
      wellAt,
    }
  }))
