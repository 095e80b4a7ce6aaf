/**
 * The seam: `PgPool` keeps the connections (it knows a dead one when it sees it), a Bulkhead of the
 * same size stands in front, because the pool's own line has neither bound nor deadline.
 */
import * as PgClient from "@effect/sql-pg/PgClient"
import type * as PgConnection from "@effect/sql-pg/PgConnection"
import type * as PgPool from "@effect/sql-pg/PgPool"
import { Effect, Stream } from "effect"
import type { Reactivity } from "effect/reactivity"
import * as SqlClient from "effect/sql/SqlClient"
import type * as SqlConnection from "effect/sql/SqlConnection"
import { SqlError, UnknownError } from "effect/sql/SqlError"
import { Refused } from "../bounded/Refused.ts"
import type { Bulkhead } from "../pool/Bulkhead.ts"
import { Holders } from "./holders.ts"
import { classify } from "./sqlstate.ts"

/** A client every statement, stream and transaction of which takes a slot of the gate first. */
export const make = (
  gate: Bulkhead,
  pool: PgPool.PgPool,
  attributes: ReadonlyArray<readonly [string, unknown]>,
): Effect.Effect<SqlClient.SqlClient, never, Reactivity.Reactivity> => {
  const holders = new Holders(gate.bounded.kind, gate.name)
  const enter = Effect.mapError(holders.hold(gate.acquire), wrap)
  return SqlClient.make({
    acquirer: Effect.andThen(enter, Effect.map(pool.get, connect)),
    transactionAcquirer: Effect.andThen(enter, Effect.map(pool.reserve, connect)),
    borrower: (use) =>
      Effect.catchIf(
        holders.refuse() ?? gate.use(pool.use((connection) => use(connect(connection)))),
        // What runs here are statements: they cannot fail with a refusal of their own.
        (error): error is Refused => error instanceof Refused,
        (refused) => Effect.fail(wrap(refused)),
      ),
    prepareTransactionControls: true,
    commit,
    releaseSavepoint: (name) => `RELEASE SAVEPOINT ${name}`,
    driver: "pg",
    compiler: PgClient.makeCompiler(),
    spanAttributes: attributes,
  })
}

/** The error type of these slots is SqlError; `Database` takes the refusal out again. */
const wrap = (refused: Refused): SqlError =>
  new SqlError({
    // Not retryable, unlike a ConnectionError: an automatic retry would defeat the bound.
    reason: new UnknownError({ cause: refused, message: refused.message, operation: "acquire" }),
  })

/** PostgreSQL answers ROLLBACK to the COMMIT of a transaction in which a statement had failed. */
const commit = (connection: SqlConnection.Connection): Effect.Effect<void, SqlError> =>
  Effect.flatMap(
    connection.executeRaw("COMMIT", []) as Effect.Effect<PgConnection.Result, SqlError>,
    (result) => {
      if (result.command !== "ROLLBACK") return Effect.void
      const message = "COMMIT rolled back: a statement of the transaction had failed"
      return Effect.fail(
        new SqlError({
          reason: new UnknownError({ cause: new Error(message), message, operation: "commit" }),
        }),
      )
    },
  )

type Rows = ReadonlyArray<PgConnection.Row>
type Transform =
  | (<A extends object>(rows: ReadonlyArray<A>) => ReadonlyArray<A>)
  | undefined

// The driver has this class too, but does not export it.
class Connection implements SqlConnection.Connection {
  readonly #inner: PgConnection.PgConnection
  /** Who reads a stream on it: a statement of theirs would wait for the stream, and that for them. */
  #readers: Holders | undefined = undefined

  constructor(inner: PgConnection.PgConnection) {
    this.#inner = inner
  }

  #rows(sql: string, params: ReadonlyArray<unknown>, prepare: boolean) {
    return this.#readers?.refuse() ??
      Effect.map(this.#inner.query(sql, params, prepare), (result): Rows => result.rows)
  }

  execute(
    sql: string,
    params: ReadonlyArray<unknown>,
    _: Transform,
  ): Effect.Effect<Rows, SqlError> {
    const rows = this.#rows(sql, params, true)
    // With its connection gone the transaction is rolled back already. Failing here would turn a
    // lost connection into a defect, because Effect treats a failed ROLLBACK as one.
    return sql.startsWith("ROLLBACK")
      ? Effect.catchIf(rows, isLost, () => Effect.succeed([]))
      : rows
  }

  executeRaw(sql: string, params: ReadonlyArray<unknown>): Effect.Effect<unknown, SqlError> {
    return this.#readers?.refuse() ?? this.#inner.query(sql, params)
  }

  executeStream(sql: string, params: ReadonlyArray<unknown>): Stream.Stream<unknown, SqlError> {
    const readers = this.#readers ??= new Holders("connection", "transaction")
    return Stream.unwrap(Effect.as(readers.hold(Effect.void), this.#inner.stream(sql, params)))
  }

  executeValues(
    sql: string,
    params: ReadonlyArray<unknown>,
  ): Effect.Effect<ReadonlyArray<ReadonlyArray<unknown>>, SqlError> {
    return this.#readers?.refuse() ?? this.#inner.queryValues(sql, params)
  }

  executeValuesUnprepared(
    sql: string,
    params: ReadonlyArray<unknown>,
  ): Effect.Effect<ReadonlyArray<ReadonlyArray<unknown>>, SqlError> {
    return this.#readers?.refuse() ?? this.#inner.queryValues(sql, params, false)
  }

  executeUnprepared(sql: string, params: ReadonlyArray<unknown>): Effect.Effect<Rows, SqlError> {
    return this.#rows(sql, params, false)
  }
}

const connect = (inner: PgConnection.PgConnection): SqlConnection.Connection =>
  new Connection(inner)

const isLost = (error: SqlError): boolean => {
  const known = classify(error)
  return known?._tag === "DatabaseUnavailable" &&
    (known.reason === "ConnectionLost" || known.reason === "ShuttingDown")
}
