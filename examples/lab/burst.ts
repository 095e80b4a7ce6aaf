/**
 * The burst: all requests arrive in one instant and want the same pool. The code is the same in
 * virtual and in real time; what a query is, the `World` says.
 *
 * @module
 */
import { Bulkhead, type DatabaseUnavailable, type Refused, Task } from "@weir/runtime"
import { Clock, Effect } from "effect"
import { margin, type Patience, type Variant } from "./variants.ts"

/** Where the queries run. */
export interface World {
  readonly name: "virtual" | "real"
  /** One query of that many milliseconds. */
  readonly query: (
    ms: number,
  ) => Effect.Effect<void, DatabaseUnavailable.DatabaseUnavailable | Refused.Refused>
}

export type Outcome = "ok" | "timed out" | "refused" | "failed"

/** The life of one request; times in milliseconds since the experiment began. */
export interface Row {
  readonly arrived: number
  /** When its query began; `undefined` when it never did. */
  readonly started: number | undefined
  /** When its query had ended, also by a cancel. */
  readonly stopped: number | undefined
  /** When it had its answer, or its refusal, or had left. */
  readonly ended: number
  readonly outcome: Outcome
  readonly reason: Refused.Reason | undefined
}

/** Milliseconds of a clock that nobody sets. */
export const now: Effect.Effect<number> = Effect.map(
  Clock.monotonicTimeNanos,
  (nanos) => Number(nanos) / 1e6,
)

/** What a pool needs to know. */
export const openPool = (
  { name = "pool", patience, pool, queue }:
    & Pick<Variant, "patience" | "pool" | "queue">
    & { readonly name?: string },
) =>
  Bulkhead.make({
    name,
    kind: "pool",
    capacity: pool,
    queueCapacity: queue,
    margin,
    // The experiment is about deadlines; the usual bound of 30 s would be one more of them.
    maxWait: "1 day",
    ...(patience._tag === "Pool" ? { expected: patience.expectedMs } : {}),
  })

/** One attempt of one client: wait for a slot, query, and leave when there is no patience left. */
export const attempt = (
  { name, patience, pool, query }: {
    readonly name: string
    readonly pool: Bulkhead.Bulkhead
    readonly query: Effect.Effect<void, DatabaseUnavailable.DatabaseUnavailable | Refused.Refused>
    readonly patience: Patience
  },
) => {
  const work = pool.use(query)
  switch (patience._tag) {
    case "Endless":
      return Task.run(name, work)
    case "Client":
      return Effect.timeout(Task.run(name, work), patience.ms)
    case "Pool":
      return Task.run(name, work, { deadline: patience.ms })
  }
}

/** Runs an attempt and writes its life down. */
export const recorded = Effect.fnUntraced(function* (
  world: World,
  options: {
    readonly name: string
    readonly pool: Bulkhead.Bulkhead
    readonly queryMs: Effect.Effect<number>
    readonly patience: Patience
    readonly begin: number
  },
) {
  const time = Effect.map(now, (at) => at - options.begin)
  let started: number | undefined
  let stopped: number | undefined
  const query = Effect.gen(function* () {
    started = yield* time
    yield* world.query(yield* options.queryMs)
  }).pipe(Effect.ensuring(Effect.map(time, (at) => {
    stopped = at
  })))
  const arrived = yield* time
  const [outcome, reason] = yield* attempt({ ...options, query }).pipe(
    Effect.as(["ok", undefined] as const),
    Effect.catchTags({
      Refused: ({ reason }) => Effect.succeed(["refused", reason] as const),
      TimeoutError: () => Effect.succeed(["timed out", undefined] as const),
      DeadlineExceeded: () => Effect.succeed(["timed out", undefined] as const),
      DatabaseUnavailable: () => Effect.succeed(["failed", undefined] as const),
      // Nobody here cancels a single task, and a query that is cancelled ends within five seconds.
      Cancelled: Effect.die,
      CleanupAbandoned: Effect.die,
    }),
  )
  return { arrived, started, stopped, ended: yield* time, outcome, reason } satisfies Row
})

/** Runs one variant. Told how many have ended, after each of them. */
export const burst = (
  world: World,
  variant: Variant,
  told: (ended: number) => void = () => {},
): Effect.Effect<ReadonlyArray<Row>> =>
  Effect.scoped(Effect.gen(function* () {
    const pool = yield* openPool(variant)
    const begin = yield* now
    let ended = 0
    return yield* Effect.forEach(
      Array.from({ length: variant.requests }, (_, i) => `request ${i + 1}`),
      (name) =>
        Effect.tap(
          recorded(world, {
            name,
            pool,
            begin,
            queryMs: Effect.succeed(variant.queryMs),
            patience: variant.patience,
          }),
          () => Effect.sync(() => told(++ended)),
        ),
      { concurrency: "unbounded" },
    )
  }))
