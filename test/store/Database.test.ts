import { describe, expect, it, layer } from "@effect/vitest"
import {
  Cause,
  ConfigProvider,
  Deferred,
  Effect,
  Exit,
  Fiber,
  Layer,
  Redacted,
  Schema,
  Scope,
  Stream,
} from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import * as Saturation from "../../src/bounded/Saturation.ts"
import { ReentrantAcquire } from "../../src/pool/Bulkhead.ts"
import * as Database from "../../src/store/Database.ts"
import * as TestDatabase from "../support/database.ts"

const Stock = Schema.Struct({ sku: Schema.String, left: Schema.Int })

const withStock = Effect.gen(function* () {
  const db = yield* Database.Database
  yield* db.execute`drop table if exists stock`
  yield* db
    .execute`create table stock (sku text primary key, "left" int not null check ("left" >= 0))`
  yield* db.execute`insert into stock values ('a', 3), ('b', 0)`
  return db
})

/** Sessions of the test's database in which a statement with that text runs. */
const running = (text: string) =>
  Effect.gen(function* () {
    const url = yield* TestDatabase.TestUrl
    const admin = yield* TestDatabase.connection(url)
    const { rows } = yield* Effect.orDie(admin.query(
      "select count(*)::int as n from pg_stat_activity where state = 'active' and query like $1 " +
        "and pid <> pg_backend_pid() and datname = current_database()",
      [`%${text}%`],
    ))
    return Number(rows[0]?.n)
  }).pipe(Effect.scoped)

layer(TestDatabase.layer({ maxConnections: 2, queueCapacity: 18 }), {
  // Real sockets need real time.
  excludeTestServices: true,
  timeout: "60 seconds",
})(
  "Database",
  (it) => {
    it.effect("decodes one row, several rows, or none", () =>
      Effect.gen(function* () {
        const db = yield* withStock
        expect(yield* db.one(Stock)`select * from stock where sku = ${"a"}`)
          .toEqual({ sku: "a", left: 3 })
        expect(yield* db.many(Stock)`select * from stock order by sku`)
          .toEqual([{ sku: "a", left: 3 }, { sku: "b", left: 0 }])
        expect((yield* db.option(Stock)`select * from stock where sku = ${"c"}`)._tag).toBe("None")
        expect((yield* db.option(Stock)`select * from stock where sku = ${"b"}`)._tag).toBe("Some")
        expect(yield* db.execute`update stock set "left" = "left" + 1`).toBe(2)
      }))

    it.effect("fails with NoRow when the row that must exist does not", () =>
      Effect.gen(function* () {
        const db = yield* withStock
        const error = yield* Effect.flip(db.one(Stock)`select * from stock where sku = ${"c"}`)
        expect(error).toBeInstanceOf(Database.NoRow)
      }))

    it.effect("treats bad SQL and a row that does not fit as bugs", () =>
      Effect.gen(function* () {
        const db = yield* withStock
        for (
          const query of [
            db.execute`selec 1`,
            db.one(Schema.Struct({ sku: Schema.Int }))`select * from stock`,
            db.execute`insert into stock values ('a', 1)`,
          ]
        ) {
          const exit = yield* Effect.exit<unknown, unknown, never>(query)
          expect(Exit.isFailure(exit) && Cause.hasDies(exit.cause)).toBe(true)
        }
      }))

    it.effect("leaves a constraint violation to who expects it, as a plain SqlError", () =>
      Effect.gen(function* () {
        const { sql, transaction } = yield* withStock
        const direct = yield* Effect.flip(sql`insert into stock values ('a', 1)`)
        expect(direct.reason._tag).toBe("UniqueViolation")
        const inside = yield* Effect.flip(
          transaction(sql`update stock set "left" = "left" - 1 where sku = 'b'`),
        )
        expect(inside._tag === "SqlError" && inside.reason._tag).toBe("ConstraintError")
      }))

    it.effect("commits a transaction that succeeds, rolls back one that fails or is interrupted", () =>
      Effect.gen(function* () {
        const db = yield* withStock
        const take = db.execute`update stock set "left" = "left" - 1 where sku = 'a'`
        const left = Effect.map(
          db.one(Stock)`select * from stock where sku = 'a'`,
          (stock) => stock.left,
        )
        yield* db.transaction(take)
        expect(yield* left).toBe(2)
        expect(yield* Effect.flip(db.transaction(Effect.andThen(take, Effect.fail("no")))))
          .toBe("no")
        expect(yield* left).toBe(2)
        const taken = yield* Deferred.make<void>()
        const fiber = yield* Effect.forkChild(
          db.transaction(
            take.pipe(
              Effect.andThen(Deferred.succeed(taken, undefined)),
              Effect.andThen(Effect.never),
            ),
          ),
          { startImmediately: true },
        )
        yield* Deferred.await(taken)
        yield* Fiber.interrupt(fiber)
        expect(yield* left).toBe(2)
      }))

    it.effect("ends a statement of a transaction on the server after the transaction's timeout", () =>
      Effect.gen(function* () {
        const db = yield* Database.Database
        const error = yield* Effect.flip(
          db.transaction(db.execute`select pg_sleep(30)`, { timeout: "50 millis" }),
        )
        expect(error).toMatchObject({ _tag: "DatabaseUnavailable", reason: "TimedOut" })
        expect(
          yield* db.one(Schema.Struct({ statement_timeout: Schema.String }))`
          show statement_timeout`,
        ).toEqual({ statement_timeout: "1min" })
      }))

    it.effect("cancels the query on the server when its fiber is interrupted", () =>
      Effect.gen(function* () {
        const db = yield* Database.Database
        const fiber = yield* Effect.forkChild(db.execute`select pg_sleep(60) as interrupted`, {
          startImmediately: true,
        })
        yield* TestDatabase.eventually(running("as interrupted"), (n) => n === 1)
        yield* Fiber.interrupt(fiber)
        expect(yield* running("as interrupted")).toBe(0)
        expect(yield* db.execute`select 1`).toBe(1)
      }))

    it.effect("makes 20 queries on 2 connections wait in the gate, and refuses the 21st", () =>
      Effect.gen(function* () {
        const db = yield* Database.Database
        const registry = yield* Saturation.Saturation
        const gate = registry.get("database")!
        const fibers = yield* Effect.forEach(
          Array.from({ length: 20 }),
          () =>
            Effect.forkChild(db.execute`select pg_sleep(60) as gated`, {
              startImmediately: true,
            }),
        )
        expect(gate.stats(0)).toMatchObject({
          kind: "pool",
          inUse: 2,
          waiting: 18,
          capacity: 2,
        })
        const refused = yield* Effect.flip(db.execute`select 1`)
        expect(refused).toMatchObject({
          _tag: "Refused",
          reason: "QueueFull",
          resource: "database",
        })
        const raw = yield* Effect.flip(db.sql`select 1`)
        expect(Database.refusedIn(raw)).toMatchObject({ reason: "QueueFull" })
        expect(raw.isRetryable).toBe(false)
        expect((yield* Effect.flip(db.transaction(Effect.void)))._tag).toBe("Refused")
        expect(yield* db.ping.pipe(Effect.as("there"))).toBe("there")
        yield* TestDatabase.eventually(running("as gated"), (n) => n === 2)
        yield* Fiber.interruptAll(fibers)
        expect(yield* running("as gated")).toBe(0)
        expect(gate.stats(0)).toMatchObject({ inUse: 0, waiting: 0 })
      }))

    it.effect("gives the slot back after a stream was left early", () =>
      Effect.gen(function* () {
        const db = yield* Database.Database
        const registry = yield* Saturation.Saturation
        const first = yield* Stream.runHead(
          db.sql<{ n: number }>`select n from generate_series(1, 1000000) as n`.stream,
        )
        expect(first._tag).toBe("Some")
        expect(registry.get("database")!.stats(0).inUse).toBe(0)
      }))

    it.effect("dies at once when work on a stream asks for another slot in its fiber", () =>
      Effect.gen(function* () {
        const db = yield* Database.Database
        const gate = (yield* Saturation.Saturation).get("database")!
        const rows = db.sql<{ n: number }>`select n from generate_series(1, 3) as n`.stream
        const query = db.execute`select 1`
        const shapes: Readonly<Record<string, Effect.Effect<unknown, unknown>>> = {
          runForEach: Stream.runForEach(rows, () => query),
          mapEffect: Stream.runDrain(Stream.mapEffect(rows, () => query)),
          transaction: Stream.runForEach(rows, () => db.transaction(query)),
          nested: Stream.runDrain(Stream.flatMap(rows, () => rows)),
          reserved: Effect.scoped(Effect.andThen(db.sql.reserve, query)),
        }
        for (const [name, shape] of Object.entries(shapes)) {
          const exit = yield* Effect.exit(shape)
          const defect = Exit.isFailure(exit) && exit.cause.reasons.find(Cause.isDieReason)?.defect
          expect(defect, name).toBeInstanceOf(ReentrantAcquire)
          expect(String((defect as Error).message), name).toContain('the pool "database"')
          expect(gate.stats(0).inUse, name).toBe(0)
        }
      }))

    it.effect("lets one stream follow another, two run at once, and a transaction have its own", () =>
      Effect.gen(function* () {
        const db = yield* Database.Database
        const rows = db.sql<{ n: number }>`select n from generate_series(1, 3) as n`.stream
        const query = db.execute`select 1`
        yield* Stream.runDrain(Stream.concat(rows, rows))
        yield* Stream.runDrain(rows)
        yield* query
        const both = Effect.all([Stream.runDrain(rows), Stream.runDrain(rows)], { concurrency: 2 })
        yield* both
        // Inside a transaction everything runs on its connection.
        yield* db.transaction(Effect.andThen(query, both))
        yield* db.transaction(Effect.andThen(Stream.runCollect(rows), query))
      }))

    it.effect("dies at once when a stream of a transaction would wait for its own statements", () =>
      Effect.gen(function* () {
        const db = yield* Database.Database
        const rows = db.sql<{ n: number }>`select n from generate_series(1, 3) as n`.stream
        const query = db.execute`select 1`
        const inStream: ReadonlyArray<Effect.Effect<unknown, unknown>> = [
          query,
          db.sql`select 1`.values,
          db.transaction(query),
          Stream.runDrain(rows),
        ]
        for (const work of inStream) {
          const exit = yield* Effect.exit(db.transaction(Stream.runForEach(rows, () => work)))
          const defect = Exit.isFailure(exit) && exit.cause.reasons.find(Cause.isDieReason)?.defect
          expect(defect).toBeInstanceOf(ReentrantAcquire)
          expect(String((defect as Error).message)).toContain('the connection "transaction"')
        }
      }))

    it.effect("finds a refusal inside a whole cause", () =>
      Effect.gen(function* () {
        const db = yield* Database.Database
        expect(Database.refusedIn(Cause.fail("other"))).toBeUndefined()
        expect(Database.refusedIn(undefined)).toBeUndefined()
        const blockers = yield* Effect.forEach(
          Array.from({ length: 20 }),
          () => Effect.forkChild(db.execute`select pg_sleep(30)`, { startImmediately: true }),
        )
        const exit = yield* Effect.exit(Effect.orDie(db.sql`select 1`))
        expect(Exit.isFailure(exit) && Database.refusedIn(exit.cause)?.reason).toBe("QueueFull")
        yield* Fiber.interruptAll(blockers)
      }))

    it.effect("types a connection that the server ended, and goes on with a new one", () =>
      Effect.gen(function* () {
        const db = yield* Database.Database
        const lost = yield* Effect.flip(db.execute`select pg_terminate_backend(pg_backend_pid())`)
        expect(lost).toMatchObject({ _tag: "DatabaseUnavailable" })
        expect(yield* db.execute`select 1`).toBe(1)
        const inside = yield* Effect.flip(
          db.transaction(db.execute`select pg_terminate_backend(pg_backend_pid())`),
        )
        expect(inside).toMatchObject({ _tag: "DatabaseUnavailable" })
        const between = yield* Effect.exit(db.transaction(
          Effect.flatMap(
            db.one(Schema.Struct({ pid: Schema.Int }))`select pg_backend_pid() as pid`,
            ({ pid }) =>
              Effect.gen(function* () {
                const admin = yield* TestDatabase.connection(yield* TestDatabase.TestUrl)
                yield* Effect.orDie(admin.query(`select pg_terminate_backend(${pid}, 5000)`))
                return yield* Effect.fail("mine")
              }).pipe(Effect.scoped),
          ),
        ))
        expect(between).toEqual(Exit.fail("mine"))
        expect(yield* db.execute`select 1`).toBe(1)
      }))

    it.effect("provides Effect's own SqlClient behind the same gate", () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient
        expect(sql).toBe((yield* Database.Database).sql)
      }))
  },
)

const failure = (options: Database.Options) => Effect.flip(Effect.scoped(Database.make(options)))

describe("the address", () => {
  const name = Schema.Struct({ name: Schema.String })
  const ask = (options: Database.Options, env: Record<string, string>) =>
    Effect.scoped(Effect.gen(function* () {
      const db = yield* Database.make(options)
      return (yield* db.one(name)`select current_database()::text as name`).name
    })).pipe(Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown(env))))

  it.live("is DATABASE_URL, unless one is given", () =>
    Effect.gen(function* () {
      const [given, variable] = [yield* TestDatabase.url, yield* TestDatabase.url]
      const nameOf = (url: Redacted.Redacted) => new URL(Redacted.value(url)).pathname.slice(1)
      const env = { DATABASE_URL: Redacted.value(variable) }
      expect(yield* ask({}, env)).toBe(nameOf(variable))
      expect(yield* ask({ url: given }, env)).toBe(nameOf(given))
    }).pipe(Effect.scoped))

  it.live(
    "is that of the embedded server when there is none, or an empty one",
    () =>
      Effect.gen(function* () {
        const options = { embedded: TestDatabase.shared }
        expect(yield* ask(options, {})).toBe("postgres")
        expect(yield* ask(options, { DATABASE_URL: "" })).toBe("postgres")
      }),
    120_000,
  )
})

it.effect("starts, queries and stops while the test's clock stands still", () =>
  Effect.gen(function* () {
    const url = yield* TestDatabase.url
    const db = yield* Database.make({ url, name: "still", migrations: { "1_none": Effect.void } })
    expect(yield* db.execute`select 1`).toBe(1)
    expect(yield* db.transaction(db.execute`select 1`)).toBe(1)
    yield* db.ping
  }).pipe(Effect.scoped))

describe("a start that fails", () => {
  it.live("says that the address is none", () =>
    Effect.gen(function* () {
      const error = yield* failure({ url: Redacted.make("mysql://root:secret@host/db") })
      expect(error.reason).toBe("InvalidUrl")
      expect(error.message).not.toContain("secret")
    }))

  it.live("says that nothing listens there", () =>
    Effect.gen(function* () {
      const error = yield* failure({ url: Redacted.make("postgres://u:secret@127.0.0.1:1/db") })
      expect(error.reason).toBe("Unreachable")
      expect(error.message).toBe(
        "Cannot use the database 127.0.0.1:1/db: connect ECONNREFUSED 127.0.0.1:1. " +
          "Start the server, correct DATABASE_URL, or unset it to use the embedded one.",
      )
    }))

  it.live("says that the database does not exist", () =>
    Effect.gen(function* () {
      const url = yield* TestDatabase.server
      const error = yield* failure({
        url: TestDatabase.withUrl(url, (url) => url.pathname = "/nowhere"),
      })
      expect(error.reason).toBe("UnknownDatabase")
      expect(error.message).toContain('database "nowhere" does not exist')
    }).pipe(Effect.scoped))

  it.live.skipIf(TestDatabase.external)(
    "says that the password is wrong, without telling it",
    () =>
      Effect.gen(function* () {
        const url = yield* TestDatabase.server
        const error = yield* failure({
          url: TestDatabase.withUrl(url, (url) => url.password = "hunter2"),
        })
        expect(error.reason).toBe("WrongPassword")
        expect(error.message).toContain("password authentication failed")
        expect(JSON.stringify(error) + error.message + String(error.stack)).not.toContain("hunter2")
      }).pipe(Effect.scoped),
  )

  it.live("closes what it opened", () =>
    Effect.gen(function* () {
      const url = yield* TestDatabase.url
      const scope = yield* Scope.make()
      const sessions = Effect.gen(function* () {
        const admin = yield* TestDatabase.connection(yield* TestDatabase.server)
        const { rows } = yield* Effect.orDie(admin.query(
          "select count(*)::int as n from pg_stat_activity where datname = $1",
          [new URL(Redacted.value(url)).pathname.slice(1)],
        ))
        return Number(rows[0]?.n)
      }).pipe(Effect.scoped)
      const db = yield* Scope.provide(Database.make({ url, name: "closing" }), scope)
      yield* db.execute`select 1`
      expect(yield* sessions).toBe(1)
      yield* Scope.close(scope, Exit.void)
      expect(yield* TestDatabase.eventually(sessions, (n) => n === 0)).toBe(0)
    }).pipe(Effect.scoped))
})

it.live("keeps two databases apart by name", () =>
  Effect.gen(function* () {
    const url = yield* TestDatabase.url
    const registry = yield* Saturation.Saturation
    const first = Database.layer({ url, name: "orders", maxConnections: 1 })
    const second = Database.layer({ url, name: "reports", maxConnections: 3 })
    yield* Effect.gen(function* () {
      expect(registry.get("orders")?.stats(0).capacity).toBe(1)
      expect(registry.get("reports")?.stats(0).capacity).toBe(3)
    }).pipe(Effect.provide(Layer.merge(Layer.fresh(first), Layer.fresh(second))))
    expect(registry.get("orders")).toBeUndefined()
  }).pipe(Effect.scoped))
