/**
 * PostgreSQL behind a bounded gate: queries that decode, failures that have a type, waits that end.
 *
 * @module
 */
import * as PgPool from "@effect/sql-pg/PgPool"
import type { Duration, Schema, Scope } from "effect"
import { Cause, Clock, Config, Context, Effect, Layer, Option, Redacted } from "effect"
import * as Reactivity from "effect/reactivity/Reactivity"
import { SqlClient } from "effect/sql/SqlClient"
import { isSqlError } from "effect/sql/SqlError"
import { Refused } from "../bounded/Refused.ts"
import * as Bulkhead from "../pool/Bulkhead.ts"
import { describe, greet } from "./connect.ts"
import type { DatabaseStartError } from "./DatabaseStartError.ts"
import { DatabaseUnavailable } from "./DatabaseUnavailable.ts"
import * as EmbeddedPostgres from "./EmbeddedPostgres.ts"
import * as Gate from "./gate.ts"
import type { Migrations } from "./migrate.ts"
import { migrate } from "./migrate.ts"
import { NoRow } from "./NoRow.ts"
import * as Queries from "./queries.ts"

export { DatabaseUnavailable, NoRow }
export type { DatabaseStartError, Migrations }

/**
 * A query written as a template: values become parameters, never text.
 *
 * **Gotchas** – rows hold what PostgreSQL's types mean: `int8` (so `count(*)` too) is a `bigint`,
 * `numeric` a string, `timestamptz` a Date. Cast in the query (`count(*)::int`), or let the schema
 * decode them.
 *
 * @category models
 * @since 0.1.0
 */
export type Query<A, E = never, R = never> = (
  strings: TemplateStringsArray,
  ...values: ReadonlyArray<unknown>
) => Effect.Effect<A, E | DatabaseUnavailable | Refused, R>

/**
 * The database.
 *
 * **Details** – Every query, stream and transaction first takes a slot of the gate: a `Bulkhead` as
 * large as the connection pool, so nobody ever waits in the pool, and the wait knows deadlines and
 * tickets. Inside a transaction nothing more is taken.
 * Work that holds a slot and asks for another one dies at once with `ReentrantAcquire`: a query in
 * `Stream.runForEach` of a stream, a transaction in its `mapEffect`, a stream in a stream; inside a
 * transaction likewise a statement while a stream of the same transaction is read. Collect the rows
 * first, or do it in one statement. Recognized is the fiber that reads the stream. Where others read
 * it (`Stream.buffer`, `merge`, `zip`, `mapEffect` with `concurrency`) or a row's work is forked
 * (`Effect.all` with `concurrency`), that work waits like any other: until its deadline, if all slots
 * are held by such streams.
 * What is not the program's fault is typed: `Refused` (the gate said no) and `DatabaseUnavailable`.
 * Everything else (bad SQL, a row that the schema does not accept, a constraint) is a defect. Who
 * expects a constraint violation uses `sql`, whose error is the plain `SqlError`.
 *
 * **Interruption** – cancels the query on the server and waits until the server has confirmed that
 * (5 s at most, then the connection is thrown away); only then the slot is free again.
 *
 * @category models
 * @since 0.1.0
 */
export interface Database {
  /** Effect's own client, behind the same gate. A refusal is inside its error: {@link refusedIn}. */
  readonly sql: SqlClient
  /** The first row, decoded; `NoRow` when there is none. */
  readonly one: <S extends Schema.Constraint>(
    schema: S,
  ) => Query<S["Type"], NoRow, S["DecodingServices"]>
  /** The first row, decoded, if there is one. */
  readonly option: <S extends Schema.Constraint>(
    schema: S,
  ) => Query<Option.Option<S["Type"]>, never, S["DecodingServices"]>
  /** All rows, decoded, in the order of the server. */
  readonly many: <S extends Schema.Constraint>(
    schema: S,
  ) => Query<ReadonlyArray<S["Type"]>, never, S["DecodingServices"]>
  /** Runs a statement; how many rows it touched. */
  readonly execute: Query<number>
  /**
   * Runs the effect in a transaction: committed when it succeeds, rolled back when it fails, dies or
   * is interrupted. A nested one is a savepoint.
   *
   * **Details** – `timeout` ends each of its statements on the server after that time
   * (`DatabaseUnavailable`, `TimedOut`). It costs one more round trip, so it is not the default.
   * With `ConnectionLost` during the commit nobody knows whether it took effect.
   */
  readonly transaction: <A, E, R>(
    effect: Effect.Effect<A, E, R>,
    options?: { readonly timeout?: Duration.Input | undefined },
  ) => Effect.Effect<A, E | DatabaseUnavailable | Refused, R>
  /** Is the server there? Past the gate, on a connection of its own, within 2 s: for readiness. */
  readonly ping: Effect.Effect<void, DatabaseUnavailable>
}

/**
 * The service.
 *
 * @category services
 * @since 0.1.0
 */
export const Database: Context.Service<Database, Database> = Context.Service<Database>(
  "weir/store/Database",
)

/**
 * Whether the server is there, as a readiness check: `health: { checks: { database: Database.ping } }`.
 *
 * **Fails with** – `DatabaseUnavailable`, after 2 s at the latest.
 *
 * **Interruption** – cancels the query.
 *
 * @category accessors
 * @since 0.1.0
 */
export const ping: Effect.Effect<void, DatabaseUnavailable, Database> = Effect.flatMap(
  Database,
  (db) => db.ping,
)

/**
 * How to reach the database, and how much of it to use.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /** Default: the variable `DATABASE_URL`; without one, an embedded server. */
  readonly url?: Redacted.Redacted | undefined
  /** How to run the embedded server, when there is no `url`. */
  readonly embedded?: EmbeddedPostgres.Options | undefined
  /** The gate's name, as in `uses: ["database"]`. Default: `database`. */
  readonly name?: string | undefined
  /** Connections, and slots of the gate. Default: 10. */
  readonly maxConnections?: number | undefined
  /** How much may wait for a slot. Default: that of `Bulkhead`. */
  readonly queueCapacity?: number | undefined
  /** How long a query takes, before anything is known. Default: unknown. */
  readonly expected?: Duration.Input | undefined
  /**
   * Fixed reserve asked for at the door, as of `Bulkhead`. Default: 0.02, because even queries that take
   * equally long take a little more or less than predicted.
   */
  readonly margin?: number | undefined
  /** Chance of being late above which a request is refused, as of `Bulkhead`. Default: 0.001. */
  readonly risk?: number | undefined
  /**
   * The server ends any statement after this time: the net below deadlines, for a client that was
   * killed. Larger than the largest deadline; `Duration.infinity` for none. Default: 60 seconds.
   */
  readonly statementTimeout?: Duration.Input | undefined
  /** Brought up to date before the layer is ready; see {@link migrations}. */
  readonly migrations?: Migrations | undefined
}

/**
 * Connects, migrates, and provides the database; `SqlClient` too, for libraries built on it.
 *
 * **Details** – Connections are opened when needed and closed after 60 s without use. A server that
 * goes away and comes back is found again without help; what was running fails as
 * `DatabaseUnavailable`. The session's `client_connection_check_interval` is 500 ms where the server
 * can do that: the queries of a killed process end by themselves. PostgreSQL 14 or later.
 *
 * **Fails with** – `DatabaseStartError`: one sentence about what to do. A server that says that it is
 * starting up is waited for (30 s); everything else fails at once.
 *
 * **Interruption** – closes what was opened, stops the embedded server if this was its last user.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: Options = {},
): Layer.Layer<Database | SqlClient, DatabaseStartError> =>
  Layer.effectContext(
    Effect.map(make(options), (database) =>
      Context.make(Database, database).pipe(Context.add(SqlClient, database.sql))),
  )

/**
 * The database as a scoped effect; see {@link layer}.
 *
 * **Fails with** – `DatabaseStartError`, as {@link layer} does.
 *
 * **Interruption** – as for {@link layer}.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: (
  options?: Options,
) => Effect.Effect<Database, DatabaseStartError, Scope.Scope> = Effect.fnUntraced(
  function* (options: Options = {}) {
    const url = yield* locate(options)
    const parameters = yield* inRealTime(Effect.scoped(
      Effect.flatMap(greet(url, "weir"), ({ client, parameters }) =>
        Effect.as(
          migrate(client, options.migrations ?? {}, table),
          parameters,
        )),
    ))
    const maxConnections = options.maxConnections ?? 10
    const session = (timeout: Duration.Input): PgPool.Config => ({
      url,
      applicationName: "weir",
      startupParameters: {
        ...parameters,
        statement_timeout: String(Queries.millis("Database: statementTimeout", timeout)),
      },
    })
    const pool = yield* Effect.orDie(
      PgPool.make({ ...session(options.statementTimeout ?? "60 seconds"), maxConnections }),
    )
    const pings = yield* Effect.orDie(
      PgPool.make({ ...session("2 seconds"), maxConnections: 1 }),
    )
    const gate = yield* Bulkhead.make({
      name: options.name ?? "database",
      kind: "pool",
      capacity: maxConnections,
      queueCapacity: options.queueCapacity,
      expected: options.expected,
      // Real queries take a little more or less than predicted: without a reserve, those admitted
      // exactly at the edge would run and still be late.
      margin: options.margin ?? 0.02,
      risk: options.risk,
    })
    const sql = yield* Effect.provide(
      Gate.make(gate, pool, [
        ["db.system.name", "postgresql"],
        ["db.namespace", describe(url)?.split("/")[1] ?? "postgres"],
      ]),
      Reactivity.layer,
    )
    return fromClient(sql, Queries.ping(pings))
  },
)

/**
 * Brings tables up to date that belong to something else than the application, under a list of their
 * own.
 *
 * **Details** – the record's keys are `1_create_orders`, `2_…`; all that is new runs in one
 * transaction, in order, so nothing is ever half applied (and nothing can run that PostgreSQL does
 * not allow in a transaction, such as `create index concurrently`). Of processes that start at the
 * same time one migrates, the others wait for it (60 s). No statement timeout applies in `layer`'s
 * `migrations`; here the one of the database does.
 *
 * **Fails with** – `DatabaseStartError` (`MigrationFailed`) when one fails, has no number, or has a
 * lower number than one that has run.
 *
 * **Interruption** – rolls back.
 *
 * @category operations
 * @since 0.1.0
 */
export const migrations = (
  record: Migrations,
  options: { readonly table: string },
): Effect.Effect<ReadonlyArray<string>, DatabaseStartError, Database> =>
  Effect.flatMap(Database, (database) => migrate(database.sql, record, options.table))

/**
 * The refusal of the gate inside an error of `database.sql`, or inside a whole Cause.
 *
 * @category accessors
 * @since 0.1.0
 */
export const refusedIn = (error: unknown): Refused | undefined => {
  if (error instanceof Refused) return error
  if (isSqlError(error)) return refusedIn(error.reason.cause)
  if (!Cause.isCause(error)) return undefined
  for (const reason of error.reasons) {
    const found = Cause.isFailReason(reason)
      ? refusedIn(reason.error)
      : Cause.isDieReason(reason)
      ? refusedIn(reason.defect)
      : undefined
    if (found !== undefined) return found
  }
  return undefined
}

const table = "weir_migrations"

// The start talks to processes and servers, also in a test whose clock stands still.
const inRealTime = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.provideService(effect, Clock.Clock, Clock.Clock.defaultValue())

const locate = Effect.fnUntraced(function* (
  options: Options,
): Effect.fn.Return<Redacted.Redacted, DatabaseStartError, Scope.Scope> {
  if (options.url !== undefined) return options.url
  const variable = yield* Effect.orDie(Config.option(Config.Redacted("DATABASE_URL")))
  if (Option.isSome(variable) && Redacted.value(variable.value) !== "") return variable.value
  return (yield* EmbeddedPostgres.make(options.embedded)).url
})

const fromClient = (sql: SqlClient, ping: Database["ping"]): Database => {
  const rows: Query<ReadonlyArray<object>> = (strings, ...values) =>
    Queries.typed(sql(strings, ...values))
  return {
    sql,
    ping,
    one: (schema) => {
      const decode = Queries.decoder(schema)
      return (strings, ...values) =>
        Effect.flatMap(
          rows(strings, ...values),
          ([row]) => row ? decode(row) : Effect.fail(new NoRow()),
        )
    },
    option: (schema) => {
      const decode = Queries.decoder(schema)
      return (strings, ...values) =>
        Effect.flatMap(
          rows(strings, ...values),
          ([row]) => row ? Effect.asSome(decode(row)) : Effect.succeedNone,
        )
    },
    many: (schema) => {
      const decode = Queries.decoder(schema)
      return (strings, ...values) =>
        Effect.flatMap(rows(strings, ...values), (all) => Effect.forEach(all, (row) => decode(row)))
    },
    execute: (strings, ...values) => Queries.execute(sql(strings, ...values)),
    transaction: (effect, options) => Queries.transaction(sql, effect, options?.timeout),
  }
}
