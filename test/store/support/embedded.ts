/** Directories and processes for the tests of the embedded server. */
import { Effect, Exit, Redacted, Scope } from "effect"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { choose } from "../../../src/store/account.ts"
import { prepare } from "../../../src/store/binaries.ts"
import type { Account } from "../../../src/store/command.ts"
import * as EmbeddedPostgres from "../../../src/store/EmbeddedPostgres.ts"
import * as Locks from "../../../src/store/locks.ts"
import type { Site } from "../../../src/store/server.ts"
import * as Server from "../../../src/store/server.ts"
import * as Sites from "../../../src/store/site.ts"

/** A directory that PostgreSQL's user may enter, removed in the end. */
export const folder: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.promise(async () => {
    const path = await Deno.makeTempDir({ prefix: "weir-embedded-" })
    await Deno.chmod(path, 0o777)
    return path
  }),
  (path) => Effect.promise(() => Deno.remove(path, { recursive: true })),
)

/** A database that was created before and is not running: a copy, because creating one is slow. */
export const site: Effect.Effect<string, never, Scope.Scope> = Effect.gen(function* () {
  const template = yield* Effect.orDie(created)
  const path = join(yield* folder, "postgres")
  yield* Effect.promise(async () => {
    const { success } = await new Deno.Command("cp", { args: ["-a", template, path] }).output()
    if (!success) throw new Error(`cannot copy ${template}`)
  })
  return path
})

/** Never started, so that a copy is always that of a server that was stopped. */
const created = Effect.scoped(Effect.gen(function* () {
  const template = join(tmpdir(), `weir-test-template-${Deno.uid() ?? "user"}`)
  const site = yield* Sites.open(template, "postgres")
  yield* Sites.door(site)
  if ((yield* Sites.passwordOf(site)) === undefined) yield* Sites.create(site)
  return template
}))

/** A server on the directory, with quick settings. */
export const start = (directory: string, options: EmbeddedPostgres.Options = {}) =>
  EmbeddedPostgres.make({
    directory,
    settings: { fsync: "off" },
    progress: () => Effect.void,
    ...options,
  })

/**
 * A server that somebody else runs, on a directory made by {@link site}: nobody starts it again when
 * it ends.
 */
export const foreign = Effect.fnUntraced(function* (directory: string) {
  const account = yield* choose(directory, "postgres")
  const server: Site = { directory, account, binaries: yield* prepare(account) }
  const password = Redacted.value((yield* Sites.passwordOf(server))!)
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 })
  const { port } = listener.addr as Deno.NetAddr
  listener.close()
  const again = Server.start(server, port, { fsync: "off" })
  yield* Effect.acquireRelease(again, () => Effect.ignore(Server.stop(server)))
  const url = Redacted.make(`postgres://${Server.username}:${password}@127.0.0.1:${port}/postgres`)
  return { server, port, url, again }
})

/** What the server has written about itself. */
export const serverLog = (directory: string): Effect.Effect<string> =>
  Effect.promise(() => Deno.readTextFile(join(directory, "server.log")).catch(() => ""))

/**
 * Keeps everybody from starting or stopping the server on that directory, until the returned effect
 * has run.
 */
export const closeDoor = Effect.fnUntraced(function* (directory: string) {
  const scope = yield* Scope.fork(yield* Effect.scope)
  yield* Scope.provide(Locks.exclusive(join(directory, "door.lock"), "10 seconds"), scope)
  return Scope.close(scope, Exit.void)
})

export interface Said {
  readonly port?: number
  readonly adopted?: boolean
  readonly directory?: string
  readonly url?: string
  readonly reason?: string
  readonly message?: string
}

/** A process that runs `hold.ts`; it is ended with the scope. */
export const hold = (
  args: ReadonlyArray<string>,
  options: {
    readonly account?: Account
    readonly cwd?: string
    readonly env?: Record<string, string>
  } = {},
) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const child = new Deno.Command(Deno.execPath(), {
        args: [
          ...["run", "-A", "--no-check", "--config", path("../../../deno.json")],
          ...[path("./hold.ts"), ...args],
        ],
        stdin: "piped",
        stdout: "piped",
        stderr: "piped",
        ...options.account,
        ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
        ...(options.env === undefined ? {} : { env: options.env }),
      }).spawn()
      const errors = new Response(child.stderr).text()
      const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader()
      let text = ""
      while (!text.includes("\n")) {
        const { value, done } = await reader.read()
        if (done) throw new Error(`hold.ts said nothing: ${await errors}`)
        text += value
      }
      reader.releaseLock()
      let open = true
      return {
        said: JSON.parse(text) as Said,
        errors,
        /** Ends it as a service ends: scopes close. */
        end: async () => {
          if (open) await child.stdin.close()
          open = false
          return (await child.status).code
        },
        /** Ends it as no service should. */
        kill: async () => {
          open = false
          child.kill("SIGKILL")
          await child.status
        },
      }
    }),
    (child) => Effect.promise(() => child.end()),
  )

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url))

/** Logs in and out; false when nobody listens there. */
export const answers = (url: string | Redacted.Redacted): Effect.Effect<boolean> =>
  Effect.promise(async () => {
    const { port } = new URL(typeof url === "string" ? url : Redacted.value(url))
    const connection = await Deno.connect({ hostname: "127.0.0.1", port: Number(port) })
      .catch(() => undefined)
    connection?.close()
    return connection !== undefined
  })
