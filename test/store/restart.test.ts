import { expect, it } from "@effect/vitest"
import { Effect, Fiber, Ref, Schedule } from "effect"
import * as Database from "../../src/store/Database.ts"
import * as Server from "../../src/store/server.ts"
import * as TestDatabase from "../support/database.ts"
import { foreign, site } from "./support/embedded.ts"

it.live(
  "recovers by itself when the server is stopped and started again in mid-load",
  () =>
    Effect.gen(function* () {
      const { again, server, url } = yield* foreign(yield* site)
      const db = yield* Database.make({ url, maxConnections: 4, queueCapacity: 100 })
      yield* db.execute`create table hits (n int)`
      const done = yield* Ref.make(0)
      const failures = yield* Ref.make<ReadonlyArray<string>>([])
      const note = (error: { readonly _tag: string }) =>
        Ref.update(failures, (all) => [...all, error._tag])
      const works = (effect: Effect.Effect<unknown, { readonly _tag: string }>) =>
        effect.pipe(
          Effect.matchEffect({ onFailure: note, onSuccess: () => Ref.update(done, (n) => n + 1) }),
          Effect.repeat(Schedule.spaced("2 millis")),
          Effect.forkScoped({ startImmediately: true }),
        )
      const insert = db.execute`insert into hits values (1)`
      const load = yield* Effect.all([
        works(insert),
        works(db.transaction(Effect.andThen(insert, Effect.sleep("1 millis")))),
        works(db.execute`select pg_sleep(0.05)`),
        works(db.transaction(Effect.andThen(insert, db.execute`select pg_sleep(0.01)`))),
        works(db.ping),
      ])
      const progress = Effect.gen(function* () {
        const before = yield* Ref.get(done)
        yield* TestDatabase.eventually(Ref.get(done), (n) => n > before + 20)
      })
      yield* progress
      yield* Server.stop(server, "immediate")
      yield* TestDatabase.eventually(Ref.get(failures), (all) => all.length > 20)
      expect(yield* Effect.flip(db.ping)).toMatchObject({ _tag: "DatabaseUnavailable" })
      yield* again
      yield* TestDatabase.eventually(Effect.exit(db.ping), (exit) => exit._tag === "Success")
      yield* progress
      // No defect and no refusal: every fiber still works, everything that failed was typed.
      for (const fiber of load) expect(fiber.pollUnsafe()).toBeUndefined()
      expect(new Set(yield* Ref.get(failures))).toEqual(new Set(["DatabaseUnavailable"]))
      yield* Fiber.interruptAll(load)
      yield* Effect.scoped(Effect.gen(function* () {
        const admin = yield* TestDatabase.connection(url)
        const { rows } = yield* Effect.orDie(
          admin.query(
            "select 1 from pg_stat_activity where state = 'active' and query like '%hits%' " +
              "and pid <> pg_backend_pid()",
          ),
        )
        expect(rows.length).toBe(0)
      }))
    }).pipe(Effect.scoped),
  120_000,
)
