import { expect, layer } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { SqlClient } from "effect/sql"
import { clientOf, shop, waitingForLocks, whileHeld } from "./support.ts"

const stockOf = Effect.fnUntraced(function* (...ids: ReadonlyArray<number>) {
  const sql = yield* SqlClient.SqlClient
  const rows = yield* sql<{ stock: number }>`
    select stock from products where ${sql.in("id", ids)} order by id`
  return rows.map((row) => row.stock)
})

const setStock = Effect.fnUntraced(function* (stock: number, ...ids: ReadonlyArray<number>) {
  const sql = yield* SqlClient.SqlClient
  yield* sql`update products set stock = ${stock} where ${sql.in("id", ids)}`
})

const ordersOf = Effect.fnUntraced(function* (customer: string) {
  const sql = yield* SqlClient.SqlClient
  const rows = yield* sql`select id from orders where customer = ${customer}`
  return rows.length
})

// As many connections as there are orders at once: what is tested is the database, not the gate.
layer(shop({ seed: 3, products: 200, orders: 20 }, 50), {
  timeout: "1 minute",
  excludeTestServices: true,
})("orders", (it) => {
  it.effect("an order takes its pieces, keeps the price of its moment and can be read back", () =>
    Effect.gen(function* () {
      const client = yield* clientOf
      const sql = yield* SqlClient.SqlClient
      yield* setStock(10, 1, 2)
      yield* sql`update products set price_cents = 250 where id = 1`
      yield* sql`update products set price_cents = 1000 where id = 2`
      const { body, headers } = yield* client.orders.place({
        payload: {
          customer: "Ada",
          lines: [{ productId: 2, quantity: 3 }, { productId: 1, quantity: 4 }],
        },
      })
      yield* sql`update products set price_cents = 99 where id = 1`

      expect(headers.location).toBe(`/orders/${body.id}`)
      expect(body).toMatchObject({ customer: "Ada", totalCents: 4_000 })
      expect(body.lines).toMatchObject([
        { productId: 1, quantity: 4, priceCents: 250 },
        { productId: 2, quantity: 3, priceCents: 1_000 },
      ])
      expect(yield* client.orders.byId({ params: { id: body.id } })).toEqual(body)
      expect(yield* stockOf(1, 2)).toEqual([6, 7])
    }))

  it.effect("one line out of stock leaves everything as it was, and says how many are left", () =>
    Effect.gen(function* () {
      const client = yield* clientOf
      yield* setStock(5, 3, 4)
      const failure = yield* Effect.flip(client.orders.place({
        payload: {
          customer: "Grace",
          lines: [{ productId: 3, quantity: 5 }, { productId: 4, quantity: 6 }],
        },
      }))
      expect(failure).toMatchObject({ _tag: "OutOfStock", productId: 4, requested: 6, left: 5 })
      expect(yield* stockOf(3, 4)).toEqual([5, 5])
      expect(yield* ordersOf("Grace")).toBe(0)
    }))

  it.effect("says which product or order does not exist", () =>
    Effect.gen(function* () {
      const client = yield* clientOf
      const product = yield* Effect.flip(client.orders.place({
        payload: { customer: "Ada", lines: [{ productId: 999_999, quantity: 1 }] },
      }))
      expect(product).toMatchObject({ _tag: "ProductNotFound", productId: 999_999 })
      const order = yield* Effect.flip(client.orders.byId({ params: { id: 999_999 } }))
      expect(order).toMatchObject({ _tag: "OrderNotFound", orderId: 999_999 })
    }))

  it.effect("fifty orders at once for ten pieces: ten succeed and none is sold twice", () =>
    Effect.gen(function* () {
      const client = yield* clientOf
      yield* setStock(10, 5)
      const exits = yield* Effect.forEach(
        Array.from({ length: 50 }),
        () =>
          Effect.result(client.orders.place({
            payload: { customer: "Rush", lines: [{ productId: 5, quantity: 1 }] },
          })),
        { concurrency: "unbounded" },
      )
      const failed = exits.flatMap((exit) => exit._tag === "Failure" ? [exit.failure] : [])
      expect(failed.length).toBe(40)
      for (const failure of failed) {
        expect(failure).toMatchObject({ _tag: "OutOfStock", productId: 5, requested: 1, left: 0 })
      }
      expect(yield* stockOf(5)).toEqual([0])
      expect(yield* ordersOf("Rush")).toBe(10)
    }))

  it.effect("orders that name the same products in opposite order do not deadlock", () =>
    Effect.gen(function* () {
      const client = yield* clientOf
      const ids = [11, 12, 13, 14, 15]
      yield* setStock(1_000, ...ids)
      yield* Effect.forEach(
        Array.from({ length: 50 }, (_, i) => i % 2 === 0 ? ids : ids.toReversed()),
        (products) =>
          client.orders.place({
            payload: {
              customer: "Crossing",
              lines: products.map((productId) => ({ productId, quantity: 1 })),
            },
          }),
        { concurrency: "unbounded", discard: true },
      )
      expect(yield* stockOf(...ids)).toEqual(ids.map(() => 950))
      expect(yield* ordersOf("Crossing")).toBe(50)
    }))

  it.effect("an order cancelled while it waits for a product leaves no trace", () =>
    Effect.gen(function* () {
      const client = yield* clientOf
      yield* setStock(10, 21, 22)
      // Somebody else holds product 22: the order has taken product 21 and waits.
      yield* whileHeld(
        (sql) => sql`update products set stock = stock where id = 22`,
        Effect.gen(function* () {
          const order = yield* Effect.forkChild(client.orders.place({
            payload: {
              customer: "Hedy",
              lines: [{ productId: 21, quantity: 1 }, { productId: 22, quantity: 1 }],
            },
          }))
          yield* waitingForLocks(1)
          yield* Fiber.interrupt(order)
          yield* waitingForLocks(0)
        }),
      )
      expect(yield* stockOf(21, 22)).toEqual([10, 10])
      expect(yield* ordersOf("Hedy")).toBe(0)
    }))
})
