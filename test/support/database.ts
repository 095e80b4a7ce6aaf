/**
 * A database for tests. A test file that imports this module runs once on the embedded PostgreSQL
 * and, when DATABASE_URL is set, once more on that server.
 */
import { PgClient } from "@effect/sql-pg"
import { Clock, Effect, Redacted, type Scope } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import { tmpdir, userInfo } from "node:os"
import { join } from "node:path"
import process from "node:process"
import type { DatabaseStartError } from "../../src/store/DatabaseStartError.ts"
import * as EmbeddedPostgres from "../../src/store/EmbeddedPostgres.ts"

/** True in the second pass, on a server that somebody else runs. */
export const external: boolean = process.env["WEIR_TEST_DATABASE_URL"] !== undefined

/** Test files that run at the same time share one embedded server; the last one stops it. */
const directory = join(tmpdir(), `weir-test-${userInfo().username}`, "postgres")

const server: Effect.Effect<Redacted.Redacted, DatabaseStartError, Scope.Scope> = Effect.suspend(
  () => {
    const url = process.env["WEIR_TEST_DATABASE_URL"]
    return url !== undefined ? Effect.succeed(Redacted.make(url)) : EmbeddedPostgres.make({
      directory,
      // Nobody reads these rows after a power failure, and tests open many small pools.
      settings: { fsync: "off", max_connections: "200" },
      progress: () => Effect.void,
    }).pipe(Effect.map((postgres) => postgres.url))
  },
)

const execute = (url: Redacted.Redacted, statement: string): Effect.Effect<void, SqlError> =>
  Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    yield* sql.unsafe(statement)
  }).pipe(Effect.provide(PgClient.layer({ url, maxConnections: 1 })))

const withName = (url: Redacted.Redacted, name: string): Redacted.Redacted => {
  const copy = new URL(Redacted.value(url))
  copy.pathname = `/${name}`
  return Redacted.make(copy.href)
}

/**
 * The URL of an empty database that is dropped when the scope closes, with whoever is still
 * connected. Runs in real time, also under a TestClock.
 */
export const url: Effect.Effect<Redacted.Redacted, DatabaseStartError | SqlError, Scope.Scope> =
  Effect.gen(function* () {
    const admin = yield* server
    const name = `weir_test_${crypto.randomUUID().replaceAll("-", "")}`
    yield* Effect.acquireRelease(
      execute(admin, `create database ${name} template template0`),
      () => Effect.orDie(execute(admin, `drop database if exists ${name} with (force)`)),
    )
    return withName(admin, name)
  }).pipe(Effect.provideService(Clock.Clock, Clock.Clock.defaultValue()))
