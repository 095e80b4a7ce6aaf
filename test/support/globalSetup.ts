/**
 * Runs once around a whole test run: holds the shared embedded PostgreSQL, so that it does not stop
 * and start between test files. A run on another server does not need it.
 */
import { Effect, Exit, Scope } from "effect"

/** Tests that need no database must run where there can be none; the others say what is wrong. */
const hold = Effect.gen(function* () {
  // Imported late: a mistake in src must fail the tests that see it, not the whole run.
  const [{ make }, { shared }] = yield* Effect.tryPromise(() =>
    Promise.all([import("../../src/store/EmbeddedPostgres.ts"), import("./database.ts")])
  )
  yield* make(shared)
})

export default async (): Promise<() => Promise<void>> => {
  const scope = Scope.makeUnsafe()
  if (Deno.env.get("WEIR_TEST_DATABASE_URL") === undefined) {
    await Effect.runPromise(Effect.ignore(Scope.provide(hold, scope), { log: "Warn" }))
  }
  return () => Effect.runPromise(Scope.close(scope, Exit.void))
}
