import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Redacted, Scope } from "effect"
import { join } from "node:path"
import { enterable } from "../../src/store/account.ts"
import { parse } from "../../src/store/postmaster.ts"
import * as TestDatabase from "../support/database.ts"
import { answers, folder, foreign, hold, site, start } from "./support/embedded.ts"

const asRoot = Deno.uid() === 0
const minute = 120_000

const run = (url: Redacted.Redacted, sql: string) =>
  Effect.scoped(Effect.flatMap(
    TestDatabase.connection(url),
    (connection) => Effect.orDie(connection.query(sql)),
  ))

const postmaster = (directory: string) =>
  Effect.promise(async () =>
    parse(await Deno.readTextFile(join(directory, "data", "postmaster.pid")).catch(() => ""))
  )

const replacePid = (directory: string, pid: number) =>
  Effect.promise(() =>
    Deno.writeTextFile(
      join(directory, "data", "postmaster.pid"),
      [pid, join(directory, "data"), 1, 1, "", "127.0.0.1", "", "ready"].join("\n"),
    )
  )

it.live(
  "creates the database at the first start, says so, and keeps what was written",
  () =>
    Effect.gen(function* () {
      const directory = join(yield* folder, "new", "postgres")
      const lines: Array<string> = []
      const options = { progress: (line: string) => Effect.sync(() => void lines.push(line)) }
      yield* Effect.scoped(Effect.gen(function* () {
        const server = yield* start(directory, options)
        expect(server).toMatchObject({ adopted: false, directory })
        yield* run(server.url, "create table kept (n int)")
      }))
      expect(lines).toEqual([`creating the database in ${directory} (first start only, about 1 s)`])
      const again = yield* start(directory, options)
      expect(lines.length).toBe(1)
      expect((yield* run(again.url, "select count(*)::int as n from kept")).rows).toEqual([{
        n: 0,
      }])
    }).pipe(Effect.scoped),
  minute,
)

it.live(
  "is open to nobody without the password, which only its owner can read",
  () =>
    Effect.gen(function* () {
      const directory = yield* site
      const server = yield* start(directory)
      const file = yield* Effect.promise(() => Deno.stat(join(directory, "password")))
      expect(file.mode! & 0o777).toBe(0o600)
      expect(String(server.url)).not.toContain(new URL(Redacted.value(server.url)).password)
      const wrong = TestDatabase.withUrl(server.url, (url) => url.password = "guess")
      const exit = yield* Effect.exit(run(wrong, "select 1"))
      expect(Exit.isFailure(exit)).toBe(true)
      expect((yield* postmaster(directory))?.host).toBe("127.0.0.1")
    }).pipe(Effect.scoped),
  minute,
)

it.live("stops the server when the scope closes, sessions or not", () =>
  Effect.gen(function* () {
    const directory = yield* site
    const scope = yield* Scope.make()
    const server = yield* Scope.provide(start(directory), scope)
    yield* TestDatabase.connection(server.url)
    yield* Scope.close(scope, Exit.void)
    expect(yield* answers(server.url)).toBe(false)
    expect(yield* Effect.promise(() => Deno.readTextFile(join(directory, "server.log"))))
      .toContain("database system is shut down")
  }).pipe(Effect.scoped), minute)

it.live(
  "adopts the orphan of a killed process, ends its queries, and stops it in the end",
  () =>
    Effect.gen(function* () {
      const directory = yield* site
      const killed = yield* hold([directory, "select pg_sleep(600) as orphaned"])
      const url = Redacted.make(killed.said.url!)
      const active = Effect.map(
        run(
          url,
          "select 1 from pg_stat_activity where query like '%as orphaned' and state = 'active'",
        ),
        (result) => result.rows.length,
      )
      yield* TestDatabase.eventually(active, (n) => n === 1)
      const before = yield* postmaster(directory)
      yield* Effect.promise(killed.kill)
      expect(yield* answers(url)).toBe(true)
      const scope = yield* Scope.make()
      const heir = yield* Scope.provide(start(directory), scope)
      expect(heir).toMatchObject({ adopted: true, port: killed.said.port })
      expect((yield* postmaster(directory))?.pid).toBe(before?.pid)
      // client_connection_check_interval: the server notices within half a second.
      expect(yield* TestDatabase.eventually(active, (n) => n === 0)).toBe(0)
      yield* Scope.close(scope, Exit.void)
      expect(yield* answers(url)).toBe(false)
    }).pipe(Effect.scoped),
  minute,
)

it.live(
  "is shared by processes that start at the same time; the last to leave stops it",
  () =>
    Effect.gen(function* () {
      const directory = join(yield* folder, "postgres")
      const [first, second] = yield* Effect.all([hold([directory]), hold([directory])], {
        concurrency: 2,
      })
      expect(first.said.reason ?? second.said.reason).toBeUndefined()
      expect([first.said.adopted, second.said.adopted].toSorted()).toEqual([false, true])
      expect(first.said.url).toBe(second.said.url)
      const [starter, other] = first.said.adopted ? [second, first] : [first, second]
      expect(yield* Effect.promise(starter.end)).toBe(0)
      expect((yield* run(Redacted.make(other.said.url!), "select 1")).rows.length).toBe(1)
      expect(yield* Effect.promise(other.end)).toBe(0)
      expect(yield* answers(other.said.url!)).toBe(false)
    }).pipe(Effect.scoped),
  minute,
)

it.live(
  "starts again after the server itself was killed, with what was committed",
  () =>
    Effect.gen(function* () {
      const directory = yield* site
      const server = yield* foreign(directory)
      yield* run(server.url, "create table kept (n int)")
      const { pid } = (yield* postmaster(directory))!
      Deno.kill(pid, "SIGKILL")
      yield* TestDatabase.eventually(answers(server.url), (there) => !there)
      const again = yield* start(directory)
      // On the same port: others may know it.
      expect(again).toMatchObject({ adopted: false, port: server.port })
      expect((yield* run(again.url, "select count(*)::int as n from kept")).rows).toEqual([{
        n: 0,
      }])
    }).pipe(Effect.scoped),
  minute,
)

it.live("stops the server when its start is interrupted", () =>
  Effect.gen(function* () {
    const directory = yield* site
    const fiber = yield* Effect.forkChild(Effect.scoped(start(directory)), {
      startImmediately: true,
    })
    const log = Effect.promise(() =>
      Deno.readTextFile(join(directory, "server.log")).catch(() => "")
    )
    yield* TestDatabase.eventually(log, (text) => text.includes("starting PostgreSQL"))
    yield* Fiber.interrupt(fiber)
    expect(yield* postmaster(directory)).toBeUndefined()
  }).pipe(Effect.scoped), minute)

describe("postmaster.pid", () => {
  it.live("of a process that is gone is no obstacle", () =>
    Effect.gen(function* () {
      const directory = yield* site
      yield* Effect.scoped(start(directory))
      const gone = yield* Effect.promise(async () => {
        const child = new Deno.Command("true").spawn()
        await child.status
        return child.pid
      })
      yield* replacePid(directory, gone)
      expect((yield* start(directory)).adopted).toBe(false)
    }).pipe(Effect.scoped), minute)

  it.live(
    "whose number now belongs to another program is no obstacle",
    () =>
      Effect.gen(function* () {
        const directory = yield* site
        const { uid, gid } = yield* Effect.promise(() => Deno.stat(join(directory, "data")))
        const child = yield* Effect.acquireRelease(
          Effect.sync(() =>
            new Deno.Command("sleep", {
              args: ["600"],
              ...(asRoot ? { uid: uid!, gid: gid! } : {}),
            }).spawn()
          ),
          (child) =>
            Effect.promise(async () => {
              child.kill("SIGKILL")
              await child.status
            }),
        )
        yield* replacePid(directory, child.pid)
        expect((yield* start(directory)).adopted).toBe(false)
      }).pipe(Effect.scoped),
    minute,
  )

  it.live(
    "of a server that does not know our password stops the start, not the server",
    () =>
      Effect.gen(function* () {
        const directory = yield* site
        const server = yield* start(directory)
        yield* run(server.url, "alter user weir password 'changed'")
        const error = yield* Effect.flip(Effect.scoped(start(directory)))
        expect(error.reason).toBe("DirectoryInUse")
        expect(error.message).toContain("has it and does not let us in")
        expect(yield* answers(server.url)).toBe(true)
      }).pipe(Effect.scoped),
    minute,
  )
})

describe("a start that fails", () => {
  it.live("says that the port is in use", () =>
    Effect.gen(function* () {
      const directory = yield* site
      const listener = yield* Effect.acquireRelease(
        Effect.sync(() => Deno.listen({ hostname: "127.0.0.1", port: 0 })),
        (listener) => Effect.sync(() => listener.close()),
      )
      const port = (listener.addr as Deno.NetAddr).port
      const error = yield* Effect.flip(start(directory, { port }))
      expect(error.reason).toBe("PortInUse")
      expect(error.message).toBe(
        `Cannot start PostgreSQL on 127.0.0.1:${port}: the port is in use by another program. ` +
          "Stop that program, choose another port, or set DATABASE_URL to a PostgreSQL server of " +
          "your own.",
      )
    }).pipe(Effect.scoped), minute)

  it.live("says that the directory cannot be made", () =>
    Effect.gen(function* () {
      const file = join(yield* folder, "file")
      yield* Effect.promise(() => Deno.writeTextFile(file, ""))
      const error = yield* Effect.flip(start(join(file, "postgres")))
      expect(error.reason).toBe("DirectoryNotWritable")
      expect(error.message).toContain("name another one in WEIR_DATA_DIR, or set DATABASE_URL.")
    }).pipe(Effect.scoped))

  it.live("says that the password file is gone", () =>
    Effect.gen(function* () {
      const directory = yield* site
      yield* Effect.promise(() => Deno.remove(join(directory, "password")))
      const error = yield* Effect.flip(start(directory))
      expect(error.message).toBe(
        `Cannot use the database in ${directory}: its file \`password\` is missing. ` +
          "Restore them, or name another directory in WEIR_DATA_DIR.",
      )
    }).pipe(Effect.scoped), minute)

  it.live("says that the files belong to another version", () =>
    Effect.gen(function* () {
      const directory = yield* site
      yield* Effect.promise(() => Deno.writeTextFile(join(directory, "data", "PG_VERSION"), "13\n"))
      const error = yield* Effect.flip(start(directory))
      expect(error.reason).toBe("DirectoryDamaged")
      expect(error.message).toContain("initialized by PostgreSQL version 13")
    }).pipe(Effect.scoped), minute)

  it.live.runIf(asRoot)(
    "says that the disk is full, and leaves nothing half-made",
    () =>
      Effect.gen(function* () {
        const disk = yield* folder
        const mount = (program: string, args: ReadonlyArray<string>) =>
          Effect.promise(() => new Deno.Command(program, { args: [...args] }).output())
        const mounted = yield* Effect.acquireRelease(
          mount("mount", ["-t", "tmpfs", "-o", "size=10m,mode=777", "tmpfs", disk]),
          (output) => output.success ? mount("umount", [disk]) : Effect.void,
        )
        // A container may forbid root to mount; then the sentence is all that can be tested.
        if (!mounted.success) return expect(mounted.code).not.toBe(0)
        const error = yield* Effect.flip(start(join(disk, "postgres")))
        expect(error.reason).toBe("DiskFull")
        expect(error.message).toContain(": the disk is full. Free about 100 MB")
        const left = Array.from(Deno.readDirSync(join(disk, "postgres")), (entry) => entry.name)
        expect(left).not.toContain("data.new")
        expect(left).not.toContain("data")
      }).pipe(Effect.scoped),
    minute,
  )
})

describe.runIf(asRoot)("as root", () => {
  it.live("runs the server as another user", () =>
    Effect.gen(function* () {
      const directory = yield* site
      yield* start(directory)
      const pid = (yield* postmaster(directory))!.pid
      const status = yield* Effect.promise(() => Deno.readTextFile(`/proc/${pid}/status`))
      expect(/^Uid:\s+(\d+)/m.exec(status)?.[1]).not.toBe("0")
    }).pipe(Effect.scoped), minute)

  it.live("creates that user when it does not exist", () =>
    Effect.gen(function* () {
      const directory = join(yield* folder, "postgres")
      const systemUser = `weir-test-${crypto.randomUUID().slice(0, 8)}`
      yield* Effect.addFinalizer(() =>
        Effect.promise(() => new Deno.Command("userdel", { args: [systemUser] }).output())
      )
      yield* Effect.scoped(start(directory, { systemUser }))
      const passwd = yield* Effect.promise(() => Deno.readTextFile("/etc/passwd"))
      const uid = new RegExp(`^${systemUser}:[^:]*:(\\d+)`, "m").exec(passwd)?.[1]
      expect((yield* Effect.promise(() => Deno.stat(directory))).uid).toBe(Number(uid))
    }).pipe(Effect.scoped), minute)

  it.live("says which directory that user may not enter", () =>
    Effect.gen(function* () {
      const closed = join(yield* folder, "closed")
      yield* Effect.promise(() => Deno.mkdir(closed, { mode: 0o700 }))
      const error = yield* Effect.flip(start(join(closed, "postgres")))
      expect(error.reason).toBe("DirectoryNotWritable")
      expect(error.message).toContain(`its user postgres may not enter ${closed}.`)
    }).pipe(Effect.scoped))

  it.live(
    "goes elsewhere when that user may not enter the working directory",
    () =>
      Effect.gen(function* () {
        const closed = join(yield* folder, "closed")
        yield* Effect.promise(() => Deno.mkdir(closed, { mode: 0o700 }))
        const child = yield* hold([], { cwd: closed, env: { WEIR_DATA_DIR: "" } })
        expect(child.said.message ?? "").toBe("")
        expect(child.said.directory).toMatch(/^\/var\/lib\/weir\/[0-9a-f]{12}$/)
        yield* Effect.promise(child.end)
        yield* Effect.promise(() => Deno.remove(child.said.directory!, { recursive: true }))
      }).pipe(Effect.scoped),
    minute,
  )

  it.live("lets an ordinary user do all of it alone", (context) =>
    Effect.gen(function* () {
      const directory = yield* site
      const { uid, gid } = yield* Effect.promise(() => Deno.stat(join(directory, "data")))
      const account = { uid: uid!, gid: gid! }
      if ((yield* enterable(Deno.execPath(), account)) !== undefined) return context.skip()
      const home = yield* folder
      const env = { HOME: home, DENO_DIR: join(home, "deno") }
      const own = yield* hold([join(home, "postgres")], { account, env })
      expect(own.said).toMatchObject({ adopted: false })
      const owner = yield* Effect.promise(() => Deno.stat(join(home, "postgres", "data")))
      expect(owner.uid).toBe(uid)
      const closed = join(home, "closed")
      yield* Effect.promise(() => Deno.mkdir(closed, { mode: 0o700 }))
      const refused = yield* hold([join(closed, "postgres")], { account, env })
      expect(refused.said.reason).toBe("DirectoryNotWritable")
      expect(refused.said.message).toContain("Permission denied")
    }).pipe(Effect.scoped), minute)
})
