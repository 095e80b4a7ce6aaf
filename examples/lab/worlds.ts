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
  /**
   * A world of its own for one experiment, with so many connections, all open. Its own, because the
   * database's gate learns how long queries take, and would carry it on into the next one.
   */
  readonly open: (
    connections: number,
  ) => Effect.Effect<World, DatabaseStartError.DatabaseStartError, Scope.Scope>
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
  let opened = 0
  const connect = (maxConnections: number) =>
    Database.make({
      url,
      name: `lab database ${++opened}`,
      maxConnections,
      queueCapacity: 100_000,
      statementTimeout: "1 hour",
    })
  const query = (db: Database.Database, ms: number) =>
    Effect.asVoid(db.execute`select pg_sleep(${ms / 1000}::float8)`)
  const timed = (db: Database.Database, ms: number) =>
    Effect.gen(function* () {
      const begin = yield* now
      yield* Effect.orDie(query(db, ms))
      return (yield* now) - begin
    })
  const all = (db: Database.Database, count: number, ms: number) =>
    Effect.all(Array.from({ length: count }, () => timed(db, ms)), { concurrency: "unbounded" })
  const about = yield* Effect.scoped(Effect.gen(function* () {
    const db = yield* connect(1)
    const [row] = yield* Effect.orDie(
      db.sql<{ readonly version: string; readonly room: number }>`
      select current_setting('server_version') as version,
        current_setting('max_connections')::int
          - current_setting('superuser_reserved_connections')::int
          - (select count(*)::int from pg_stat_activity where backend_type = 'client backend') as room`,
    )
    return row!
  }))
  if (connections > about.room) {
    return yield* Effect.fail(
      new Unsuitable(
        `Cannot run in real time: the experiments need ${connections} connections, and PostgreSQL ` +
          `has ${about.room} left of its max_connections. Use a smaller --pool, or --virtual.`,
      ),
    )
  }
  const open = Effect.fnUntraced(function* (count: number) {
    const db = yield* connect(count)
    // Opens every connection.
    yield* all(db, count, 20)
    return { name: "real", query: (ms) => query(db, ms) } satisfies World
  })
  const measured = yield* Effect.scoped(Effect.gen(function* () {
    const db = yield* connect(pool)
    // Lets the engine compile what will be measured.
    for (let i = 0; i < 3; i++) yield* all(db, pool, 10)
    const trips: Array<number> = []
    for (let i = 0; i < 30; i++) trips.push(yield* timed(db, 0))
    const serviceMs = [...(yield* all(db, pool, queryMs)), ...(yield* all(db, pool, queryMs))]
    return { trips: trips.sort((a, b) => a - b), serviceMs: serviceMs.sort((a, b) => a - b) }
  }))
  const { host, pathname } = new URL(Redacted.value(url))
  return {
    open,
    server: Option.isSome(variable) ? `${host}${pathname}` : "embedded",
    version: about.version,
    roundTripMs: measured.trips[measured.trips.length >> 1]!,
    serviceMs: measured.serviceMs,
  }
}, Effect.provide(Logger.layer([])))
