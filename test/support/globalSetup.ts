/**
 * Runs once around a whole test run: holds the shared embedded PostgreSQL, so that it does not stop
 * and start between test files. A run on another server does not need it.
 */
import { Effect, Exit, Scope } from "effect"
import * as EmbeddedPostgres from "../../src/store/EmbeddedPostgres.ts"
import { shared } from "./database.ts"

export default async (): Promise<() => Promise<void>> => {
  const scope = Scope.makeUnsafe()
  if (Deno.env.get("WEIR_TEST_DATABASE_URL") === undefined) {
    // Tests that need no database must run where there can be none; the others say what is wrong.
    await Effect.runPromise(
      Effect.ignore(Scope.provide(EmbeddedPostgres.make(shared), scope), { log: "Warn" }),
    )
  }
  return () => Effect.runPromise(Scope.close(scope, Exit.void))
}
