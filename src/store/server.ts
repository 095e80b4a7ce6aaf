/** Starts, watches and stops one PostgreSQL server through its own `initdb` and `pg_ctl`. */
import * as PgConnection from "@effect/sql-pg/PgConnection"
import type { Redacted } from "effect"
import { Effect, Schedule } from "effect"
import { join } from "node:path"
import process from "node:process"
import type { Binaries } from "./binaries.ts"
import type { Account } from "./command.ts"
import { run } from "./command.ts"
import type { DatabaseStartError } from "./DatabaseStartError.ts"
import * as StartError from "./DatabaseStartError.ts"
import { notWritable } from "./locks.ts"
import type { Postmaster } from "./postmaster.ts"
import { parse } from "./postmaster.ts"
import { explain, instead } from "./sentences.ts"

/** One database directory and what is needed to run it. */
export interface Site {
  readonly directory: string
  readonly account: Account | undefined
  readonly binaries: Binaries
}

/** PostgreSQL's own directory below ours. */
export const dataOf = (site: Site): string => join(site.directory, "data")
const logOf = (site: Site): string => join(site.directory, "server.log")

/** The superuser that `initdb` creates. */
export const username = "weir"

/** Creates the database files. They get their final name last, so a half-made one is never used. */
export const initialise = Effect.fnUntraced(function* (
  site: Site,
  password: string,
): Effect.fn.Return<void, DatabaseStartError> {
  const data = dataOf(site)
  const partial = `${data}.new`
  const passwordFile = join(site.directory, "initdb.password")
  const cleanUp = Effect.promise(async () => {
    await Deno.remove(passwordFile).catch(() => {})
    await Deno.remove(partial, { recursive: true }).catch(() => {})
  })
  const what = `Cannot create the database in ${site.directory}`
  yield* cleanUp
  yield* Effect.tryPromise({
    try: async () => {
      await Deno.writeTextFile(passwordFile, `${password}\n`, { mode: 0o600 })
      if (site.account) await Deno.chown(passwordFile, site.account.uid, site.account.gid)
    },
    catch: (error) => notWritable(site.directory, error),
  })
  yield* run(site.binaries.initdb, [
    `--pgdata=${partial}`,
    `--username=${username}`,
    `--pwfile=${passwordFile}`,
    "--auth=scram-sha-256",
    // Iterations slow down guessing; 256 random bits need none, and each costs every connection.
    "--set=scram_iterations=1",
    "--encoding=UTF8",
    // Sorts the same on every machine, whatever locales are installed.
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
  ], site.account).pipe(
    Effect.flatMap((output) =>
      output.code === 0
        ? Effect.tryPromise({
          try: () => Deno.rename(partial, data),
          catch: (error) => notWritable(site.directory, error),
        })
        : Effect.fail(explain(what, `${output.stdout}\n${output.stderr}`))
    ),
    Effect.ensuring(cleanUp),
  )
})

/** Starts the server and waits until it takes connections. */
export const start = Effect.fnUntraced(function* (
  site: Site,
  port: number,
  settings: Readonly<Record<string, string>>,
): Effect.fn.Return<void, DatabaseStartError> {
  const log = logOf(site)
  const before = yield* Effect.promise(() => shorten(log))
  const options = Object.entries({
    listen_addresses: "127.0.0.1",
    // Loopback and a password serve every platform; a socket's path has a length limit.
    unix_socket_directories: "",
    port: String(port),
    // Keeps the log small: the client sees its own errors.
    log_min_messages: "log",
    log_checkpoints: "off",
    ...settings,
  }).map(([name, value]) => quote(`--${name}=${value}`)).join(" ")
  // An interrupt would leave a server behind that nobody can find yet; this takes 0.1 s.
  const output = yield* Effect.uninterruptible(run(site.binaries.pgCtl, [
    ...["start", "--wait", "--silent", "--timeout=120"],
    ...[`--pgdata=${dataOf(site)}`, `--log=${log}`, `--options=${options}`],
  ], site.account))
  if (output.code === 0) return
  const written = yield* Effect.promise(() => Deno.readTextFile(log).catch(() => ""))
  return yield* explain(
    `Cannot start PostgreSQL on 127.0.0.1:${port}`,
    `${written.slice(before)}\n${output.stderr}`,
  )
})

/** Stops it: at first sessions are ended and everything is written, then without ceremony. */
export const stop = (
  site: Site,
  mode: "fast" | "immediate" = "fast",
): Effect.Effect<void, DatabaseStartError> =>
  Effect.flatMap(
    run(site.binaries.pgCtl, [
      ...["stop", "--wait", "--silent", "--timeout=5"],
      ...[`--pgdata=${dataOf(site)}`, `--mode=${mode}`],
    ], site.account),
    (output) =>
      Effect.flatMap(running(site), (still) => {
        if (!still) return Effect.void
        if (mode === "fast") return stop(site, "immediate")
        return Effect.fail(StartError.make(
          "NotStarted",
          `Cannot stop PostgreSQL in ${site.directory}`,
          output.stderr.trim() || "it did not end within 10 s",
          "Stop it by hand",
        ))
      }),
  )

/** Whether the process named in `postmaster.pid` lives and belongs to the account. */
export const running = (site: Site): Effect.Effect<boolean, DatabaseStartError> =>
  Effect.map(
    run(site.binaries.pgCtl, ["status", `--pgdata=${dataOf(site)}`], site.account),
    (output) => output.code === 0,
  )

/** What `postmaster.pid` says: of the server that runs, or of one that was killed. */
export const postmasterOf = (site: Site): Effect.Effect<Postmaster | undefined> =>
  Effect.promise(() =>
    Deno.readTextFile(join(dataOf(site), "postmaster.pid")).then(parse, () => undefined)
  )

/**
 * Finds a live server on this directory, whoever started it: an orphan of a killed process, or one
 * that another process shares. `undefined` when there is none; what a crash left behind is removed.
 */
export const find = Effect.fnUntraced(function* (
  site: Site,
  password: Redacted.Redacted,
): Effect.fn.Return<Postmaster | undefined, DatabaseStartError> {
  // A server that is starting or stopping gets ten seconds to make up its mind.
  const settled = yield* Effect.gen(function* () {
    const alive = yield* running(site)
    const postmaster = alive ? yield* postmasterOf(site) : undefined
    return { postmaster, settled: postmaster === undefined || postmaster.status === "ready" }
  }).pipe(
    Effect.repeat({
      until: (state: { readonly settled: boolean }) => state.settled,
      schedule: Schedule.max([Schedule.spaced("50 millis"), Schedule.recurs(200)]),
    }),
  )
  const { postmaster } = settled
  if (postmaster === undefined) return undefined
  if (settled.settled && (yield* isOurs(site, postmaster, password))) return postmaster
  if (yield* isPostgres(postmaster.pid)) {
    return yield* StartError.make(
      "DirectoryInUse",
      `Cannot use the database in ${site.directory}`,
      `a PostgreSQL server (process ${postmaster.pid}) has it and does not let us in`,
      `Stop that process, name another directory in WEIR_DATA_DIR, ${instead}`,
    )
  }
  yield* disown(site)
  return undefined
})

/**
 * After a crash the number was given to another program, and PostgreSQL would refuse to start. A
 * number that no process can have is put in its place; the rest of the file stays, because with it
 * PostgreSQL makes sure that no process of the old server is left.
 */
const disown = (site: Site): Effect.Effect<void> =>
  Effect.promise(async () => {
    const file = join(dataOf(site), "postmaster.pid")
    const text = await Deno.readTextFile(file).catch(() => undefined)
    if (text !== undefined) await Deno.writeTextFile(file, text.replace(/^\d+/, "2147483647"))
  })

/** Logs in and asks the server for its directory: proof that also covers the password. */
const isOurs = (
  site: Site,
  postmaster: Postmaster,
  password: Redacted.Redacted,
): Effect.Effect<boolean> =>
  Effect.gen(function* () {
    const connection = yield* PgConnection.make({
      host: "127.0.0.1",
      port: postmaster.port,
      username,
      password,
      database: "postgres",
      connectTimeout: "3 seconds",
    })
    const { rows } = yield* connection.query("select current_setting('data_directory') as d")
    const theirs = String(rows[0]?.d)
    return yield* Effect.promise(async () =>
      await Deno.realPath(theirs) === await Deno.realPath(dataOf(site))
    )
  }).pipe(Effect.scoped, Effect.catchCause(() => Effect.succeed(false)))

/**
 * Whether the server still runs, for who looks again and again: without `/proc`, which Deno shows
 * only to programs that may do everything. A process that has ended but was never reaped, as in a
 * container without an init, keeps its number: so every tenth look also knocks at the port.
 */
export const alive = (
  { pid, port }: Pick<Postmaster, "pid" | "port">,
  look: number,
): Effect.Effect<boolean> =>
  Effect.suspend(() => {
    if (!exists(pid)) return Effect.succeed(false)
    return look % 10 === 9 ? listens(port) : Effect.succeed(true)
  })

const exists = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return !(error instanceof Error && "code" in error && error.code === "ESRCH")
  }
}

const listens = (port: number): Effect.Effect<boolean> =>
  Effect.promise(() =>
    Deno.connect({ hostname: "127.0.0.1", port }).then(
      (connection) => {
        connection.close()
        return true
      },
      (error) => !(error instanceof Deno.errors.ConnectionRefused),
    )
  )

/** Unknown counts as yes: taking the directory of a live server would damage it. */
const isPostgres = (pid: number): Effect.Effect<boolean> =>
  Deno.build.os === "linux"
    ? Effect.match(
      // By another program, because Deno itself may not (see `alive`).
      run("cat", [`/proc/${pid}/cmdline`], undefined),
      {
        onFailure: () => true,
        onSuccess: ({ code, stderr, stdout }) =>
          code === 0
            ? /postgres/.test(stdout.split("\0")[0] ?? "")
            : !stderr.includes("No such file"),
      },
    )
    : Effect.succeed(true)

/** Starts a new log when the old one has grown past 1 MiB; returns how much of it there is. */
const shorten = async (log: string): Promise<number> => {
  const text = await Deno.readTextFile(log).catch(() => "")
  if (text.length < 1024 * 1024) return text.length
  await Deno.rename(log, `${log}.old`)
  return 0
}

/** For the shell that `pg_ctl` starts the server with. */
const quote = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`
