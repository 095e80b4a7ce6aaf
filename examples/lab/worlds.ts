/**
 * The two worlds in which the same experiments run: virtual time, and a real PostgreSQL.
 *
 * @module
 */
import { Database, type DatabaseStartError, EmbeddedPostgres } from "@weir/runtime"
import { Config, Effect, Logger, Option, Redacted, type Scope } from "effect"
import { now, type World } from "./burst.ts"

/** A query is a sleep. Run it under `VirtualClock.layer`, and it takes no time. */
export const virtual: World = { name: "virtual", query: (ms) => Effect.sleep(ms) }

/** A PostgreSQL, and what the way to it costs. */
export interface Real {
  readonly world: World
  /** Where it runs, without a password. */
  readonly server: string
  readonly version: string
  /** The median of an empty query, in milliseconds. */
  readonly roundTripMs: number
  /** What queries took that sleep for `queryMs`, as many at once as the pool is large. */
  readonly serviceMs: ReadonlyArray<number>
}

/** A server that cannot serve the experiments, with a sentence for whoever runs them. */
export class Unsuitable {
  readonly _tag = "Unsuitable"
  readonly message: string
  constructor(message: string) {
    this.message = message
  }
}

/**
 * Connects to the server in `DATABASE_URL`, or starts an embedded one, warms it up and measures the
 * way to it. A query is `pg_sleep`; interrupting it ends it on the server.
 */
export const real = Effect.fn("lab.real")(function* (
  { connections, pool, queryMs }: {
    readonly connections: number
    readonly pool: number
    readonly queryMs: number
  },
): Effect.fn.Return<Real, DatabaseStartError.DatabaseStartError | Unsuitable, Scope.Scope> {
  const variable = yield* Effect.orDie(Config.option(Config.NonEmptyString("DATABASE_URL")))
  const url = Option.isSome(variable)
    ? Redacted.make(variable.value)
    : (yield* EmbeddedPostgres.make({ progress: () => Effect.void })).url
  const db = yield* Database.make({
    url,
    name: "lab database",
    maxConnections: connections,
    queueCapacity: 100_000,
    statementTimeout: "1 hour",
  })
  const [about] = yield* Effect.orDie(db.sql<{ version: string; most: number; used: number }>`
    select current_setting('server_version') as version,
      current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int as most,
      (select count(*)::int from pg_stat_activity where backend_type = 'client backend') as used`)
  const room = about!.most - about!.used
  // One is open already.
  if (connections > room + 1) {
    return yield* Effect.fail(
      new Unsuitable(
        `Cannot run in real time: the experiments need ${connections} connections, and PostgreSQL ` +
          `has ${room} left of max_connections. Use a smaller --pool, or --virtual.`,
      ),
    )
  }
  const query = (ms: number) => Effect.asVoid(db.execute`select pg_sleep(${ms / 1000}::float8)`)
  const timed = (ms: number) =>
    Effect.gen(function* () {
      const begin = yield* now
      yield* Effect.orDie(query(ms))
      return (yield* now) - begin
    })
  const all = (count: number, ms: number) =>
    Effect.all(Array.from({ length: count }, () => timed(ms)), { concurrency: "unbounded" })
  // Opens every connection, and lets the engine compile what will be measured.
  yield* all(connections, 20)
  yield* all(connections, 1)
  const trips: Array<number> = []
  for (let i = 0; i < 30; i++) trips.push(yield* timed(0))
  const serviceMs = [...(yield* all(pool, queryMs)), ...(yield* all(pool, queryMs))]
  const { host, pathname } = new URL(Redacted.value(url))
  return {
    world: { name: "real", query },
    server: Option.isSome(variable) ? `${host}${pathname}` : "embedded",
    version: about!.version,
    roundTripMs: trips.sort((a, b) => a - b)[trips.length >> 1]!,
    serviceMs: serviceMs.sort((a, b) => a - b),
  }
}, Effect.provide(Logger.layer([])))
