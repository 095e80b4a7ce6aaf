/** Directories and processes for the tests of the embedded server. */
import { Effect, Redacted, type Scope } from "effect"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import type { Account } from "../../../src/store/command.ts"
import * as EmbeddedPostgres from "../../../src/store/EmbeddedPostgres.ts"
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
