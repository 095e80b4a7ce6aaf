/** What `Database` does to Effect's client: types the failures, decodes the rows. */
import type * as PgPool from "@effect/sql-pg/PgPool"
import { type Duration, Effect, Schema } from "effect"
import type { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { Statement } from "effect/sql/Statement"
import type { Refused } from "../bounded/Refused.ts"
import { durationMs } from "../internal/setting.ts"
import { DatabaseUnavailable, make as unavailable } from "./DatabaseUnavailable.ts"
import { classify } from "./sqlstate.ts"

/** For PostgreSQL's timeouts, where 0 means none. */
export const millis = (setting: string, duration: Duration.Input): number => {
  const value = durationMs(setting, duration)
  return value === Infinity ? 0 : Math.max(1, Math.ceil(value))
}

/** A typed failure when the caller can make something of it, else a defect. */
const raise = (error: SqlError): Effect.Effect<never, DatabaseUnavailable | Refused> => {
  const known = classify(error)
  return known === undefined ? Effect.die(error) : Effect.fail(known)
}

export const typed = <A>(
  effect: Effect.Effect<A, SqlError>,
): Effect.Effect<A, DatabaseUnavailable | Refused> => Effect.catch(effect, raise)

/** A row that does not fit is a bug in the schema or in the table. */
export const decoder = <S extends Schema.Constraint>(
  schema: S,
): (row: unknown) => Effect.Effect<S["Type"], never, S["DecodingServices"]> => {
  const decode = Schema.decodeUnknownEffect(schema)
  return (row) => Effect.orDie(decode(row))
}

export const execute = (
  statement: Statement<unknown>,
): Effect.Effect<number, DatabaseUnavailable | Refused> =>
  Effect.map(
    typed(statement.raw as Effect.Effect<{ readonly rowCount: number }, SqlError>),
    (result) => result.rowCount,
  )

export const transaction = <A, E, R>(
  sql: SqlClient,
  effect: Effect.Effect<A, E, R>,
  timeout: Duration.Input | undefined,
): Effect.Effect<A, E | DatabaseUnavailable | Refused, R> => {
  // Wrapped, so that a SqlError of the body is not taken for one of BEGIN or COMMIT.
  const body = Effect.mapError(effect, (error) => new Inner(error))
  const whole = timeout === undefined ? body : Effect.andThen(
    sql.unsafe(
      `set local statement_timeout = ${millis("The timeout of the transaction", timeout)}`,
    ),
    body,
  )
  return Effect.catch(
    sql.withTransaction(whole),
    (error): Effect.Effect<never, E | DatabaseUnavailable | Refused> =>
      error instanceof Inner ? Effect.fail(error.error) : raise(error),
  )
}

class Inner<E> {
  readonly error: E
  constructor(error: E) {
    this.error = error
  }
}

export const ping = (pool: PgPool.PgPool): Effect.Effect<void, DatabaseUnavailable> =>
  pool.use((connection) => connection.query("select 1")).pipe(
    Effect.mapError((error) => {
      const known = classify(error)
      return known instanceof DatabaseUnavailable
        ? known
        : unavailable("Unreachable", undefined, error)
    }),
    Effect.timeoutOrElse({
      duration: "2 seconds",
      orElse: () => Effect.fail(unavailable("TimedOut")),
    }),
    Effect.asVoid,
  )
