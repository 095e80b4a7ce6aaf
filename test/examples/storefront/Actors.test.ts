import { expect, layer } from "@effect/vitest"
import { Actor, ActorSystem } from "@weir/runtime"
import { Effect, Fiber } from "effect"
import { SqlClient } from "effect/sql"
import { Receipts, render } from "../../../examples/storefront/Receipts.ts"
import { Stock } from "../../../examples/storefront/Stock.ts"
import { eventually } from "../../support/database.ts"
import { clientOf, shop, waitingForLocks, whileHeld } from "./support.ts"

const stockOf = Effect.fnUntraced(function* (id: number) {
  const sql = yield* SqlClient.SqlClient
  const [row] = yield* sql<{ stock: number }>`select stock from products where id = ${id}`
  return row!.stock
})

const setStock = Effect.fnUntraced(function* (stock: number, id: number) {
  const sql = yield* SqlClient.SqlClient
  yield* sql`update products set stock = ${stock} where id = ${id}`
})

const order = Effect.fnUntraced(function* (productId: number, quantity: number) {
  const client = yield* clientOf
  const { body } = yield* client.orders.place({
    payload: { customer: "Ada", lines: [{ productId, quantity }] },
  })
  return body
})

/** Somebody else has this product in a transaction that does not end before `during`. */
const whileLocked = <A, E, R>(id: number, during: Effect.Effect<A, E, R>) =>
  whileHeld((sql) => sql`update products set stock = stock where id = ${id}`, during)

const receiptOf = Effect.fnUntraced(function* (id: number) {
  const client = yield* clientOf
  const read = Effect.option(client.orders.receipt({ params: { id } }))
  const found = yield* eventually(read, (receipt) => receipt._tag === "Some")
  return found._tag === "Some" ? found.value.text : undefined
})

const kind = Effect.fnUntraced(function* (name: string) {
  const system = yield* ActorSystem.ActorSystem
  return (yield* system.kinds).find((kind) => kind.name === name)!
})

/** What no code of the shop would send: a bug that crashes whoever handles it. */
const poison = null as never

layer(shop({ seed: 3, products: 200, orders: 20 }, 50), {
  timeout: "1 minute",
  excludeTestServices: true,
})("the stock of a product", (it) => {
  it.effect("lets as many orders go to the database as there are pieces; the rest wait outside", () =>
    Effect.gen(function* () {
      yield* setStock(3, 31)
      const orders = yield* whileLocked(
        31,
        Effect.gen(function* () {
          const orders = yield* Effect.forkChild(
            Effect.all(Array.from({ length: 20 }, () => Effect.exit(order(31, 1))), {
              concurrency: "unbounded",
            }),
            { startImmediately: true },
          )
          yield* waitingForLocks(3)
          const stock = yield* Stock.client
          const account = yield* eventually(
            stock("31").account,
            (account) => account?.stashed === 17,
          )
          // They are set aside in the actor, without a connection and without a lock.
          expect(account).toMatchObject({ queued: 17, running: 0, stashed: 17 })
          yield* waitingForLocks(3)
          return orders
        }),
      )
      const exits = yield* Fiber.join(orders)
      expect(exits.filter((exit) => exit._tag === "Success").length).toBe(3)
      expect(yield* stockOf(31)).toBe(0)
    }))

  it.effect("gives back what an order reserved whose client has left", () =>
    Effect.gen(function* () {
      yield* setStock(1, 32)
      const next = yield* whileLocked(
        32,
        Effect.gen(function* () {
          const first = yield* Effect.forkChild(order(32, 1), { startImmediately: true })
          yield* waitingForLocks(1)
          const next = yield* Effect.forkChild(order(32, 1), { startImmediately: true })
          const stock = yield* Stock.client
          yield* eventually(stock("32").account, (account) => account?.stashed === 1)
          yield* Fiber.interrupt(first)
          // It was told that the other will not take the piece, and tries.
          yield* waitingForLocks(1)
          return next
        }),
      )
      expect((yield* Fiber.join(next)).lines).toMatchObject([{ productId: 32, quantity: 1 }])
      expect(yield* stockOf(32)).toBe(0)
    }))

  it.effect("that crashes in between sells nothing twice and loses no order", () =>
    Effect.gen(function* () {
      yield* setStock(2, 33)
      const restarts = (yield* kind("Stock")).restarts
      const orders = yield* whileLocked(
        33,
        Effect.gen(function* () {
          const first = yield* Effect.forkChild(Effect.exit(order(33, 2)), {
            startImmediately: true,
          })
          yield* waitingForLocks(1)
          const stock = yield* Stock.client
          yield* stock("33").tell.Settle(poison)
          yield* eventually(kind("Stock"), (kind) => kind.restarts === restarts + 1)
          // The new one knows of no reservation: it lets this one go, and the table decides.
          const second = yield* Effect.forkChild(Effect.exit(order(33, 2)), {
            startImmediately: true,
          })
          yield* waitingForLocks(2)
          return [first, second]
        }),
      )
      const exits = yield* Effect.all(orders.map(Fiber.join))
      expect(exits.map((exit) => exit._tag).sort()).toEqual(["Failure", "Success"])
      const failure = exits.find((exit) => exit._tag === "Failure")!
      expect(failure.cause.reasons).toMatchObject([
        { error: { _tag: "OutOfStock", productId: 33, requested: 2, left: 0 } },
      ])
      expect(yield* stockOf(33)).toBe(0)
    }))

  it.effect("says no only after a look at the table, whoever has changed it", () =>
    Effect.gen(function* () {
      yield* setStock(1, 34)
      yield* order(34, 1)
      expect(yield* Effect.flip(order(34, 1))).toMatchObject({ _tag: "OutOfStock", left: 0 })
      yield* setStock(5, 34)
      yield* order(34, 5)
      // Behind its back: it believes that there are 7.
      yield* setStock(8, 34)
      yield* order(34, 1)
      yield* setStock(2, 34)
      expect(yield* Effect.flip(order(34, 7))).toMatchObject({
        _tag: "OutOfStock",
        requested: 7,
        left: 2,
      })
      expect(yield* stockOf(34)).toBe(2)
      const stock = yield* Stock.client
      expect(yield* Effect.flip(stock("999").ask.Reserve({ order: "x", quantity: 1 })))
        .toMatchObject({ _tag: "ProductNotFound", productId: 999 })
    }))
})

layer(shop({ seed: 3, products: 200, orders: 20 }, 50), {
  timeout: "1 minute",
  excludeTestServices: true,
})("receipts", (it) => {
  it.effect("are written behind the order, once", () =>
    Effect.gen(function* () {
      yield* setStock(9, 41)
      const placed = yield* order(41, 2)
      expect(yield* receiptOf(placed.id)).toBe(render(placed))
      const receipts = yield* Receipts.client
      yield* receipts.ask.Write({ ...placed, customer: "Somebody else" })
      expect(yield* receiptOf(placed.id)).toBe(render(placed))
    }))

  it.effect("a poisoned one crashes the actor; it is restarted, and later ones are written", () =>
    Effect.gen(function* () {
      yield* setStock(9, 42)
      const receipts = yield* Receipts.client
      const { deadLetters } = yield* ActorSystem.ActorSystem
      const before = yield* kind("Receipts")
      const placed = yield* order(42, 1)
      yield* receipts.tell.Write({ ...placed, lines: poison })
      const later = yield* order(42, 1)
      expect(yield* receiptOf(later.id)).toBe(render(later))
      const after = yield* kind("Receipts")
      expect(after.restarts).toBe(before.restarts + 1)
      expect(after.account.ended.failed).toBe(before.account.ended.failed + 1)
      expect(yield* deadLetters.counts).toContainEqual({
        kind: "Receipts",
        reason: "failed",
        count: 1,
      })
      // The asker of a poisoned one hears of it, without the defect's insides over HTTP.
      expect(yield* Effect.flip(receipts.ask.Write({ ...placed, lines: poison })))
        .toBeInstanceOf(Actor.ActorFailed)
    }))
})

layer(shop({ seed: 3, products: 200, orders: 20 }, 50), {
  timeout: "1 minute",
  excludeTestServices: true,
})("analytics", (it) => {
  it.effect("count what was sold since the start, best first", () =>
    Effect.gen(function* () {
      const client = yield* clientOf
      yield* setStock(20, 51)
      yield* setStock(20, 52)
      expect(yield* client.analytics.live()).toMatchObject({ orders: 0, bestsellers: [] })
      const placed = [yield* order(51, 2), yield* order(52, 3), yield* order(51, 2)]
      const failed = yield* Effect.flip(order(52, 99))
      expect(failed._tag).toBe("OutOfStock")
      expect(yield* client.analytics.live()).toMatchObject({
        orders: 3,
        revenueCents: placed.reduce((sum, { totalCents }) => sum + totalCents, 0),
        bestsellers: [{ productId: 51, pieces: 4 }, { productId: 52, pieces: 3 }],
      })
    }))
})
