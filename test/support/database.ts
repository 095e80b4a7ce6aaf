/**
 * PostgreSQL for tests. A file that imports this runs once on the embedded server and, when
 * DATABASE_URL is set, once more on that one. The embedded server is kept outside the repository and
 * shared by all workers; `globalSetup.ts` holds it for the whole run, the last to leave stops it.
 */
import * as PgConnection from "@effect/sql-pg/PgConnection"
import { Clock, Context, Effect, Layer, Redacted, Schedule, type Scope } from "effect"
import { tmpdir } from "node:os"
import { join } from "node:path"
import process from "node:process"
import * as Database from "../../src/store/Database.ts"
import type { DatabaseStartError } from "../../src/store/DatabaseStartError.ts"
import * as EmbeddedPostgres from "../../src/store/EmbeddedPostgres.ts"

const variable = process.env["WEIR_TEST_DATABASE_URL"]

/** True in the second pass, on a server that somebody else runs. */
export const external: boolean = variable !== undefined

/** Options of the server that all tests share. What it holds may be lost in a crash. */
export const shared: EmbeddedPostgres.Options = {
  directory: join(tmpdir(), `weir-test-postgres-${Deno.uid() ?? "user"}`),
  settings: { fsync: "off", max_connections: "200", shared_buffers: "32MB" },
  progress: (line) => Effect.sync(() => console.error(line)),
}

/** The server's address. */
export const server: Effect.Effect<Redacted.Redacted, DatabaseStartError, Scope.Scope> = variable
  ? Effect.succeed(Redacted.make(variable))
  : Effect.map(EmbeddedPostgres.make(shared), (postgres) => postgres.url)

/** The same server, another database, user or password. */
export const withUrl = (
  url: Redacted.Redacted,
  change: (url: URL) => void,
): Redacted.Redacted => {
  const copy = new URL(Redacted.value(url))
  change(copy)
  return Redacted.make(copy.href)
}

/** A connection of one's own, past every gate. */
export const connection = (url: Redacted.Redacted) => Effect.orDie(PgConnection.make({ url }))

/**
 * The address of an empty database that is dropped when the scope closes, with whoever is still
 * connected. Runs in real time, also under a TestClock.
 */
export const url: Effect.Effect<Redacted.Redacted, DatabaseStartError, Scope.Scope> = Effect.gen(
  function* () {
    const address = yield* server
    const name = `weir_test_${crypto.randomUUID().replaceAll("-", "")}`
    const run = (sql: string) =>
      connection(address).pipe(
        Effect.flatMap((admin) => Effect.orDie(admin.query(sql))),
        Effect.scoped,
        inRealTime,
      )
    yield* Effect.acquireRelease(
      run(`create database ${name} template template0`),
      () => run(`drop database if exists ${name} with (force)`),
    )
    return withUrl(address, (address) => address.pathname = `/${name}`)
  },
)

const inRealTime = Effect.provideService(Clock.Clock, Clock.Clock.defaultValue())

/** The address of the fresh database, for a second client. */
export const TestUrl: Context.Service<Redacted.Redacted, Redacted.Redacted> = Context.Service(
  "weir/test/TestUrl",
)

/** A fresh database for a test file, with {@link TestUrl}. */
export const layer = (options: Omit<Database.Options, "url" | "embedded"> = {}) =>
  Layer.unwrap(
    Effect.map(url, (url) =>
      Layer.merge(Database.layer({ ...options, url }), Layer.succeed(TestUrl, url))),
  )

/** Repeats a look at the server until it shows what is expected; at most ten seconds. */
export const eventually = <A, E, R>(
  look: Effect.Effect<A, E, R>,
  expected: (value: A) => boolean,
): Effect.Effect<A, E, R> =>
  Effect.repeat(look, {
    until: expected,
    schedule: Schedule.max([Schedule.spaced("20 millis"), Schedule.recurs(500)]),
  })
