/** Brings the schema up to date: once, whole or not at all, whoever else starts at the same time. */
import { Effect } from "effect"
import * as Migrator from "effect/sql/Migrator"
import { SqlClient } from "effect/sql/SqlClient"
import { isSqlError } from "effect/sql/SqlError"
import type { DatabaseStartError } from "./DatabaseStartError.ts"
import * as StartError from "./DatabaseStartError.ts"
import { codeOf } from "./sqlstate.ts"

/**
 * Changes to the schema: the key is a number, counted from 1, and a name, as in `1_create_orders`.
 *
 * @category models
 * @since 0.1.0
 */
export type Migrations = Readonly<Record<string, Effect.Effect<unknown, unknown, SqlClient>>>

/**
 * Runs what the table does not list yet, in one transaction that locks the table; a concurrent run
 * waits for the lock (60 s) and then finds nothing to do. Returns the names of what ran.
 */
export const migrate = Effect.fnUntraced(function* (
  client: SqlClient,
  migrations: Migrations,
  table: string,
): Effect.fn.Return<ReadonlyArray<string>, DatabaseStartError> {
  if (Object.keys(migrations).length === 0) return []
  const nameless = Object.keys(migrations).find((name) => !/^[1-9]\d*_.+$/.test(name))
  if (nameless !== undefined) {
    return yield* failed(
      `the name "${nameless}" is not of the form 1_create_orders`,
      "Give each migration a number, counted from 1, and a name",
    )
  }
  const work = Effect.gen(function* () {
    yield* client`set lock_timeout = '60s'`
    const ran = yield* Migrator.make({})({
      loader: Migrator.fromRecord(
        migrations as Record<string, Effect.Effect<void, unknown, SqlClient>>,
      ),
      table,
    })
    const listed = yield* client<{ migration_id: number }>`select migration_id from ${
      client(table)
    }`
    return { ran, listed: new Set(listed.map((row) => row.migration_id)) }
  })
  const { ran, listed } = yield* work.pipe(
    Effect.provideService(SqlClient, client),
    Effect.mapError((error) => explain(error)),
  )
  const skipped = Object.keys(migrations).find((name) => !listed.has(Number.parseInt(name)))
  if (skipped !== undefined) {
    return yield* failed(
      `"${skipped}" was added after migrations with higher numbers had run`,
      "Give it the next free number",
    )
  }
  return ran.map(([id, name]) => `${id}_${name}`)
})

const failed = (why: string, next: string): DatabaseStartError =>
  StartError.make("MigrationFailed", "Cannot migrate the database", why, next)

/** Follows the chain of causes down to what PostgreSQL said. */
const explain = (error: unknown): DatabaseStartError => {
  let deepest = error
  while (deepest instanceof Error && deepest.cause !== undefined) deepest = deepest.cause
  const said = (deepest instanceof Error ? deepest.message : String(deepest)).replace(/\.\s*$/, "")
  if (isSqlError(error) && codeOf(error) === "55P03") {
    return failed(
      "another process has been migrating it for 60 s",
      "Wait until that has ended, or end it",
    )
  }
  const name = error instanceof Migrator.MigrationError
    ? /"([^"]+)"/.exec(error.message)?.[1]
    : undefined
  return failed(
    name === undefined ? said : `migration "${name}" failed (${said})`,
    "Nothing was changed. Correct the migration and start again",
  )
}
