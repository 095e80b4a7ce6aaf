import { expect, layer } from "@effect/vitest"
import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import { clientOf, recorded, scans, shop } from "./support.ts"

layer(shop({ seed: 1, products: 10_000, orders: 10_000 }), {
  timeout: "2 minutes",
  excludeTestServices: true,
})("the storefront's tables", (it) => {
  /** The scans of every statement, planned for these parameters and for any parameters. */
  const plansOf = Effect.fnUntraced(function* <A, E, R>(effect: Effect.Effect<A, E, R>) {
    const sql = yield* SqlClient.SqlClient
    const { statements } = yield* recorded(effect)
    expect(statements.length).toBeGreaterThan(0)
    return yield* sql.withTransaction(Effect.gen(function* () {
      const known = yield* Effect.forEach(statements, scans)
      yield* sql`set local plan_cache_mode = force_generic_plan`
      return { known, any: yield* Effect.forEach(statements, scans) }
    }))
  })

  it.effect("search by rare words uses the index of words", () =>
    Effect.gen(function* () {
      const client = yield* clientOf
      for (const q of ["marb kettle", "zz"]) {
        const plans = yield* plansOf(client.products.search({ query: { q } }))
        expect(plans.known).toEqual([["Bitmap Index Scan products_words"]])
        expect(plans.any.flat()).toContain("Bitmap Index Scan products_words")
      }
    }))

  it.effect("no search and no page scans the table", () =>
    Effect.gen(function* () {
      const client = yield* clientOf
      const queries = [
        {},
        { cursor: 9_000, limit: 100 },
        { category: "desk" },
        { category: "toys", cursor: 9_990 },
        { q: "a" },
        { q: "quiet oak desk", category: "desk" },
        { q: "de", cursor: 5_000 },
      ] as const
      for (const query of queries) {
        const { known, any } = yield* plansOf(client.products.search({ query }))
        for (const used of [...known, ...any].flat()) {
          expect([query, used]).toEqual([query, expect.stringMatching(/products_(pkey|words)$/)])
        }
      }
    }))

  it.effect("one product and the whole catalogue use the primary key", () =>
    Effect.gen(function* () {
      const client = yield* clientOf
      const page = yield* plansOf(client.products.search({ query: {} }))
      const one = yield* plansOf(client.products.byId({ params: { id: 17 } }))
      for (const plan of [page.known, page.any, one.known, one.any]) {
        expect(plan).toEqual([["Index Scan products_pkey"]])
      }
    }))

  it.effect("has no index that no query and no constraint needs", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const rows = yield* sql<{ name: string }>`
        select indexname as name from pg_indexes
        where tablename in ('products', 'orders', 'order_lines') order by 1`
      expect(rows.map((row) => row.name)).toEqual([
        "order_lines_pkey",
        "orders_pkey",
        "orders_placed_at",
        "products_pkey",
        "products_sku_key",
        "products_words",
      ])
    }))

  it.effect("placing and reading an order never scans a table", () =>
    Effect.gen(function* () {
      const client = yield* clientOf
      const sql = yield* SqlClient.SqlClient
      yield* sql`update products set stock = 5 where id in (11, 12)`
      const placed = yield* plansOf(client.orders.place({
        payload: {
          customer: "Ada",
          lines: [{ productId: 11, quantity: 1 }, { productId: 12, quantity: 1 }],
        },
      }))
      const read = yield* plansOf(client.orders.byId({ params: { id: 1 } }))
      for (const used of [placed, read].flatMap(({ known, any }) => [...known, ...any]).flat()) {
        expect(used).toMatch(/^(Index|Index Only|Bitmap Index) Scan .*_pkey$/)
      }
    }))

  it.effect("the report finds the orders of a month by the index of their time", () =>
    Effect.gen(function* () {
      const client = yield* clientOf
      const { known, any } = yield* plansOf(client.reports.sales({ payload: { year: 2025 } }))
      expect(known.length).toBe(37)
      for (const plan of [...known.slice(0, 36), ...any.slice(0, 36)]) {
        expect(plan.some((scan) => scan.endsWith("Scan orders_placed_at"))).toBe(true)
        expect(plan.some((scan) => scan.endsWith("Seq Scan orders"))).toBe(false)
      }
    }))

  it.effect("refuses negative stock and free products, whoever writes them", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const stock = yield* Effect.flip(sql`update products set stock = -1 where id = 1`)
      const price = yield* Effect.flip(sql`update products set price_cents = 0 where id = 1`)
      expect([stock.reason._tag, price.reason._tag]).toEqual(["ConstraintError", "ConstraintError"])
    }))
})
