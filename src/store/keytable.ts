/** The table of API keys: its columns, what a row means, and what a new one must fit. */
import { type Duration, Effect, Schema } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import * as Gcra from "../bounded/Gcra.ts"
import { Mistake } from "../internal/mistake.ts"
import { durationMs } from "../internal/setting.ts"
import { type ApiKey, criticalities, type Grant, type KeyEnded } from "./keymodel.ts"
import type { Migrations } from "./migrate.ts"

const run = (sql: string) => Effect.flatMap(SqlClient, (client) => client.unsafe(sql))

export const tables: Migrations = {
  "1_api_keys": Effect.andThen(
    run(`create table weir_api_keys (
      id text primary key,
      hash bytea not null check (octet_length(hash) = 32),
      name text not null check (length(name) between 1 and 200),
      tenant text not null check (length(tenant) between 1 and 200),
      criticality text check (criticality in ('${criticalities.join("', '")}')),
      -- 0 requests stand for "no limit"
      limit_requests int check (limit_requests >= 0),
      limit_per_ms int,
      limit_burst int,
      scopes text[] not null default '{}',
      created_at timestamptz not null default now(),
      expires_at timestamptz,
      lifetime interval,
      revoked_at timestamptz,
      last_used_at timestamptz,
      replaced_by text references weir_api_keys (id)
    )`),
    run("create index weir_api_keys_listed on weir_api_keys (created_at desc, id desc)"),
  ),
}

export const Row = Schema.Struct({
  id: Schema.String,
  name: Schema.String,
  tenant: Schema.String,
  criticality: Schema.NullOr(Schema.Literals(criticalities)),
  requests: Schema.NullOr(Schema.Int),
  perMs: Schema.NullOr(Schema.Int),
  burst: Schema.NullOr(Schema.Int),
  scopes: Schema.Array(Schema.String),
  createdAt: Schema.Date,
  expiresAt: Schema.NullOr(Schema.Date),
  revokedAt: Schema.NullOr(Schema.Date),
  lastUsedAt: Schema.NullOr(Schema.Date),
  replacedBy: Schema.NullOr(Schema.String),
})

export const CredentialRow = Schema.Struct({
  ...Row.fields,
  hash: Schema.Uint8Array,
  ended: Schema.Boolean,
  leftMs: Schema.NullOr(Schema.Number),
})

export const EndingRow = Schema.Struct({
  ...Row.fields,
  expired: Schema.Boolean,
  lifetimeMs: Schema.NullOr(Schema.Number),
})

export const columns = `id, name, tenant, criticality, limit_requests as requests,
  limit_per_ms as "perMs", limit_burst as burst, scopes, created_at as "createdAt",
  expires_at as "expiresAt", revoked_at as "revokedAt", last_used_at as "lastUsedAt",
  replaced_by as "replacedBy"`

export const keyOf = (row: typeof Row.Type): ApiKey => {
  const { burst, criticality, expiresAt, lastUsedAt, perMs, replacedBy, requests, revokedAt } = row
  const { createdAt, id, name, scopes, tenant } = row
  return {
    id,
    name,
    tenant,
    criticality: criticality ?? undefined,
    limit: requests === null
      ? undefined
      : requests === 0
      ? "none"
      : { requests, per: perMs!, burst: burst! },
    scopes,
    createdAt,
    expiresAt: expiresAt ?? undefined,
    revokedAt: revokedAt ?? undefined,
    lastUsedAt: lastUsedAt ?? undefined,
    replacedBy: replacedBy ?? undefined,
  }
}

/** For longer than that is for ever. */
export const century = 100 * 365 * 86_400_000

export const endOf = (row: typeof EndingRow.Type): KeyEnded["why"] | undefined =>
  row.revokedAt !== null
    ? "Revoked"
    : row.expired
    ? "Expired"
    : row.replacedBy !== null
    ? "Replaced"
    : undefined

/** A grant as the columns hold it. */
export interface Checked {
  readonly name: string
  readonly tenant: string
  readonly criticality: string | null
  readonly limit: {
    readonly requests: number | null
    readonly perMs: number | null
    readonly burst: number | null
  }
  readonly scopes: ReadonlyArray<string>
}

export const checked = (grant: Grant): Checked => {
  const { criticality = null, limit, name, scopes = [], tenant } = grant
  between("ApiKeys.create: the length of name", name.length, 1, 200)
  between("ApiKeys.create: the length of tenant", tenant.length, 1, 200)
  between("ApiKeys.create: the number of scopes", scopes.length, 0, 64)
  for (const scope of scopes) {
    between("ApiKeys.create: the length of a scope", scope.length, 1, 100)
  }
  if (criticality !== null && !criticalities.includes(criticality)) {
    throw new Mistake(
      `ApiKeys.create: criticality is "${criticality}". Known: ${criticalities.join(", ")}.`,
    )
  }
  const rate = limit === undefined || limit === "none"
    ? { requests: limit === undefined ? null : 0, perMs: null, burst: null }
    : Gcra.rate("ApiKeys.create: limit", limit)
  return { name, tenant, criticality, limit: rate, scopes }
}

export const lifetimeOf = (expires: Duration.Input | undefined): number | null => {
  if (expires === undefined) return null
  const ms = durationMs("ApiKeys.create: expires", expires)
  if (ms > 0) return ms > century ? null : ms
  throw new Mistake("ApiKeys.create: expires must be longer than zero. Leave it out for never.")
}

export const between = (what: string, value: number, least: number, most: number): void => {
  if (Number.isSafeInteger(value) && value >= least && value <= most) return
  throw new Mistake(`${what} is ${value}, but it must be from ${least} to ${most}.`)
}
