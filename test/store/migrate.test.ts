import { expect, it } from "@effect/vitest"
import { Effect, Redacted, Schema } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import { fileURLToPath } from "node:url"
import * as Database from "../../src/store/Database.ts"
import * as TestDatabase from "../support/database.ts"

const run = (sql: string) => Effect.flatMap(SqlClient, (client) => client.unsafe(sql))
const Count = Schema.Struct({ n: Schema.Int })

const two: Database.Migrations = {
  "1_create_runs": run("create table runs (n int)"),
  "2_count_run": run("insert into runs values (1)"),
}

const start = (url: Redacted.Redacted, migrations: Database.Migrations) =>
  Database.make({ url, migrations, name: crypto.randomUUID() })

it.live("applies what is new, once and in order", () =>
  Effect.gen(function* () {
    const url = yield* TestDatabase.url
    yield* Effect.scoped(start(url, two))
    const db = yield* start(url, { ...two, "3_count_again": run("insert into runs values (3)") })
    expect(yield* db.many(Count)`select n from runs order by n`).toEqual([{ n: 1 }, { n: 3 }])
  }).pipe(Effect.scoped))

it.live("applies each migration once when five clients start at the same time", () =>
  Effect.gen(function* () {
    const url = yield* TestDatabase.url
    const all = yield* Effect.all(Array.from({ length: 5 }, () => start(url, two)), {
      concurrency: "unbounded",
    })
    expect(yield* all[0]!.one(Count)`select count(*)::int as n from runs`).toEqual({ n: 1 })
  }).pipe(Effect.scoped))

it.live(
  "applies each migration once when five processes start at the same time",
  () =>
    Effect.gen(function* () {
      const url = yield* TestDatabase.url
      const script = fileURLToPath(new URL("./support/migrate.ts", import.meta.url))
      const codes = yield* Effect.forEach(
        [1, 2, 3, 4, 5],
        () =>
          Effect.promise(async () => {
            const output = await new Deno.Command(Deno.execPath(), {
              args: ["run", "-A", "--no-check", script, Redacted.value(url)],
              stdout: "null",
              stderr: "inherit",
            }).output()
            return output.code
          }),
        { concurrency: "unbounded" },
      )
      expect(codes).toEqual([0, 0, 0, 0, 0])
      const db = yield* start(url, {})
      expect(yield* db.one(Count)`select count(*)::int as n from runs`).toEqual({ n: 1 })
    }).pipe(Effect.scoped),
  120_000,
)

it.live("applies nothing when one of them fails, and says which and why", () =>
  Effect.gen(function* () {
    const url = yield* TestDatabase.url
    const error = yield* Effect.flip(
      start(url, { ...two, "3_broken": run("insert into nowhere values (1)") }),
    )
    expect(error.reason).toBe("MigrationFailed")
    expect(error.message).toBe(
      'Cannot migrate the database: migration "3_broken" failed (relation "nowhere" does not ' +
        "exist). Nothing was changed. Correct the migration and start again.",
    )
    const db = yield* start(url, {})
    const left = db.one(Count)`
      select count(*)::int as n from pg_tables where tablename = 'runs'`
    expect(yield* left).toEqual({ n: 0 })
    yield* Effect.scoped(start(url, two))
    expect(yield* left).toEqual({ n: 1 })
  }).pipe(Effect.scoped))

it.live("refuses names without a number, and numbers that come too late", () =>
  Effect.gen(function* () {
    const url = yield* TestDatabase.url
    const nameless = yield* Effect.flip(start(url, { "create": Effect.void }))
    expect(nameless.message).toContain('the name "create" is not of the form 1_create_orders')
    yield* Effect.scoped(start(url, { "2_later": Effect.void }))
    const late = yield* Effect.flip(
      start(url, { "1_earlier": Effect.void, "2_later": Effect.void }),
    )
    expect(late.message).toContain('"1_earlier" was added after migrations with higher numbers')
  }).pipe(Effect.scoped))

it.live("keeps lists of their own for tables that belong to a library", () =>
  Effect.gen(function* () {
    const url = yield* TestDatabase.url
    const db = yield* start(url, two)
    const record = { "1_box": run("create table box (id int)") }
    const bring = Database.migrations(record, { table: "weir_box_migrations" }).pipe(
      Effect.provideService(Database.Database, db),
    )
    expect(yield* bring).toEqual(["1_box"])
    expect(yield* bring).toEqual([])
  }).pipe(Effect.scoped))

it.live("does not let the statement timeout of queries end a migration", () =>
  Effect.gen(function* () {
    const url = yield* TestDatabase.url
    const db = yield* Database.make({
      url,
      statementTimeout: "50 millis",
      migrations: { "1_slow": run("select pg_sleep(0.2)") },
      name: crypto.randomUUID(),
    })
    const error = yield* Effect.flip(db.execute`select pg_sleep(30)`)
    expect(error).toMatchObject({ _tag: "DatabaseUnavailable", reason: "TimedOut" })
  }).pipe(Effect.scoped))
