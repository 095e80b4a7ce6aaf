/**
 * API keys in PostgreSQL: who may call, as what, how much, and until when.
 *
 * **Details** – *bounded by* the gate of the database, and pages of at most 1,000; *owned by* its
 * layer. A key is shown once, when it is made: of its secret only the SHA-256 is stored. All times
 * are those of the database.
 *
 * @module
 */
import type { Duration } from "effect"
import { Context, Effect, Layer, Option } from "effect"
import type { Refused } from "../bounded/Refused.ts"
import { Mistake } from "../internal/mistake.ts"
import { durationMs } from "../internal/setting.ts"
import { Database, migrations } from "./Database.ts"
import type { DatabaseStartError, DatabaseUnavailable } from "./Database.ts"
import type { ApiKey, Credential, Criticality, Grant, Issued } from "./keymodel.ts"
import { KeyEnded, NoSuchKey } from "./keymodel.ts"
import * as Table from "./keytable.ts"
import { issue, prefix as usual } from "./secret.ts"

export { KeyEnded, NoSuchKey }
export type { ApiKey, Credential, Criticality, Grant, Issued }

/**
 * What the database cannot do now.
 *
 * @category errors
 * @since 0.1.0
 */
export type Unavailable = DatabaseUnavailable | Refused

/**
 * The keys. The operations are for operators: nothing here asks who calls.
 *
 * **Details** – a key's tenant, class and limit never change: rotate it, or make another. What a
 * change does to callers: this process knows at once, others within the `ttl` of their
 * `Principal.layer`.
 *
 * @category models
 * @since 0.1.0
 */
export interface ApiKeys {
  /** What keys begin with. */
  readonly prefix: string
  /** Makes a key that expires after `expires`; default never. */
  readonly create: (
    grant: Grant & { readonly expires?: Duration.Input | undefined },
  ) => Effect.Effect<Issued, Unavailable>
  /** A page of keys, newest first: of one tenant, from after the key of that id; default 100. */
  readonly list: (
    options?: {
      readonly tenant?: string | undefined
      readonly after?: string | undefined
      readonly limit?: number | undefined
    },
  ) => Effect.Effect<ReadonlyArray<ApiKey>, Unavailable>
  /** Ends a key now; once more changes nothing. */
  readonly revoke: (id: string) => Effect.Effect<void, NoSuchKey | Unavailable>
  /**
   * Makes a key that says the same, for as long a life, and ends the old one after `overlap`
   * (default one day), in which clients move to the new one. A key is rotated once.
   */
  readonly rotate: (
    id: string,
    options?: { readonly overlap?: Duration.Input | undefined },
  ) => Effect.Effect<Issued, NoSuchKey | KeyEnded | Unavailable>
  /** What is stored under these ids, in one query; for the door. */
  readonly find: (
    ids: ReadonlyArray<string>,
  ) => Effect.Effect<ReadonlyArray<Credential>, Unavailable>
  /** Notes that they are in use, at most once a minute each. */
  readonly used: (ids: ReadonlyArray<string>) => Effect.Effect<void, Unavailable>
  /** Calls back with the id of each key that is changed through this service; returns the removal. */
  readonly onChange: (listener: (id: string) => void) => () => void
}

/**
 * The service.
 *
 * @category services
 * @since 0.1.0
 */
export const ApiKeys: Context.Service<ApiKeys, ApiKeys> = Context.Service<ApiKeys>(
  "weir/store/ApiKeys",
)

/**
 * Options of {@link layer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** What keys begin with: 1 to 20 lower-case letters and digits. Default `weir`. */
  readonly prefix?: string | undefined
}

/**
 * Brings the table `weir_api_keys` up to date, and provides the keys in it.
 *
 * **Fails with** – `DatabaseStartError` when the table cannot be made.
 *
 * **Interruption** – rolls back.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: Options = {},
): Layer.Layer<ApiKeys, DatabaseStartError, Database> =>
  Layer.effect(
    ApiKeys,
    Effect.gen(function* () {
      const prefix = options.prefix ?? usual
      if (!/^[a-z0-9]{1,20}$/.test(prefix)) {
        return yield* Effect.die(
          new Mistake(
            `ApiKeys: prefix is ${JSON.stringify(prefix)}, but it must be 1 to 20 lower-case ` +
              "letters and digits.",
          ),
        )
      }
      yield* migrations(Table.tables, { table: "weir_api_keys_migrations" })
      return make(yield* Database, prefix)
    }),
  )

const make = (db: Database, prefix: string): ApiKeys => {
  const { sql } = db
  const listed = sql.literal(Table.columns)
  const listeners = new Set<(id: string) => void>()
  const changed = (id: string) => {
    for (const listener of listeners) listener(id)
  }

  const insert = (grant: Table.Checked, lifetimeMs: number | null) =>
    Effect.suspend(() => {
      const { hash, id, key } = issue(prefix)
      const { criticality, limit, name, scopes, tenant } = grant
      return Effect.map(
        db.one(Table.Row)`
          insert into weir_api_keys (id, hash, name, tenant, criticality, limit_requests,
            limit_per_ms, limit_burst, scopes, lifetime, expires_at)
          select ${id}, ${hash}, ${name}, ${tenant}, ${criticality}, ${limit.requests}::int,
            ${limit.perMs}::int, ${limit.burst}::int, ${scopes}::text[], span, now() + span
          from (select ${lifetimeMs}::float8 * interval '1 millisecond' as span) as lifetime
          returning ${listed}`.pipe(Effect.catchTag("NoRow", Effect.die)),
        (row): Issued => ({ key, stored: Table.keyOf(row) }),
      )
    })

  return {
    prefix,
    create: ({ expires, ...grant }) =>
      Effect.suspend(() => insert(Table.checked(grant), Table.lifetimeOf(expires))),
    list: ({ after, limit = 100, tenant } = {}) =>
      Effect.suspend(() => {
        Table.between("ApiKeys.list: limit", limit, 1, 1000)
        return Effect.map(
          db.many(Table.Row)`
            select ${listed} from weir_api_keys
            where (${tenant ?? null}::text is null or tenant = ${tenant ?? null})
              and (${after ?? null}::text is null or (created_at, id) <
                (select created_at, id from weir_api_keys where id = ${after ?? null}))
            order by created_at desc, id desc limit ${limit}`,
          (rows) => rows.map(Table.keyOf),
        )
      }),
    revoke: (id) =>
      Effect.flatMap(
        db.execute`
          update weir_api_keys set revoked_at = coalesce(revoked_at, now()) where id = ${id}`,
        (count) =>
          count === 0 ? Effect.fail(new NoSuchKey({ id })) : Effect.sync(() => changed(id)),
      ),
    rotate: (id, { overlap = "1 day" } = {}) =>
      Effect.suspend(() => {
        const overlapMs = durationMs("ApiKeys.rotate: overlap", overlap)
        return Effect.tap(
          db.transaction(Effect.gen(function* () {
            const old = yield* db.option(Table.EndingRow)`
              select ${listed}, coalesce(expires_at <= now(), false) as expired,
                (extract(epoch from lifetime) * 1000)::float8 as "lifetimeMs"
              from weir_api_keys where id = ${id} for update`
            if (Option.isNone(old)) return yield* new NoSuchKey({ id })
            const why = Table.endOf(old.value)
            if (why !== undefined) return yield* new KeyEnded({ id, why })
            const issued = yield* insert(
              Table.checked(Table.keyOf(old.value)),
              old.value.lifetimeMs,
            )
            yield* db.execute`
              update weir_api_keys set replaced_by = ${issued.stored.id},
                expires_at = least(expires_at,
                  now() + ${Math.min(overlapMs, Table.century)}::float8 * interval '1 millisecond')
              where id = ${id}`
            return issued
          })),
          () => Effect.sync(() => changed(id)),
        )
      }),
    find: (ids) =>
      Effect.map(
        db.many(Table.CredentialRow)`
          select ${listed}, hash,
            revoked_at is not null or coalesce(expires_at <= now(), false) as ended,
            (extract(epoch from expires_at - now()) * 1000)::float8 as "leftMs"
          from weir_api_keys where id = any(${ids}::text[])`,
        (rows) =>
          rows.map((row) => ({
            key: Table.keyOf(row),
            hash: row.hash,
            ended: row.ended,
            leftMs: row.leftMs ?? Infinity,
          })),
      ),
    used: (ids) =>
      Effect.asVoid(db.execute`
        update weir_api_keys set last_used_at = now() where id = any(${ids}::text[])
          and (last_used_at is null or last_used_at < now() - interval '1 minute')`),
    onChange: (listener) => {
      listeners.add(listener)
      return () => {
        listeners.delete(listener)
      }
    },
  }
}
