/** The directory of an embedded server: where it is, who owns it, who is using it. */
import type { Scope } from "effect"
import { Config, Effect, Option, Redacted } from "effect"
import { createHash, randomBytes } from "node:crypto"
import { dirname, join, resolve } from "node:path"
import { choose, enterable } from "./account.ts"
import { prepare } from "./binaries.ts"
import type { Account } from "./command.ts"
import type { DatabaseStartError } from "./DatabaseStartError.ts"
import * as StartError from "./DatabaseStartError.ts"
import * as Locks from "./locks.ts"
import type { Site } from "./server.ts"
import { dataOf, initialise, running, stop } from "./server.ts"

/** Finds or makes the directory and finds the programs. */
export const open = Effect.fnUntraced(function* (
  wanted: string | undefined,
  systemUser: string,
): Effect.fn.Return<Site, DatabaseStartError> {
  const variable = Option.getOrUndefined(
    yield* Effect.orDie(Config.option(Config.NonEmptyString("WEIR_DATA_DIR"))),
  )
  const here = resolve(wanted ?? variable ?? ".weir/postgres")
  const account = yield* choose(here, systemUser)
  const closed = account && (yield* enterable(here, account))
  if (closed !== undefined && (wanted ?? variable) !== undefined) {
    return yield* StartError.make(
      "DirectoryNotWritable",
      `Cannot use ${here} for the database`,
      `PostgreSQL refuses to run as root, and its user ${systemUser} may not enter ${closed}`,
      "Name another directory in WEIR_DATA_DIR, start the service as an ordinary user, or set " +
        "DATABASE_URL",
    )
  }
  const directory = closed === undefined ? here : `/var/lib/weir/${digest(here)}`
  yield* Effect.tryPromise({
    try: () => make(directory, account),
    catch: (error) => Locks.notWritable(directory, error),
  })
  return { directory, account, binaries: yield* prepare(account) }
})

const digest = (path: string): string =>
  createHash("sha256").update(path).digest("hex").slice(0, 12)

/** Makes the directory with all above it; what is above stays passable for the server's user. */
const make = async (directory: string, account: Account | undefined): Promise<void> => {
  const missing: Array<string> = []
  for (let at = directory; !(await exists(at)); at = dirname(at)) missing.unshift(at)
  for (const at of missing) {
    const mode = at === directory ? 0o700 : 0o755
    await Deno.mkdir(at, { mode, recursive: true })
    if (Deno.build.os !== "windows") await Deno.chmod(at, mode)
  }
  if (account && (await Deno.stat(directory)).uid !== account.uid) {
    await Deno.chown(directory, account.uid, account.gid)
  }
}

const exists = (path: string): Promise<boolean> =>
  Deno.stat(path).then(() => true, (error) => {
    if (error instanceof Deno.errors.NotFound) return false
    throw error
  })

/**
 * Holds the door until the scope closes: one process at a time decides whether a server is started,
 * adopted or stopped. The first start of another process may need some seconds.
 */
export const door = (site: Site): Effect.Effect<void, DatabaseStartError, Scope.Scope> =>
  Effect.flatMap(
    Locks.exclusive(join(site.directory, "door.lock"), "60 seconds"),
    (held) =>
      held ? Effect.void : Effect.fail(StartError.make(
        "DirectoryInUse",
        `Cannot use the database in ${site.directory}`,
        "another process has been starting or stopping it for 60 s",
        "Stop that process, or name another directory in WEIR_DATA_DIR",
      )),
  )

/**
 * Counts this process among the users of the server until the scope closes, then stops the server
 * if nobody else is left. The caller holds the {@link door}.
 */
export const enrol = (site: Site): Effect.Effect<void, DatabaseStartError, Scope.Scope> =>
  Effect.flatMap(Locks.open(join(site.directory, "users.lock")), (users) =>
    Effect.acquireRelease(
      Locks.tryLock(users, "shared"),
      () => leave(site, users),
    ))

const leave = (site: Site, users: Deno.FsFile): Effect.Effect<void> =>
  door(site).pipe(
    Effect.andThen(Effect.promise(() => users.unlock())),
    Effect.andThen(Locks.tryLock(users, "exclusive")),
    Effect.flatMap((alone) => alone ? running(site) : Effect.succeed(false)),
    Effect.flatMap((last) => last ? stop(site) : Effect.void),
    // Before the door opens: the next one in must find this lock free.
    Effect.ensuring(Effect.promise(() => users.unlock())),
    Effect.scoped,
    Effect.catchTag("DatabaseStartError", (error) => Effect.logWarning(error.message)),
  )

/** The password of an existing database; `undefined` when there is no database yet. */
export const passwordOf = (
  site: Site,
): Effect.Effect<Redacted.Redacted | undefined, DatabaseStartError> =>
  Effect.tryPromise({
    try: async () => {
      if (!(await exists(join(dataOf(site), "PG_VERSION")))) return undefined
      return Redacted.make((await Deno.readTextFile(passwordFile(site))).trim())
    },
    catch: (error) =>
      StartError.make(
        "DirectoryDamaged",
        `Cannot use the database in ${site.directory}`,
        error instanceof Deno.errors.NotFound
          ? "its file `password` is missing"
          : `its files cannot be read (${error instanceof Error ? error.message : error})`,
        "Restore them, or name another directory in WEIR_DATA_DIR",
      ),
  })

/** Creates the database with a new random password. The caller holds the {@link door}. */
export const create = Effect.fnUntraced(function* (
  site: Site,
): Effect.fn.Return<Redacted.Redacted, DatabaseStartError> {
  // A secret: Effect's Random is not meant for those.
  const password = randomBytes(32).toString("hex")
  yield* Effect.tryPromise({
    try: async () => {
      const path = passwordFile(site)
      await Deno.writeTextFile(path, `${password}\n`, { mode: 0o600 })
      if (site.account) await Deno.chown(path, site.account.uid, site.account.gid)
    },
    catch: (error) => Locks.notWritable(site.directory, error),
  })
  yield* initialise(site, password)
  return Redacted.make(password)
})

const passwordFile = (site: Site): string => join(site.directory, "password")
