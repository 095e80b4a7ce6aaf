/**
 * Orders: they reserve their products, then one transaction takes them, by the statement that checks
 * the stock. Receipts and analytics hear of it afterwards.
 *
 * @module
 */
import { Effect, Exit, Option, Schema } from "effect"
import { HttpApiBuilder, HttpApiSchema } from "effect/http-api"
import { Database } from "@weir/runtime"
import { Analytics } from "./Analytics.ts"
import { Api } from "./Api.ts"
import {
  type NewOrder,
  type NewOrderLine,
  Order,
  OrderNotFound,
  OutOfStock,
  ProductNotFound,
  Receipt,
  ReceiptNotFound,
} from "./Model.ts"
import { Receipts } from "./Receipts.ts"
import { Stock } from "./Stock.ts"

const Taken = Schema.Struct({
  productId: Schema.Int,
  quantity: Schema.Int,
  priceCents: Schema.Int,
})
const Left = Schema.Struct({ sku: Schema.String, left: Schema.Int })
const Id = Schema.Struct({ id: Schema.Int })

export const OrdersLive = HttpApiBuilder.group(
  Api,
  "orders",
  Effect.fn("Orders")(function* (handlers) {
    const db = yield* Database.Database
    const stock = yield* Stock.client
    const receipts = yield* Receipts.client
    const analytics = yield* Analytics.client

    const take = Effect.fn("Orders.take")(function* ({ productId, quantity }: NewOrderLine) {
      const taken = yield* db.option(Taken)`
        update products set stock = stock - ${quantity}
        where id = ${productId} and stock >= ${quantity}
        returning id as "productId", ${quantity}::integer as quantity, price_cents as "priceCents"`
      if (Option.isSome(taken)) return taken.value

      const product = yield* db.option(Left)`
        select sku, stock as "left" from products where id = ${productId}`
      return yield* Option.match(product, {
        onNone: () => Effect.fail(new ProductNotFound({ productId })),
        onSome: (stock) =>
          Effect.fail(new OutOfStock({ productId, requested: quantity, ...stock })),
      })
    })

    const find = (id: number) =>
      db.option(Order)`
        select id, customer, placed_at as "placedAt", total_cents as "totalCents", (
          select json_agg(
            json_build_object(
              'productId', l.product_id, 'sku', p.sku, 'name', p.name,
              'quantity', l.quantity, 'priceCents', l.price_cents
            ) order by l.product_id
          )
          from order_lines l join products p on p.id = l.product_id
          where l.order_id = orders.id
        ) as lines
        from orders where id = ${id}`
        .pipe(Effect.flatMap(Option.match({
          onNone: () => Effect.fail(new OrderNotFound({ orderId: id })),
          onSome: Effect.succeed,
        })))

    /** One transaction: all of the order, or nothing. */
    const write = ({ customer, lines }: NewOrder) =>
      db.transaction(Effect.gen(function* () {
        const taken = yield* Effect.forEach(lines, take)
        const totalCents = taken.reduce((sum, line) => sum + line.quantity * line.priceCents, 0)
        const { id } = yield* db.one(Id)`
          insert into orders (customer, total_cents)
          values (${customer}, ${totalCents}) returning id`
        yield* db.execute`
          insert into order_lines (order_id, product_id, quantity, price_cents)
          select ${id}::integer, * from unnest(
            ${taken.map((line) => line.productId)}::integer[],
            ${taken.map((line) => line.quantity)}::integer[],
            ${taken.map((line) => line.priceCents)}::integer[]
          )`
        return yield* find(id)
      })).pipe(
        // What was just written is there: anything else is a bug.
        Effect.catchTags({ NoRow: Effect.die, OrderNotFound: Effect.die }),
      )

    const place = Effect.fn("Orders.place")(function* (order: NewOrder) {
      const token = crypto.randomUUID()
      // Actors are asked, and rows locked, in one order by everyone: no two orders wait for each other.
      const lines = order.lines.toSorted((a, b) => a.productId - b.productId)
      const reserve = Effect.forEach(
        lines,
        ({ productId, quantity }) =>
          stock(String(productId)).ask.Reserve({ order: token, quantity }),
        { discard: true },
      )
      // Runs whatever happened, also when the client has left: even an ask that was interrupted may
      // have been heard. A tell that finds no room costs a late release or a dead letter, no order.
      const settle = (exit: Exit.Exit<Order, unknown>) =>
        Effect.forEach(
          lines,
          ({ productId }) =>
            Effect.ignore(
              stock(String(productId)).tell.Settle({ order: token, sold: Exit.isSuccess(exit) }),
            ),
          { discard: true },
        )
      const announce = (placed: Order) =>
        Effect.andThen(
          Effect.ignore(receipts.tell.Write(placed)),
          Effect.ignore(analytics.tell.Sold(placed)),
        )
      return yield* Effect.andThen(reserve, write({ ...order, lines })).pipe(
        Effect.onExit((exit) =>
          Effect.andThen(settle(exit), Exit.isSuccess(exit) ? announce(exit.value) : Effect.void)
        ),
      )
    })

    return handlers.handleAll({
      place: ({ payload }) =>
        Effect.map(place(payload), (order) =>
          HttpApiSchema.withHeaders({
            body: order,
            headers: { location: `/orders/${order.id}` },
          })),

      byId: ({ params }) => find(params.id),

      receipt: ({ params: { id } }) =>
        db.option(Receipt)`
          select order_id as "orderId", text from receipts where order_id = ${id}`
          .pipe(Effect.flatMap(Option.match({
            onNone: () => Effect.fail(new ReceiptNotFound({ orderId: id })),
            onSome: Effect.succeed,
          }))),
    })
  }),
)
