/**
 * The stock of a product: one actor each, in front of the table. Orders for the same product wait in
 * its mailbox, where they cost no connection, and not for a lock in the database, where each would
 * hold one.
 *
 * The table stays the truth. The actor only says who may try now: it lets as many orders go to the
 * database as there are pieces for. A "yes" is confirmed by the statement that takes the pieces, and a
 * "no" is never said without having asked the table. So whatever happens in between is harmless:
 *
 * - The order's transaction fails, or its client leaves: it settles its reservation as not sold. What
 *   the actor knew is in doubt then, and the next order makes it look at the table again.
 * - The actor crashes: it forgets its reservations. Orders under way finish or fail by the table alone.
 * - Nobody settles (the message found no room, the order's process is another one that died): the
 *   reservation ends by itself.
 * - Somebody else changes the table: too few pieces show when the statement takes none, more when the
 *   actor asks before it says no.
 *
 * @module
 */
import { Effect, Option, Schema } from "effect"
import { Rpc } from "effect/rpc"
import { Actor, ActorContext, Database, Refused } from "@weir/runtime"
import { OutOfStock, ProductNotFound } from "./Model.ts"

/** Lets an order try to take so many pieces; it waits while others have reserved what is left. */
const Reserve = Rpc.make("Reserve", {
  payload: { order: Schema.String, quantity: Schema.Int },
  error: Schema.Union([
    OutOfStock,
    ProductNotFound,
    Database.DatabaseUnavailable,
    Refused.Refused,
  ]),
})

/** The order is over. Ahead of all that waits: it makes room for them. */
const Settle = Rpc.make("Settle", { payload: { order: Schema.String, sold: Schema.Boolean } })
  .annotate(Actor.Priority, 1)

/** The actor of a product; its key is the product's id. */
export const Stock = Actor.make("Stock", [Reserve, Settle], { mailbox: { capacity: 256 } })

const Row = Schema.Struct({ sku: Schema.String, left: Schema.Int })

/** Longer than any order takes. */
const forgotten = "15 seconds"

export const StockLive = Stock.toLayer(Effect.gen(function* () {
  const db = yield* Database.Database
  const self = yield* ActorContext.ActorContext
  const productId = Number(self.key)

  /** Pieces in the table, as far as known. */
  let known: number | undefined
  const reserved = new Map<string, number>()
  const free = (left: number) => {
    for (const quantity of reserved.values()) left -= quantity
    return left
  }

  const look = db.option(Row)`
    select sku, stock as "left" from products where id = ${productId}`.pipe(
    Effect.flatMap(Option.match({
      onNone: () => Effect.fail(new ProductNotFound({ productId })),
      onSome: Effect.succeed,
    })),
  )

  const settle = Effect.fnUntraced(function* (order: string, sold: boolean) {
    const quantity = reserved.get(order)
    reserved.delete(order)
    yield* self.cancelTimer(order)
    known = sold && quantity !== undefined && known !== undefined ? known - quantity : undefined
    yield* self.unstashAll
  })

  return Stock.of({
    Reserve: Effect.fnUntraced(function* ({ payload: { order, quantity } }) {
      if (known === undefined || known < quantity) {
        const { left, sku } = yield* look
        known = left
        if (left < quantity) {
          return yield* new OutOfStock({ productId, sku, requested: quantity, left })
        }
      }
      // There are enough, but others have reserved them: some of those may yet fail.
      if (free(known) < quantity) return yield* self.stash
      reserved.set(order, quantity)
      yield* self.timer(order, { after: forgotten }, settle(order, false))
    }),
    Settle: ({ payload: { order, sold } }) => settle(order, sold),
  })
}))
