import { PgClient } from "@effect/sql-pg"
import { expect, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import * as Database from "./database.ts"

const names = (url: Effect.Success<typeof Database.url>) =>
  Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    return yield* sql<{ name: string }>`select datname as name from pg_database`
  }).pipe(
    Effect.map((rows) => rows.map((row) => row.name)),
    Effect.provide(PgClient.layer({ url, maxConnections: 1 })),
  )

it.live("gives each scope an empty database of its own and drops it afterwards", () =>
  Effect.gen(function* () {
    const first = yield* Database.url
    const inner = yield* Scope.make()
    const second = yield* Scope.provide(Database.url, inner)
    const during = (yield* names(first)).filter((name) => name.startsWith("weir_test_"))
    expect(during.length).toBeGreaterThanOrEqual(2)
    const current = yield* Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      return yield* sql<{ name: string }>`select current_database() as name`
    }).pipe(Effect.provide(PgClient.layer({ url: second, maxConnections: 1 })))
    yield* Scope.close(inner, Exit.void)
    expect(yield* names(first)).not.toContain(current[0]?.name)
  }))
