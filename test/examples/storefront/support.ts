/** A shop of its own on a real PostgreSQL: dropped when the suite ends. */
import { expect } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Logger } from "effect"
import { FetchHttpClient, HttpServer } from "effect/http"
import { HttpApiTest } from "effect/http-api"
import { SqlClient, Statement } from "effect/sql"
import type { SqlError } from "effect/sql"
import type * as Catalogue from "../../../examples/storefront/Catalogue.ts"
import { ActorsLive } from "../../../examples/storefront/Actors.ts"
import { AnalyticsLive } from "../../../examples/storefront/Analytics.ts"
import { Api } from "../../../examples/storefront/Api.ts"
import { OrdersLive } from "../../../examples/storefront/Orders.ts"
import { PriceProvider } from "../../../examples/storefront/PriceProvider.ts"
import { Prices } from "../../../examples/storefront/Prices.ts"
import { ProductsLive } from "../../../examples/storefront/Products.ts"
import { QuotesLive } from "../../../examples/storefront/Quotes.ts"
import { ReportsLive } from "../../../examples/storefront/Reports.ts"
import { migrations } from "../../../examples/storefront/schema.ts"
import { seed } from "../../../examples/storefront/seed.ts"
import { ActorSystem, ApiKeys, Supervised } from "@weir/runtime"
import { eventually, layer as database } from "../../support/database.ts"

/** What answers, all of it. */
export const handlers = Layer.mergeAll(
  ProductsLive,
  QuotesLive,
  OrdersLive,
  ReportsLive,
  AnalyticsLive,
)

/** A provider's address at which nobody listens. */
export const nobody = PriceProvider.at("http://127.0.0.1:1")

/**
 * A database with the storefront's tables and the shop of `options` in it, its actors, its keys, and
 * prices from a provider: nobody's, unless a test brings one.
 */
export const resources = (
  options: Catalogue.Options,
  maxConnections = 10,
  provider: Layer.Layer<PriceProvider> = nobody,
) =>
  Layer.mergeAll(ActorsLive, ApiKeys.layer(), Layer.effectDiscard(seed(options))).pipe(
    Layer.provideMerge(database({ migrations, maxConnections })),
    Layer.merge(Prices.layer.pipe(Layer.provide(Layer.merge(provider, FetchHttpClient.layer)))),
    Layer.provide(Logger.layer([])),
  )

/** The same with a system of its own, for tests without `Service`. */
export const shop = (options: Catalogue.Options, maxConnections = 10) =>
  Layer.provideMerge(resources(options, maxConnections), ActorSystem.layer())

/** Runs an effect and says which statements it sent, with their parameters. */
export const recorded = Effect.fnUntraced(function* <A, E, R>(effect: Effect.Effect<A, E, R>) {
  const statements: Array<Statement.Statement<unknown>> = []
  const result = yield* Effect.provideService(
    effect,
    Statement.CurrentTransformer,
    (statement) =>
      Effect.sync(() => {
        statements.push(statement)
        return statement
      }),
  )
  return { result, statements: statements.map((statement) => statement.compile()) }
})

interface Plan {
  readonly "Node Type": string
  readonly "Relation Name"?: string
  readonly "Index Name"?: string
  readonly Plans?: ReadonlyArray<Plan>
}

/** How PostgreSQL would run a statement: `Index Scan products_pkey` and so on, one per table. */
export const scans = Effect.fnUntraced(function* (
  [text, parameters]: readonly [string, ReadonlyArray<unknown>],
): Effect.fn.Return<ReadonlyArray<string>, SqlError.SqlError, SqlClient.SqlClient> {
  const sql = yield* SqlClient.SqlClient
  const rows = yield* sql.unsafe<{ "QUERY PLAN": ReadonlyArray<{ Plan: Plan }> }>(
    `explain (format json) ${text}`,
    parameters,
  )
  const found: Array<string> = []
  const visit = (plan: Plan): void => {
    const on = plan["Index Name"] ?? plan["Relation Name"]
    if (
      plan["Node Type"].includes("Scan") && on !== undefined &&
      !/Bitmap Heap/.test(plan["Node Type"])
    ) {
      found.push(`${plan["Node Type"]} ${on}`)
    }
    plan.Plans?.forEach(visit)
  }
  visit(rows[0]!["QUERY PLAN"][0]!.Plan)
  return found
})

/** The handlers alone: `test/edge` and `test/service` test what supervision adds. */
const unsupervised = Layer.succeed(
  Supervised.Supervised,
  Supervised.Supervised.of((handler) => handler),
)

/** Every part of the shop behind its HTTP interface, in memory: no socket. */
export const clientOf = HttpApiTest.groups(Api, [
  "products",
  "quotes",
  "orders",
  "reports",
  "analytics",
]).pipe(
  Effect.provide(
    handlers.pipe(Layer.provideMerge(Layer.mergeAll(unsupervised, HttpServer.layerServices))),
  ),
)

/** Does something while another session holds what `lock` takes. */
export const whileHeld = Effect.fnUntraced(function* <A, E, R>(
  lock: (sql: SqlClient.SqlClient) => Effect.Effect<unknown, SqlError.SqlError>,
  during: Effect.Effect<A, E, R>,
) {
  const sql = yield* SqlClient.SqlClient
  const held = yield* Deferred.make<void>()
  const done = yield* Deferred.make<void>()
  const holder = yield* Effect.forkChild(
    sql.withTransaction(
      lock(sql).pipe(
        Effect.andThen(Deferred.succeed(held, undefined)),
        Effect.andThen(Deferred.await(done)),
      ),
    ),
    { startImmediately: true },
  )
  yield* Deferred.await(held)
  const result = yield* during
  yield* Deferred.succeed(done, undefined)
  yield* Fiber.join(holder)
  return result
})

/** Waits until exactly so many statements of this database wait for a lock. */
export const waitingForLocks = Effect.fnUntraced(function* (count: number) {
  const sql = yield* SqlClient.SqlClient
  const look = sql<{ count: number }>`
    select count(*)::int as count from pg_stat_activity
    where datname = current_database() and wait_event_type = 'Lock'`
  const rows = yield* eventually(look, ([row]) => row!.count === count)
  expect(rows).toEqual([{ count }])
})
