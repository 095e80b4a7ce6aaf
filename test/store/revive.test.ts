/** @embedded-only: it kills the server. */
import { expect, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Logger, Scope } from "effect"
import * as Database from "../../src/store/Database.ts"
import * as TestDatabase from "../support/database.ts"
import { postmaster } from "../service/process/support.ts"
import { answers, closeDoor, serverLog, site, start } from "./support/embedded.ts"

const kill = (directory: string) =>
  Effect.map(postmaster(directory), (server) => {
    Deno.kill(server!.pid, "SIGKILL")
    return server!.pid
  })

const starts = (directory: string) =>
  Effect.map(serverLog(directory), (log) => log.match(/LOG: +starting PostgreSQL/g)?.length)

/** What is logged above this, with its level. */
const logging = () => {
  const lines: Array<string> = []
  const logger = Logger.make(({ logLevel, message }) => void lines.push(`${logLevel} ${message}`))
  return { lines, layer: Logger.layer([logger]) }
}

it.live(
  "a server that is killed is started again, once, while its users wait with a typed failure",
  () =>
    Effect.gen(function* () {
      const directory = yield* site
      const { layer, lines } = logging()
      const { port, url } = yield* Effect.provide(start(directory), layer)
      // Another process would do the same: also of two users only one starts it.
      yield* start(directory)
      const db = yield* Database.make({ url, maxConnections: 2 })
      yield* db.execute`create table kept (n int)`
      yield* db.execute`insert into kept values (1)`

      const openDoor = yield* closeDoor(directory)
      const sleeping = yield* Effect.forkChild(Effect.flip(db.execute`select pg_sleep(60)`), {
        startImmediately: true,
      })
      const killed = yield* kill(directory)
      expect(yield* Fiber.join(sleeping)).toMatchObject({ _tag: "DatabaseUnavailable" })
      yield* TestDatabase.eventually(Effect.sync(() => lines.length), (n) => n > 0)
      for (let i = 0; i < 3; i++) {
        expect(yield* Effect.flip(db.execute`select 1`)).toMatchObject({
          _tag: "DatabaseUnavailable",
          reason: "Unreachable",
        })
        expect(yield* Effect.flip(db.ping)).toMatchObject({ _tag: "DatabaseUnavailable" })
      }
      yield* openDoor

      yield* TestDatabase.eventually(Effect.exit(db.ping), Exit.isSuccess)
      expect((yield* db.sql`select n from kept`).length).toBe(1)
      const server = (yield* postmaster(directory))!
      expect(server.port).toBe(port)
      expect(server.pid).not.toBe(killed)
      yield* TestDatabase.eventually(Effect.sync(() => lines.length), (n) => n === 2)
      expect(lines).toEqual([
        `Warn PostgreSQL in ${directory} has ended (process ${killed}). ` +
        "Starting it again (attempt 1 of 8).",
        `Info PostgreSQL in ${directory} runs again (process ${server.pid}).`,
      ])
      expect(yield* starts(directory)).toBe(2)

      // And not only once.
      yield* kill(directory)
      yield* TestDatabase.eventually(starts(directory), (n) => n === 3)
      yield* TestDatabase.eventually(Effect.exit(db.ping), Exit.isSuccess)
    }).pipe(Effect.scoped),
  120_000,
)

it.live("what kept it from starting is said, and tried again", () =>
  Effect.gen(function* () {
    const directory = yield* site
    const { layer, lines } = logging()
    const { port, url } = yield* Effect.provide(start(directory), layer)
    const db = yield* Database.make({ url })
    const openDoor = yield* closeDoor(directory)
    yield* kill(directory)
    const thief = yield* TestDatabase.eventually(
      Effect.sync(() => {
        try {
          return Deno.listen({ hostname: "127.0.0.1", port })
        } catch {
          return undefined
        }
      }),
      (listener) => listener !== undefined,
    )
    yield* Effect.addFinalizer(() => Effect.sync(() => closeQuietly(thief!)))
    yield* openDoor
    yield* TestDatabase.eventually(Effect.sync(() => lines.length), (n) => n === 2)
    expect(lines[1]).toBe(
      `Warn Cannot start PostgreSQL on 127.0.0.1:${port}: the port is in use by another program. ` +
        "Starting it again in 500 ms (attempt 2 of 8).",
    )
    closeQuietly(thief!)
    yield* TestDatabase.eventually(Effect.exit(db.ping), Exit.isSuccess)
  }).pipe(Effect.scoped), 120_000)

const closeQuietly = (listener: Deno.Listener): void => {
  try {
    listener.close()
  } catch {
    // Closed already.
  }
}

it.live("nothing is started while its last user leaves", () =>
  Effect.gen(function* () {
    const directory = yield* site
    const { layer, lines } = logging()
    const scope = yield* Scope.make()
    const { url } = yield* Effect.provide(Scope.provide(start(directory), scope), layer)
    const openDoor = yield* closeDoor(directory)
    yield* kill(directory)
    // The attempt has begun, and waits before the door.
    yield* TestDatabase.eventually(Effect.sync(() => lines.length), (n) => n === 1)
    const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), {
      startImmediately: true,
    })
    yield* openDoor
    yield* Fiber.join(closing)
    expect(yield* answers(url)).toBe(false)
    expect(yield* starts(directory)).toBe(1)
    expect(lines.length).toBe(1)
  }).pipe(Effect.scoped), 120_000)
