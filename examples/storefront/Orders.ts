/**
 * Orders: one transaction each; stock is taken by the statement that checks it.
 *
 * @module
 */
import { Effect, Option, Schema } from "effect"
import { HttpApiBuilder, HttpApiSchema } from "effect/http-api"
import { Api } from "./Api.ts"
import { type NewOrderLine, Order, OrderNotFound, OutOfStock, ProductNotFound } from "./Model.ts"
import { Database } from "@weir/runtime"

const Taken = Schema.Struct({
  productId: Schema.Int,
  quantity: Schema.Int,
  priceCents: Schema.Int,
})
const Stock = Schema.Struct({ sku: Schema.String, left: Schema.Int })
const Id = Schema.Struct({ id: Schema.Int })

export const OrdersLive = HttpApiBuilder.group(
  Api,
  "orders",
  Effect.fn("Orders")(function* (handlers) {
    const db = yield* Database.Database

    const take = Effect.fn("Orders.take")(function* ({ productId, quantity }: NewOrderLine) {
      const taken = yield* db.option(Taken)`
        update products set stock = stock - ${quantity}
        where id = ${productId} and stock >= ${quantity}
        returning id as "productId", ${quantity}::integer as quantity, price_cents as "priceCents"`
      if (Option.isSome(taken)) return taken.value

      const product = yield* db.option(Stock)`
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

    return handlers.handleAll({
      place: ({ payload }) =>
        db.transaction(Effect.gen(function* () {
          // Rows are locked in one order by everyone: two orders cannot wait for each other.
          const lines = payload.lines.toSorted((a, b) => a.productId - b.productId)
          const taken = yield* Effect.forEach(lines, take)

          const totalCents = taken.reduce((sum, line) => sum + line.quantity * line.priceCents, 0)
          const { id } = yield* db.one(Id)`
            insert into orders (customer, total_cents)
            values (${payload.customer}, ${totalCents}) returning id`
          yield* db.execute`
            insert into order_lines (order_id, product_id, quantity, price_cents)
            select ${id}::integer, * from unnest(
              ${taken.map((line) => line.productId)}::integer[],
              ${taken.map((line) => line.quantity)}::integer[],
              ${taken.map((line) => line.priceCents)}::integer[]
            )`
          const order = yield* find(id)
          return HttpApiSchema.withHeaders({
            body: order,
            headers: { location: `/orders/${id}` },
          })
        })).pipe(
          // What was just written is there: anything else is a bug.
          Effect.catchTags({ NoRow: Effect.die, OrderNotFound: Effect.die }),
        ),

      byId: ({ params }) => find(params.id),
    })
  }),
)
