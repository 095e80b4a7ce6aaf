/**
 * Receipts: written behind the orders by one actor. An order tells it and goes on; a receipt that
 * cannot be written is a dead letter, and the order stands all the same.
 *
 * What it has been told is in memory. A stop of the service waits for it; `kill -9` loses it.
 *
 * @module
 */
import { Effect, Schedule, Schema } from "effect"
import { Rpc } from "effect/rpc"
import { Actor, Database, Refused } from "@weir/runtime"
import { Order } from "./Model.ts"

const Write = Rpc.make("Write", {
  payload: Order,
  error: Schema.Union([Database.DatabaseUnavailable, Refused.Refused]),
})

export const Receipts = Actor.single("Receipts", [Write])

export const ReceiptsLive = Receipts.toLayer(Effect.gen(function* () {
  const db = yield* Database.Database
  return Receipts.of({
    Write: ({ payload: order }) => {
      // An order that cannot be rendered is a bug: the throw crashes the actor, which is restarted.
      const text = render(order)
      return db.execute`
        insert into receipts (order_id, text) values (${order.id}, ${text})
        on conflict (order_id) do nothing`.pipe(
        // 0.1, 0.2, 0.4, 0.8 and 1.6 seconds: a database that restarts is back by then.
        Effect.retry(Schedule.max([Schedule.exponential("100 millis"), Schedule.recurs(5)])),
        Effect.asVoid,
      )
    },
  })
}))

/** The receipt as text: one line for each product, and the total. */
export const render = (order: Order): string => {
  const lines = order.lines.map((line) =>
    `${line.quantity} x ${line.name} (${line.sku})  ${money(line.quantity * line.priceCents)}`
  )
  return [
    `Order ${order.id} for ${order.customer}, ${order.placedAt.toISOString().slice(0, 10)}`,
    ...lines,
    `Total  ${money(order.totalCents)}`,
  ].join("\n")
}

const money = (cents: number) => (cents / 100).toFixed(2)
