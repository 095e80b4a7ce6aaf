/**
 * Fills an empty shop, once. One transaction: a start that is killed half-way leaves nothing behind,
 * and of two that start at the same time the second waits and finds the work done.
 *
 * @module
 */
import { Effect, Option, Schema } from "effect"
import * as Catalogue from "./Catalogue.ts"
import { link, unlink } from "./schema.ts"
import { Database } from "@weir/runtime"

const batch = 4_000

/** Plants the catalogue and the orders; says `false` when they are already there. */
export const seed = Effect.fn("Storefront.seed")(function* (
  options: Catalogue.Options = Catalogue.defaults,
) {
  const db = yield* Database.Database

  return yield* db.transaction(Effect.gen(function* () {
    yield* db.execute`lock table seeds in exclusive mode`
    const planted = yield* db.option(Schema.Struct({ seed: Schema.Int }))`
      select seed from seeds where name = 'storefront'`
    if (Option.isSome(planted)) return false

    // Checked all at once at the end, the links of a hundred thousand lines take a moment.
    yield* Effect.orDie(unlink)
    // Word by word the index takes four times as long as from a list.
    yield* db.execute`alter index products_words set (fastupdate = on)`
    yield* Effect.logInfo(`Inventing ${options.products} products …`)
    const catalogue = [...Catalogue.products(options)]
    for (const some of chunks(catalogue)) {
      yield* db.execute`
        insert into products (id, sku, name, category, description, price_cents, stock)
        select id, sku, name, category, description, "priceCents", stock
        from json_to_recordset(${JSON.stringify(some)}::json) as p(
          id integer, sku text, name text, category text, description text,
          "priceCents" integer, stock integer
        )`
    }
    yield* db.execute`select gin_clean_pending_list('products_words')`
    yield* db.execute`alter index products_words set (fastupdate = off)`

    let done = 0
    for (const some of chunks(Catalogue.orders(options, catalogue))) {
      yield* Effect.logInfo(
        `Inventing the orders of ${Catalogue.year}: ${done} of ${options.orders} …`,
      )
      yield* db.execute`
        insert into orders (id, customer, placed_at, total_cents)
        select id, customer, "placedAt", "totalCents"
        from json_to_recordset(${JSON.stringify(some)}::json) as o(
          id integer, customer text, "placedAt" timestamptz, "totalCents" integer
        )`
      const lines = some.flatMap((order) => order.lines.map((line) => ({ id: order.id, ...line })))
      yield* db.execute`
        insert into order_lines (order_id, product_id, quantity, price_cents)
        select * from unnest(
          ${lines.map((line) => line.id)}::integer[],
          ${lines.map((line) => line.productId)}::integer[],
          ${lines.map((line) => line.quantity)}::integer[],
          ${lines.map((line) => line.priceCents)}::integer[]
        )`
      done += some.length
    }

    yield* Effect.orDie(link)
    // Rows that came with their own id do not move the sequences.
    yield* db
      .execute`select setval(pg_get_serial_sequence('products', 'id'), max(id)) from products`
    yield* db.execute`select setval(pg_get_serial_sequence('orders', 'id'), max(id)) from orders`
    yield* db.execute`insert into seeds (name, seed) values ('storefront', ${options.seed})`
    // The planner needs the new sizes now, not when autovacuum comes round.
    yield* db.execute`analyze products`
    yield* db.execute`analyze orders`
    yield* db.execute`analyze order_lines`
    yield* Effect.logInfo("The shop is open.")
    return true
  }))
})

function* chunks<A>(all: Iterable<A>): Generator<ReadonlyArray<A>> {
  let some: Array<A> = []
  for (const one of all) {
    if (some.push(one) === batch) {
      yield some
      some = []
    }
  }
  if (some.length > 0) yield some
}
