/** PostgreSQL refuses to run as root, so root runs it as somebody else. */
import { Effect } from "effect"
import { dirname, resolve } from "node:path"
import type { Account } from "./command.ts"
import { run } from "./command.ts"
import type { DatabaseStartError } from "./DatabaseStartError.ts"
import * as StartError from "./DatabaseStartError.ts"

/**
 * Who must run the server: `undefined` (we ourselves) for an ordinary user; for root the owner of
 * the directory when that is an ordinary user, else the system user of the given name, which is
 * created if it does not exist.
 */
export const choose = Effect.fnUntraced(function* (
  directory: string,
  systemUser: string,
): Effect.fn.Return<Account | undefined, DatabaseStartError> {
  if (Deno.build.os === "windows" || Deno.uid() !== 0) return undefined
  const stat = yield* Effect.promise(() => Deno.stat(directory).catch(() => undefined))
  if (stat?.uid && stat.gid !== null) return { uid: stat.uid, gid: stat.gid }
  return (yield* find(systemUser)) ?? (yield* create(systemUser))
})

const find = (name: string): Effect.Effect<Account | undefined> =>
  Effect.promise(async () => {
    const passwd = await Deno.readTextFile("/etc/passwd").catch(() => "")
    const fields = passwd.split("\n").map((line) => line.split(":")).find(([user]) => user === name)
    return fields && { uid: Number(fields[2]), gid: Number(fields[3]) }
  })

const create = Effect.fnUntraced(function* (
  name: string,
): Effect.fn.Return<Account, DatabaseStartError> {
  const made = yield* Effect.result(run(
    "useradd",
    ["--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", name],
    undefined,
  ))
  const account = yield* find(name)
  if (account !== undefined) return account
  return yield* StartError.make(
    "NoSystemUser",
    `Cannot create the system user ${name}`,
    made._tag === "Success" ? made.success.stderr.trim() || "useradd failed" : made.failure.why,
    "PostgreSQL refuses to run as root: create that user, start the service as an ordinary user, " +
      "or set DATABASE_URL",
  )
})

/**
 * The first directory on the way to a path that the account may not enter, or `undefined` when it
 * can reach the path.
 */
export const enterable = (path: string, account: Account): Effect.Effect<string | undefined> =>
  Effect.promise(async () => {
    const above: Array<string> = []
    for (let at = dirname(resolve(path)); at !== dirname(at); at = dirname(at)) above.unshift(at)
    for (const at of above) {
      const stat = await Deno.stat(at).catch(() => undefined)
      // What does not exist yet will be made by us; what is no directory fails there, and says so.
      if (stat === undefined || !stat.isDirectory) return undefined
      const mode = stat.mode ?? 0o777
      const bit = stat.uid === account.uid ? 0o100 : stat.gid === account.gid ? 0o010 : 0o001
      if ((mode & bit) === 0) return at
    }
    return undefined
  })
