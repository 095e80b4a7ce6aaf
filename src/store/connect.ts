/** The first connection of a service: may we in, is the server new enough, and what can it do? */
import * as PgClient from "@effect/sql-pg/PgClient"
import type { Redacted, Scope } from "effect"
import { Effect, Redacted as Redactions, Schedule } from "effect"
import * as Reactivity from "effect/reactivity/Reactivity"
import type { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { DatabaseStartError } from "./DatabaseStartError.ts"
import * as StartError from "./DatabaseStartError.ts"
import { classify, codeOf } from "./sqlstate.ts"

/** The oldest server that is supported: the first with `client_connection_check_interval`. */
export const oldest = 140_000

export interface Greeting {
  /** A client on a connection of its own, without a statement timeout. */
  readonly client: SqlClient
  /** Session parameters that every later connection asks for. */
  readonly parameters: Readonly<Record<string, string>>
}

/** Connects once; the connection ends with the scope. */
export const greet = Effect.fnUntraced(function* (
  url: Redacted.Redacted,
  applicationName: string,
): Effect.fn.Return<Greeting, DatabaseStartError, Scope.Scope> {
  const server = describe(url)
  if (server === undefined) {
    return yield* StartError.make(
      "InvalidUrl",
      "Cannot read DATABASE_URL",
      "it is not a PostgreSQL address",
      "Write it as postgres://user:password@host:5432/database",
    )
  }
  const client = yield* PgClient.makeClient({ url, applicationName }).pipe(
    // A server that has just been started, as by `docker compose up`, says so and is waited for.
    Effect.retry({
      while: (error) => classify(error)?.["reason"] === "StartingUp",
      schedule: Schedule.max([Schedule.spaced("200 millis"), Schedule.recurs(150)]),
    }),
    Effect.provide(Reactivity.layer),
    Effect.mapError((error) => refusal(server, error)),
  )
  const ask = <A>(effect: Effect.Effect<A, SqlError>) =>
    Effect.mapError(effect, (error) => refusal(server, error))
  const [row] = yield* ask(
    client.unsafe<{ n: string; v: string }>(
      "select current_setting('server_version_num') as n, current_setting('server_version') as v",
    ),
  )
  const tooOld = checkVersion(server, Number(row?.n), String(row?.v))
  if (tooOld !== undefined) return yield* tooOld
  // Not every operating system can watch a connection while a query runs.
  const watches = yield* Effect.isSuccess(
    client.unsafe("select set_config('client_connection_check_interval', '500', false)"),
  )
  return { client, parameters: watches ? { client_connection_check_interval: "500" } : {} }
})

/** The refusal of a server that is too old, or `undefined`. */
export const checkVersion = (
  server: string,
  number: number,
  version: string,
): DatabaseStartError | undefined =>
  number >= oldest ? undefined : StartError.make(
    "TooOld",
    `Cannot use the database ${server}`,
    `it runs PostgreSQL ${version}, and 14 is the oldest version that works`,
    "Upgrade the server, or unset DATABASE_URL to use the embedded one",
  )

/** `host:port/database`, never the password; `undefined` for something that is no address. */
export const describe = (secret: Redacted.Redacted): string | undefined => {
  const text = Redactions.value(secret)
  if (!/^postgres(ql)?:\/\//.test(text) || !URL.canParse(text)) return undefined
  const url = new URL(text)
  return `${url.hostname || url.searchParams.get("host") || "localhost"}:${url.port || "5432"}` +
    (url.pathname.length > 1 ? url.pathname : "")
}

/** Why the server did not let us in. */
const refusal = (server: string, error: SqlError): DatabaseStartError => {
  const code = codeOf(error)
  const what = `Cannot use the database ${server}`
  const said = (error.reason.cause instanceof Error ? error.reason.cause.message : error.message)
    .replace(/\.\s*$/, "")
  if (code?.startsWith("28")) {
    return StartError.make("WrongPassword", what, said, "Correct user and password in DATABASE_URL")
  }
  if (code === "3D000") {
    return StartError.make(
      "UnknownDatabase",
      what,
      said,
      "Create it (`createdb`), or correct DATABASE_URL",
    )
  }
  if (code === undefined || !/^[0-9A-Z]{5}$/.test(code) || code.startsWith("57P")) {
    return StartError.make(
      "Unreachable",
      what,
      said,
      "Start the server, correct DATABASE_URL, or unset it to use the embedded one",
    )
  }
  return StartError.make("Rejected", what, said, "Correct DATABASE_URL or the server's settings")
}
