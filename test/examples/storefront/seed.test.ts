import { describe, expect, it, layer } from "@effect/vitest"
import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import * as Catalogue from "../../../examples/storefront/Catalogue.ts"
import { seed } from "../../../examples/storefront/seed.ts"
import { shop } from "./support.ts"

const options = { seed: 7, products: 300, orders: 200 }

const all = (options: Catalogue.Options) => {
  const products = [...Catalogue.products(options)]
  return { products, orders: [...Catalogue.orders(options, products)] }
}

describe("the invented catalogue", () => {
  it("is the same for the same seed and another for another", () => {
    expect(all(options)).toEqual(all(options))
    expect(all({ ...options, seed: 8 })).not.toEqual(all(options))
  })

  it("does not change from one version to the next", () => {
    const { products, orders } = all(options)
    expect(products[41]).toMatchInlineSnapshot(`
      {
        "category": "lighting",
        "description": "A compact sconce of hemp, designed for daily use. Spare parts are kept for twelve years.",
        "id": 42,
        "name": "Compact hemp sconce",
        "priceCents": 48500,
        "sku": "LIG-000042",
        "stock": 107,
      }
    `)
    expect(orders[41]).toMatchInlineSnapshot(`
      {
        "customer": "Frances 26",
        "id": 42,
        "lines": [
          {
            "priceCents": 186690,
            "productId": 114,
            "quantity": 2,
          },
          {
            "priceCents": 12300,
            "productId": 59,
            "quantity": 5,
          },
          {
            "priceCents": 62300,
            "productId": 108,
            "quantity": 1,
          },
          {
            "priceCents": 290,
            "productId": 124,
            "quantity": 1,
          },
          {
            "priceCents": 3790,
            "productId": 2,
            "quantity": 1,
          },
        ],
        "placedAt": "2025-03-18T00:20:46.097Z",
        "totalCents": 501260,
      }
    `)
  })

  it("has at least ten thousand products and twenty thousand orders by default", () => {
    const { products, orders } = all(Catalogue.defaults)
    expect(products.length).toBeGreaterThanOrEqual(10_000)
    expect(orders.length).toBeGreaterThanOrEqual(20_000)
    expect(new Set(products.map((product) => product.sku)).size).toBe(products.length)
  })

  it("keeps to the limits of the tables, and orders follow one another within the year", () => {
    const { products, orders } = all(Catalogue.defaults)
    expect(products.filter(({ priceCents }) => !(priceCents >= 1 && priceCents <= 200_000)))
      .toEqual([])
    expect(products.filter(({ stock }) => !(stock >= 0))).toEqual([])
    expect(orders.filter(({ lines, totalCents }) => lines.length === 0 || !(totalCents > 0)))
      .toEqual([])
    expect(orders.filter(({ placedAt }) => !placedAt.startsWith(`${Catalogue.year}-`))).toEqual([])
    expect(orders.map((order) => order.placedAt).toSorted()).toEqual(
      orders.map((order) => order.placedAt),
    )
  })
})

layer(shop(options), { timeout: "1 minute", excludeTestServices: true })("seeding", (it) => {
  const counts = Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    const rows = yield* sql`
      select (select count(*)::int from products) as products,
        (select count(*)::int from orders) as orders,
        (select count(*)::int from order_lines) as lines`
    return rows[0]
  })
  const { products, orders } = all(options)
  const expected = {
    products: products.length,
    orders: orders.length,
    lines: orders.reduce((sum, order) => sum + order.lines.length, 0),
  }

  it.effect("stores every product, order and line once", () =>
    Effect.gen(function* () {
      expect(yield* counts).toEqual(expected)
    }))

  it.effect("does nothing the second time, also from two starts at once", () =>
    Effect.gen(function* () {
      const again = yield* Effect.all([seed(options), seed(options)], { concurrency: 2 })
      expect(again).toEqual([false, false])
      expect(yield* counts).toEqual(expected)
    }))

  it.effect("leaves ids free for new rows", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const rows = yield* sql`
        insert into orders (customer, total_cents) values ('Ada', 1) returning id`
      expect(rows).toEqual([{ id: options.orders + 1 }])
      yield* sql`delete from orders where id = ${options.orders + 1}`
    }))
})
