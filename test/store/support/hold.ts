/**
 * A service process: starts or joins the embedded server of a directory, says so in one line of
 * JSON, runs a query for ever if asked to, and ends when its standard input ends.
 */
import { Effect, Redacted } from "effect"
import * as Database from "../../../src/store/Database.ts"
import * as EmbeddedPostgres from "../../../src/store/EmbeddedPostgres.ts"

const [directory, query] = Deno.args

const say = (line: unknown) => Effect.sync(() => console.log(JSON.stringify(line)))

const stdinEnded = Effect.promise(async () => {
  for await (const _ of Deno.stdin.readable);
})

const program = Effect.gen(function* () {
  const server = yield* EmbeddedPostgres.make({
    directory,
    settings: { fsync: "off" },
    progress: (line) => Effect.sync(() => console.error(line)),
  })
  if (query !== undefined) {
    const db = yield* Database.make({ url: server.url })
    yield* Effect.forkScoped(db.sql.unsafe(query), { startImmediately: true })
  }
  yield* say({
    port: server.port,
    adopted: server.adopted,
    directory: server.directory,
    url: Redacted.value(server.url),
  })
  yield* stdinEnded
})

await Effect.runPromise(
  Effect.catchTag(
    Effect.scoped(program),
    "DatabaseStartError",
    (error) => say({ reason: error.reason, message: error.message }),
  ),
)
