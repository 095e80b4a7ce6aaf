/**
 * What a product costs now: the provider's price if it answers in time, else its last one, else the
 * price of the catalogue. The quote says which of the three it is.
 *
 * @module
 */
import { Effect, Option, Schema } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Database, Fallback } from "@weir/runtime"
import { Api } from "./Api.ts"
import { type Quote, QuoteNotFound } from "./Model.ts"
import { NoPrice, type Price } from "./PriceApi.ts"
import { Prices } from "./Prices.ts"

/** Quotes, given a way to look up what the catalogue says. */
export const make = Effect.fn("Quotes.make")(function* <E, R>(
  listed: (sku: string) => Effect.Effect<Price, E, R>,
) {
  const prices = yield* Prices
  // As many as there are products, in a shop of this size. Prices of ten minutes ago were right then.
  const last = yield* Fallback.lastGood<string, Price>({
    name: "last prices",
    capacity: 12_000,
    maxAge: "10 minutes",
  })
  return Effect.fn("Quotes.quote")((sku: string) =>
    prices.price(sku).pipe(
      Fallback.orElse({
        // Nothing is spent on a call whose turn would come too late, nor while the breaker is open.
        when: Fallback.when(prices.dependency, { predictedWaitOver: "100 millis" }),
        stale: last.of(sku),
        degraded: () => listed(sku),
        // That there is no such price is an answer, and the provider has given it.
        hides: (error) => !(error instanceof NoPrice),
      }),
      Effect.map(quoteOf),
    )
  )
})

const quoteOf = (answer: Fallback.Answer<Price, Price>): Quote => ({
  ...answer.value,
  quality: answer._tag,
  ...(answer._tag === "stale" ? { ageMs: Math.round(answer.ageMs) } : {}),
})

const Listed = Schema.Struct({ priceCents: Schema.Int })

export const QuotesLive = HttpApiBuilder.group(
  Api,
  "quotes",
  Effect.fn("Quotes")(function* (handlers) {
    const db = yield* Database.Database
    const quote = yield* make((sku) =>
      db.option(Listed)`select price_cents as "priceCents" from products where sku = ${sku}`.pipe(
        Effect.flatMap(Option.match({
          onNone: () => Effect.fail(new QuoteNotFound({ sku })),
          onSome: ({ priceCents }) => Effect.succeed({ sku, priceCents, currency: "EUR" as const }),
        })),
      )
    )
    return handlers.handleAll({
      quote: ({ params: { sku } }) =>
        quote(sku).pipe(Effect.catchTags({
          NoPrice: () => Effect.fail(new QuoteNotFound({ sku })),
          // Hidden, every one: there is always something to answer instead.
          Broken: Effect.die,
          HttpClientError: Effect.die,
          NoProvider: Effect.die,
          SchemaError: Effect.die,
        })),
    })
  }),
)
