/**
 * Offered load: requests arrive on their own account, whatever becomes of those before them, at a
 * multiple of what the pool can do.
 *
 * @module
 */
import { Effect, Random } from "effect"
import { now, openPool, recorded, type Row, type World } from "./burst.ts"
import { spent } from "./figures.ts"
import type { Parameters, Patience } from "./variants.ts"

/** Times of the pool's capacity. */
export const everyLoad: ReadonlyArray<number> = [0.5, 1, 1.5, 2, 3, 5, 10, 20]

/** In real time fewer, because each takes seconds. */
export const someLoads: ReadonlyArray<number> = [0.5, 1, 2, 5]

/** How long requests arrive, and when counting begins; in deadlines. */
export interface Span {
  readonly whole: number
  readonly from: number
}

export const virtualSpan: Span = { whole: 7, from: 3.5 }
export const realSpan: Span = { whole: 5, from: 2.5 }

/** What clients got at one offered load. */
export interface Goodput {
  /** Offered load, in multiples of the capacity. */
  readonly times: number
  readonly admission: boolean
  /** Requests that arrived while they were counted. */
  readonly offered: number
  readonly ok: number
  readonly refused: number
  readonly timedOut: number
  readonly failed: number
  /** Answers in time per second. */
  readonly perSecond: number
  /** The part of the slots' time that went into queries of no use to anybody. */
  readonly wasted: number
}

/** Queries per second that the pool can do. */
export const capacity = ({ pool, queryMs }: Parameters): number => pool / queryMs * 1000

/** Instants of a Poisson process, in milliseconds from its start. */
export const arrivals = (perSecond: number, forMs: number): Effect.Effect<ReadonlyArray<number>> =>
  Effect.gen(function* () {
    const found: Array<number> = []
    let at = 0
    while (true) {
      at -= Math.log(1 - (yield* Random.next)) / perSecond * 1000
      if (at >= forMs) return found
      found.push(at)
    }
  })

/** The clients of both experiments wait for the deadline; with admission, the pool knows it. */
export const patienceOf = (
  { deadlineMs, queryMs }: Parameters,
  admission: boolean,
): Patience =>
  admission
    ? { _tag: "Pool", ms: deadlineMs, expectedMs: queryMs }
    : { _tag: "Client", ms: deadlineMs }

/** Offers one load. The same seed has the same arrivals, with and without admission. */
export const offer = (
  world: World,
  parameters: Parameters,
  { admission, span, times }: {
    readonly times: number
    readonly admission: boolean
    readonly span: Span
  },
): Effect.Effect<Goodput> =>
  Effect.scoped(Effect.gen(function* () {
    const { deadlineMs, queryMs, seed } = parameters
    const due = yield* arrivals(times * capacity(parameters), span.whole * deadlineMs).pipe(
      Random.withSeed(`${seed} load ${times}`),
    )
    const patience = patienceOf(parameters, admission)
    const pool = yield* openPool({
      name: `load ${times} ${admission ? "with" : "without"} admission`,
      patience,
      pool: parameters.pool,
      queue: due.length,
    })
    const begin = yield* now
    const rows = yield* Effect.forEach(due, (at, i) =>
      Effect.delay(
        recorded(world, {
          name: `request ${i + 1}`,
          pool,
          begin,
          queryMs: Effect.succeed(queryMs),
          patience,
        }),
        at,
      ), { concurrency: "unbounded" })
    const from = span.from * deadlineMs
    const counted = rows.filter((_, i) => due[i]! >= from)
    const of = (outcome: Row["outcome"]) => counted.filter((row) => row.outcome === outcome).length
    const ok = of("ok")
    const all = counted.reduce((sum, row) => sum + spent(row), 0)
    const useful = counted.reduce((sum, row) => sum + (row.outcome === "ok" ? spent(row) : 0), 0)
    return {
      times,
      admission,
      offered: counted.length,
      ok,
      refused: of("refused"),
      timedOut: of("timed out"),
      failed: of("failed"),
      perSecond: ok / (span.whole * deadlineMs - from) * 1000,
      wasted: all === 0 ? 0 : 1 - useful / all,
    }
  }))
