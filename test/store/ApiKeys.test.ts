import { expect, layer } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Layer, Redacted, Schema } from "effect"
import { createHash } from "node:crypto"
import * as ApiKeys from "../../src/store/ApiKeys.ts"
import * as Database from "../../src/store/Database.ts"
import { idOf, matches, secretOf } from "../../src/store/secret.ts"
import * as TestDatabase from "../support/database.ts"

const keys = ApiKeys.layer().pipe(Layer.provideMerge(TestDatabase.layer({ maxConnections: 4 })))

const ada: ApiKeys.Grant = {
  name: "ada's laptop",
  tenant: "engines",
  criticality: "sheddable",
  limit: { requests: 60, per: "1 minute", burst: 10 },
  scopes: ["orders:read"],
}

const Count = Schema.Struct({ n: Schema.Int })
const Text = Schema.Struct({ text: Schema.String })

layer(keys, { excludeTestServices: true, timeout: "60 seconds" })("ApiKeys", (it) => {
  it.effect("shows a key once, and stores nothing from which it could be made again", () =>
    Effect.gen(function* () {
      const keys = yield* ApiKeys.ApiKeys
      const db = yield* Database.Database
      const { key, stored } = yield* keys.create(ada)
      const text = Redacted.value(key)
      expect(text).toMatch(/^weir_[0-9A-Za-z]{16}_[0-9A-Za-z]{49}$/)
      expect(idOf("weir", text)).toBe(stored.id)
      const secret = secretOf(text)!
      const row = yield* db.one(Text)`
        select to_jsonb(k)::text as text from weir_api_keys k where id = ${stored.id}`
      expect(row.text).not.toContain(secret)
      expect(row.text).toContain(createHash("sha256").update(secret).digest("hex"))
      const { burst, requests } = stored.limit as { requests: number; burst: number }
      expect([burst, requests, stored.scopes, stored.criticality, stored.expiresAt]).toEqual([
        10,
        60,
        ["orders:read"],
        "sheddable",
        undefined,
      ])
      const shown = `${JSON.stringify({ key, stored })} ${Deno.inspect({ key, stored })} ${key}`
      expect(shown).not.toContain(secret)
    }))

  it.effect("finds what is stored under ids, in one query, and says what has ended", () =>
    Effect.gen(function* () {
      const keys = yield* ApiKeys.ApiKeys
      const db = yield* Database.Database
      const lasting = yield* keys.create(ada)
      const short = yield* keys.create({ ...ada, expires: "1 hour" })
      const expired = yield* keys.create({ ...ada, expires: "1 hour" })
      yield* db.execute`
        update weir_api_keys set expires_at = now() - interval '1 second'
        where id = ${expired.stored.id}`
      const revoked = yield* keys.create(ada)
      yield* keys.revoke(revoked.stored.id)
      yield* keys.revoke(revoked.stored.id)
      const ids = [lasting, short, expired, revoked].map(({ stored }) => stored.id)
      const found = yield* keys.find([...ids, "nobody"])
      const byId = new Map(found.map((one) => [one.key.id, one]))
      expect(ids.map((id) => byId.get(id)!.ended)).toEqual([false, false, true, true])
      expect(byId.get(ids[0]!)!.leftMs).toBe(Infinity)
      expect(byId.get(ids[1]!)!.leftMs).toBeGreaterThan(3_590_000)
      expect(byId.get(ids[1]!)!.leftMs).toBeLessThanOrEqual(3_600_000)
      expect(matches(byId.get(ids[0]!)!.hash, secretOf(Redacted.value(lasting.key))!)).toBe(true)
      expect(matches(byId.get(ids[0]!)!.hash, secretOf(Redacted.value(short.key))!)).toBe(false)
      expect(found.length).toBe(4)
    }))

  it.effect("lists pages of one tenant, newest first", () =>
    Effect.gen(function* () {
      const keys = yield* ApiKeys.ApiKeys
      const made: Array<string> = []
      for (let n = 0; n < 5; n++) {
        made.unshift((yield* keys.create({ name: `${n}`, tenant: "lister" })).stored.id)
      }
      const first = yield* keys.list({ tenant: "lister", limit: 3 })
      const rest = yield* keys.list({ tenant: "lister", limit: 3, after: first.at(-1)!.id })
      expect([...first, ...rest].map(({ id }) => id)).toEqual(made)
      expect((yield* keys.list()).length).toBeGreaterThan(5)
      expect(yield* keys.list({ tenant: "nobody" })).toEqual([])
    }))

  it.effect("rotates: the new key says the same, the old one goes on for the overlap", () =>
    Effect.gen(function* () {
      const keys = yield* ApiKeys.ApiKeys
      const old = (yield* keys.create({ ...ada, expires: "30 days" })).stored
      const changed: Array<string> = []
      const remove = keys.onChange((id) => changed.push(id))
      const { stored } = yield* keys.rotate(old.id, { overlap: "1 hour" })
      remove()
      expect(changed).toEqual([old.id])
      const { id: _, createdAt, expiresAt, ...same } = stored
      expect(old).toMatchObject(same)
      expect(expiresAt!.getTime() - createdAt.getTime()).toBe(30 * 86_400_000)
      const [before] = yield* keys.find([old.id])
      expect(before!.ended).toBe(false)
      expect(before!.leftMs).toBeLessThanOrEqual(3_600_000)
      expect(before!.key.replacedBy).toBe(stored.id)
      const now = yield* keys.rotate(stored.id, { overlap: 0 })
      expect((yield* keys.find([stored.id]))[0]!.ended).toBe(true)
      // A third life is as long as the first one, not as the overlap.
      const life = now.stored.expiresAt!.getTime() - now.stored.createdAt.getTime()
      expect(life).toBe(30 * 86_400_000)
    }))

  it.effect("does not rotate what has ended, and once only, also when two do so together", () =>
    Effect.gen(function* () {
      const keys = yield* ApiKeys.ApiKeys
      const db = yield* Database.Database
      const { id } = (yield* keys.create(ada)).stored
      // Somebody holds the row until both are waiting for it.
      const locked = db.one(Count)`
        select count(*)::int as n from pg_stat_activity
        where wait_event_type = 'Lock' and datname = current_database()`
      const outside = yield* Effect.context<never>()
      const rotating = yield* db.transaction(Effect.gen(function* () {
        yield* db.execute`select 1 from weir_api_keys where id = ${id} for update`
        // Each in a transaction of its own, not in this one.
        const rotate = () => Effect.runForkWith(outside)(Effect.exit(keys.rotate(id)))
        const fibers = [rotate(), rotate()]
        // From outside as well: inside, this view would stand still.
        yield* Fiber.join(
          Effect.runForkWith(outside)(TestDatabase.eventually(locked, ({ n }) => n === 2)),
        )
        return fibers
      }))
      const exits = yield* Fiber.awaitAll(rotating)
      expect(exits.filter((exit) => Exit.isSuccess(exit) && Exit.isSuccess(exit.value)).length)
        .toBe(1)
      expect(yield* Effect.flip(keys.rotate(id))).toMatchObject({
        _tag: "KeyEnded",
        why: "Replaced",
      })
      yield* keys.revoke(id)
      expect((yield* Effect.flip(keys.rotate(id))).message)
        .toBe(`API key ${id} cannot be rotated: it is revoked. Create a new one.`)
      const old = (yield* keys.create({ ...ada, expires: "1 hour" })).stored.id
      yield* db.execute`update weir_api_keys set expires_at = now() where id = ${old}`
      expect(yield* Effect.flip(keys.rotate(old))).toMatchObject({ why: "Expired" })
      for (const unknown of [keys.rotate("nobody"), keys.revoke("nobody")]) {
        expect((yield* Effect.flip<unknown, ApiKeys.NoSuchKey, never>(unknown as never)).message)
          .toBe("There is no API key nobody. List the keys, and take the id from there.")
      }
    }))

  it.effect("notes that keys are in use, at most once a minute each", () =>
    Effect.gen(function* () {
      const keys = yield* ApiKeys.ApiKeys
      const db = yield* Database.Database
      const { id } = (yield* keys.create(ada)).stored
      const lastUsed = Effect.map(keys.find([id]), ([found]) => found!.key.lastUsedAt?.getTime())
      expect(yield* lastUsed).toBeUndefined()
      yield* keys.used([id, "nobody"])
      const first = yield* lastUsed
      yield* keys.used([id])
      expect(yield* lastUsed).toBe(first)
      yield* db.execute`
        update weir_api_keys set last_used_at = now() - interval '61 seconds' where id = ${id}`
      yield* keys.used([id])
      expect(yield* lastUsed).toBeGreaterThanOrEqual(first!)
    }))

  it.effect("says what does not fit in a grant", () =>
    Effect.gen(function* () {
      const keys = yield* ApiKeys.ApiKeys
      const mistakes = [
        [{ ...ada, name: "" }, "the length of name is 0, but it must be from 1 to 200."],
        [{ ...ada, tenant: "" }, "the length of tenant is 0"],
        [{ ...ada, criticality: "high" as never }, 'criticality is "high". Known: critical-plus'],
        [{ ...ada, limit: { requests: 0, per: "1 minute" } as const }, "limit.requests is 0"],
        [{ ...ada, expires: 0 }, "expires must be longer than zero"],
        [{ ...ada, scopes: [""] }, "the length of a scope is 0"],
      ] as const
      for (const [grant, sentence] of mistakes) {
        const exit = yield* Effect.exit(keys.create(grant))
        const squashed = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
        expect(squashed).toMatchObject({ _tag: "Mistake" })
        expect((squashed as Error).message).toContain(sentence)
      }
      const wrong = yield* Effect.exit(
        Layer.build(ApiKeys.layer({ prefix: "My_Shop" })).pipe(
          Effect.scoped,
        ),
      )
      expect(Exit.isFailure(wrong) && Cause.squash(wrong.cause)).toMatchObject({ _tag: "Mistake" })
    }))

  it.effect("another prefix makes other keys", () =>
    Effect.gen(function* () {
      const keys = yield* ApiKeys.ApiKeys
      const { key } = yield* keys.create({ name: "a", tenant: "b", limit: "none" })
      expect(Redacted.value(key)).toMatch(/^shop_/)
    }).pipe(Effect.provide(ApiKeys.layer({ prefix: "shop" }))))
})
