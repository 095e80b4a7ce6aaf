/**
 * A real PostgreSQL server from npm, in a directory of its own: the database of a service for which
 * nobody has set up a database yet.
 *
 * @module
 */
import { Clock, Context, Effect, Layer, Redacted, Scope } from "effect"
import type { DatabaseStartError } from "./DatabaseStartError.ts"
import { keep } from "./keep.ts"
import { launch, revive } from "./launch.ts"
import type { Site } from "./server.ts"
import { alive, find, username } from "./server.ts"
import * as Sites from "./site.ts"

/**
 * A running server.
 *
 * @category models
 * @since 0.1.0
 */
export interface EmbeddedPostgres {
  /** `postgres://weir:…@127.0.0.1:port/postgres`. */
  readonly url: Redacted.Redacted
  /** On 127.0.0.1; the same for as long as the scope is open. */
  readonly port: number
  /** The absolute path of the directory. */
  readonly directory: string
  /** True when the server was already running: started by another process, or left by a killed one. */
  readonly adopted: boolean
}

/**
 * The service.
 *
 * @category services
 * @since 0.1.0
 */
export const EmbeddedPostgres: Context.Service<EmbeddedPostgres, EmbeddedPostgres> = Context
  .Service<EmbeddedPostgres>("weir/store/EmbeddedPostgres")

/**
 * How to run the server.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /**
   * Where everything is kept. Default: the variable `WEIR_DATA_DIR`, else `./.weir/postgres`; for
   * root, when PostgreSQL's user may not enter the working directory, `/var/lib/weir/<hash of it>`.
   */
  readonly directory?: string | undefined
  /** Port on 127.0.0.1. Default: any free one. A server that already runs keeps its own. */
  readonly port?: number | undefined
  /** Settings as in `postgresql.conf`, for a server that is started here. */
  readonly settings?: Readonly<Record<string, string>> | undefined
  /** As root: who runs the server; created when absent. Default: `postgres`. */
  readonly systemUser?: string | undefined
  /** Called with a line for the person who waits. Default: logs it. */
  readonly progress?: ((line: string) => Effect.Effect<void>) | undefined
}

/**
 * Starts the server, or joins the one that already runs on the directory, until the scope closes.
 *
 * **Details** – The first start creates the database (about 1.5 s), a later one takes about 0.15 s.
 * The directory holds PostgreSQL's own `data`, its `server.log` (at most 1 MiB when a server is
 * started, and one older), and `password` (256 random bits, readable by the owner only; the server
 * accepts nothing but SCRAM on 127.0.0.1).
 * Any number of processes may share one directory, at the same time too: file locks let one of them
 * start the server, and **the last one to leave stops it**, whoever started it. A process that was
 * killed leaves at once, its server is found by `postmaster.pid`, proved to be ours by logging in,
 * and adopted. The server is not a child of this process: Ctrl-C in a terminal does not reach it,
 * so it still serves while the service drains.
 * Stopping is a fast shutdown, after 5 s an immediate one (nothing committed is lost by either).
 * As root the server runs as the owner of the directory, else as `systemUser`.
 *
 * A server that ends before its users, however it ends, is started again, on the same port: its
 * process is looked at twice a second, its port every five. There are 8 attempts, the first at once, the others after
 * 0.5, 1, 2, 4, 8, 16 and 30 s, each with a line in the log; a server that then lives for a minute
 * has all of them again. Of several processes one starts it, the others find it running. Nothing is
 * started once the scope closes. After the last attempt work fails until the service is started
 * again.
 *
 * **Fails with** – {@link DatabaseStartError} when there is no server at the end: port in use,
 * directory not writable or held by a server that does not let us in, programs missing or not
 * runnable, disk full.
 *
 * **Interruption** – stops what it was doing; a half-created database is removed.
 *
 * **Gotchas** – to stop the server, stop its users: one that is stopped by hand is started again.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  options: Options = {},
): Effect.Effect<EmbeddedPostgres, DatabaseStartError, Scope.Scope> =>
  // Processes and file locks live in real time, also in a test whose clock stands still.
  Effect.provideService(run(options), Clock.Clock, Clock.Clock.defaultValue())

/**
 * {@link make} as a layer.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: Options = {},
): Layer.Layer<EmbeddedPostgres, DatabaseStartError> =>
  Layer.effect(EmbeddedPostgres, make(options))

const run = Effect.fnUntraced(function* (
  options: Options,
): Effect.fn.Return<EmbeddedPostgres, DatabaseStartError, Scope.Scope> {
  const scope = yield* Effect.scope
  const site = yield* Sites.open(options.directory, options.systemUser ?? "postgres")
  return yield* Effect.scoped(Effect.gen(function* () {
    yield* Sites.door(site)
    // Before there is a server: whatever happens from here, leaving stops it.
    yield* Scope.provide(Sites.enrol(site), scope)
    const password = (yield* Sites.passwordOf(site)) ?? (yield* first(site, options))
    const found = yield* find(site, password)
    const { pid, port } = found ?? (yield* launch(site, options.port, options.settings))
    // After `enrol`, so it ends before that: nothing is started that nobody would stop.
    yield* Effect.forkIn(
      keep({
        name: `PostgreSQL in ${site.directory}`,
        pid,
        alive: (pid, look) => alive({ pid, port }, look),
        revive: Effect.map(
          revive(site, password, port, options.settings),
          (postmaster) => postmaster.pid,
        ),
      }),
      scope,
    )
    const address = `127.0.0.1:${port}/postgres`
    return {
      url: Redacted.make(`postgres://${username}:${Redacted.value(password)}@${address}`, {
        label: `postgres://${address}`,
      }),
      port,
      directory: site.directory,
      adopted: found !== undefined,
    }
  }))
})

const first = (
  site: Site,
  { progress = (line) => Effect.logInfo(line) }: Options,
): Effect.Effect<Redacted.Redacted, DatabaseStartError> =>
  Effect.andThen(
    progress(`creating the database in ${site.directory} (first start only, about 1 s)`),
    Sites.create(site),
  )
