/**
 * The catalogue: search and look-up.
 *
 * @module
 */
import { Effect, Option } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Api } from "./Api.ts"
import { Product, ProductNotFound } from "./Model.ts"
import { Database } from "@weir/runtime"

export const ProductsLive = HttpApiBuilder.group(
  Api,
  "products",
  Effect.fn("Products")(function* (handlers) {
    const db = yield* Database.Database
    const { sql } = db
    const columns = sql.literal(
      `id, sku, name, category, description, price_cents as "priceCents", stock`,
    )

    return handlers.handleAll({
      search: ({ query: { q, category, limit = 20, cursor = 0 } }) => {
        const filters = [sql`id > ${cursor}`]
        if (category !== undefined) filters.push(sql`category = ${category}`)
        if (q !== undefined) {
          filters.push(sql`words @@ to_tsquery('simple', ${prefixes(q)})`)
        }
        // One row more than asked for tells whether there is a next page.
        return db.many(Product)`
          select ${columns} from products
          where ${sql.and(filters)} order by id limit ${limit + 1}`
          .pipe(Effect.map((rows) => {
            const items = rows.slice(0, limit)
            return { items, next: rows.length > items.length ? items.at(-1)!.id : null }
          }))
      },

      byId: ({ params }) =>
        db.option(Product)`select ${columns} from products where id = ${params.id}`
          .pipe(Effect.flatMap(Option.match({
            onNone: () => Effect.fail(new ProductNotFound({ productId: params.id })),
            onSome: Effect.succeed,
          }))),
    })
  }),
)

/** `"Oak desk!"` → `"oak:* & desk:*"`. Nothing but letters and digits reaches the query language. */
const prefixes = (q: string): string =>
  q.toLowerCase().split(/[^\p{L}\p{N}]+/u).filter((word) => word !== "")
    .map((word) => `${word}:*`).join(" & ")
