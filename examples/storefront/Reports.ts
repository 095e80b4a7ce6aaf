/**
 * The sales of a year, month by month: real aggregation, in steps that can be watched and cancelled.
 *
 * @module
 */
import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Api } from "./Api.ts"
import { BoughtTogether, CategorySales, Loyalty, type MonthSales } from "./Model.ts"
import { Database, Task } from "@weir/runtime"

const months = [
  "January",
  "February",
  "March",
  "April",
  "May",
  "June",
  "July",
  "August",
  "September",
  "October",
  "November",
  "December",
]

export const ReportsLive = HttpApiBuilder.group(
  Api,
  "reports",
  Effect.fn("Reports")(function* (handlers) {
    const db = yield* Database.Database

    const monthOf = Effect.fn("Reports.month")(function* (year: number, month: number) {
      const from = new Date(Date.UTC(year, month - 1, 1))
      const to = new Date(Date.UTC(year, month, 1))
      const placed = db.sql`o.placed_at >= ${from} and o.placed_at < ${to}`

      // A year's cents outgrow `integer`; as a double they are exact up to 2^53, and plain JSON.
      const categories = yield* db.many(CategorySales)`
        select p.category,
          count(distinct o.id)::integer as orders,
          sum(l.quantity)::integer as pieces,
          sum(l.quantity * l.price_cents)::double precision as "revenueCents",
          (rank() over (order by sum(l.quantity * l.price_cents) desc))::integer as rank
        from orders o
          join order_lines l on l.order_id = o.id
          join products p on p.id = l.product_id
        where ${placed}
        group by p.category
        order by rank, p.category`

      const pairs = yield* db.many(BoughtTogether)`
        select array[a.product_id, b.product_id] as products, count(*)::integer as orders
        from orders o
          join order_lines a on a.order_id = o.id
          join order_lines b on b.order_id = o.id and b.product_id > a.product_id
        where ${placed}
        group by a.product_id, b.product_id
        order by orders desc, products limit 5`

      const trios = yield* db.many(BoughtTogether)`
        select array[a.product_id, b.product_id, c.product_id] as products,
          count(*)::integer as orders
        from orders o
          join order_lines a on a.order_id = o.id
          join order_lines b on b.order_id = o.id and b.product_id > a.product_id
          join order_lines c on c.order_id = o.id and c.product_id > b.product_id
        where ${placed}
        group by a.product_id, b.product_id, c.product_id
        order by orders desc, products limit 5`

      const revenueCents = categories.reduce((sum, category) => sum + category.revenueCents, 0)
      return { month, revenueCents, categories, pairs, trios } satisfies MonthSales
    })

    const loyaltyOf = (year: number) =>
      db.one(Loyalty)`
        with visits as (
          select customer, date_trunc('day', placed_at, 'UTC') as day
          from orders
          where placed_at >= ${new Date(Date.UTC(year, 0, 1))}
            and placed_at < ${new Date(Date.UTC(year + 1, 0, 1))}
          group by 1, 2
        ), gaps as (
          select customer, extract(
            day from day - lag(day) over (partition by customer order by day)
          ) as days
          from visits
        )
        select count(distinct customer)::integer as customers,
          (count(distinct customer) filter (where days is not null))::integer as returning,
          (percentile_disc(0.5) within group (order by days))::integer as "medianDaysBetween"
        from gaps`.pipe(Effect.catchTag("NoRow", Effect.die)) // an aggregate always has a row

    return handlers.handleAll({
      sales: Effect.fn("Reports.sales")(function* ({ payload: { year } }) {
        const total = months.length + 1
        const report: Array<MonthSales> = []
        for (const [done, name] of months.entries()) {
          yield* Task.progress({ done, total, note: `${name} ${year}` })
          report.push(yield* monthOf(year, done + 1))
        }
        yield* Task.progress({ done: total - 1, total, note: "Returning customers" })
        const loyalty = yield* loyaltyOf(year)
        yield* Task.progress({ done: total, total })

        const revenueCents = report.reduce((sum, month) => sum + month.revenueCents, 0)
        return { year, revenueCents, months: report, loyalty }
      }),
    })
  }),
)
