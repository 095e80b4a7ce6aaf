/** Starts a server on a port, or finds that somebody else has. */
import type { Redacted } from "effect"
import { Effect, Schedule } from "effect"
import type { DatabaseStartError } from "./DatabaseStartError.ts"
import * as StartError from "./DatabaseStartError.ts"
import type { Postmaster } from "./postmaster.ts"
import type { Site } from "./server.ts"
import { find, postmasterOf, start } from "./server.ts"
import { door } from "./site.ts"

/**
 * Clients know a server by its port, those of other processes too: one that was killed gets the port
 * that it had. A free port may be taken between the look and the start: then another one is tried,
 * twice. The processes of a server whose first process was killed need a moment to notice.
 */
export const launch = Effect.fnUntraced(function* (
  site: Site,
  port: number | undefined,
  settings: Readonly<Record<string, string>> = {},
): Effect.fn.Return<Postmaster, DatabaseStartError> {
  let last = (yield* postmasterOf(site))?.port ?? 0
  yield* Effect.suspend(() => start(site, port ?? (last > 1023 ? last : freePort()), settings))
    .pipe(
      Effect.tapError((error) =>
        Effect.sync(() => {
          if (error.reason === "PortInUse") last = 0
        })
      ),
      Effect.retry({
        times: 2,
        while: (error) => error.reason === "PortInUse" && port === undefined,
      }),
      Effect.retry({
        while: (error) => error.reason === "DirectoryInUse",
        schedule: Schedule.max([Schedule.spaced("200 millis"), Schedule.recurs(25)]),
      }),
    )
  const started = yield* postmasterOf(site)
  if (started !== undefined) return started
  return yield* StartError.make(
    "NotStarted",
    `Cannot start PostgreSQL in ${site.directory}`,
    "it ended right after its start",
    "Read server.log in that directory, or set DATABASE_URL",
  )
})

/** Starts a server again where its clients know it, unless another process has. */
export const revive = (
  site: Site,
  password: Redacted.Redacted,
  port: number,
  settings: Readonly<Record<string, string>> | undefined,
): Effect.Effect<Postmaster, DatabaseStartError> =>
  Effect.scoped(Effect.gen(function* () {
    yield* door(site)
    const postmaster = (yield* find(site, password)) ?? (yield* launch(site, port, settings))
    if (postmaster.port === port) return postmaster
    return yield* StartError.make(
      "PortInUse",
      `Cannot use PostgreSQL in ${site.directory} any longer`,
      `another process has started it on port ${postmaster.port}, and not on ${port} as before`,
      "Stop all services that use it",
    )
  }))

const freePort = (): number => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 })
  return (listener.addr as Deno.NetAddr).port
}
