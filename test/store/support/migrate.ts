/** One of several processes that start at the same time: connects, migrates, ends. */
import { Effect, Redacted } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import * as Database from "../../../src/store/Database.ts"

const run = (sql: string) => Effect.flatMap(SqlClient, (client) => client.unsafe(sql))

await Effect.runPromise(Effect.scoped(Database.make({
  url: Redacted.make(Deno.args[0] ?? ""),
  migrations: {
    "1_create_runs": run("create table runs (n int)"),
    "2_count_run": run("insert into runs values (1)"),
  },
})))
