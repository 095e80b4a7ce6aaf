/**
 * Prices, from a provider that belongs to somebody else: slow today, refusing tomorrow, away on
 * Sunday. Everything that such a call needs around it is one `Dependency`.
 *
 * @module
 */
import { Context, Effect, Layer } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"
import { HttpApiClient } from "effect/http-api"
import { Deadline, Dependency } from "@weir/runtime"
import { PriceApi } from "./PriceApi.ts"
import { PriceProvider } from "./PriceProvider.ts"

const make = Effect.fn("Prices.make")(function* () {
  const provider = yield* PriceProvider
  const dependency = yield* Dependency.make({
    name: "prices",
    // Of the 500 ms that a quote has, so that one attempt may hang and something else still answer.
    timeout: "200 millis",
    // A quote can do without. One more attempt helps where a connection broke; at most a tenth of
    // the calls are made twice, also while everything fails.
    retry: { attempts: 2 },
    budget: { ratio: 0.1, minimum: 0 },
    // At most three calls in two seconds while the provider is away, and at most two seconds until
    // its return is noticed: cheap for both, so the opening does not grow.
    breaker: { openFor: "2 seconds" },
    // It would hold calls back from a provider that refuses some, and go on for minutes after that is
    // over. Here the breaker is enough: below its half, trying costs little.
    throttle: false,
  })
  const client = yield* HttpApiClient.makeWith(PriceApi, {
    httpClient: dependency.client(yield* HttpClient.HttpClient).pipe(
      // Outside the dependency: that there is nobody to ask is not held against anybody.
      HttpClient.mapRequestEffect((request) =>
        Effect.map(provider.url, (url) => HttpClientRequest.prependUrl(request, url))
      ),
    ),
  })
  return {
    dependency,
    /** The price of this moment, within 350 ms: waiting and both attempts included. */
    price: (sku: string) =>
      client.prices.price({ params: { sku } }).pipe(Deadline.within("350 millis", "prices")),
  }
})

export class Prices extends Context.Service<Prices, Effect.Success<ReturnType<typeof make>>>()(
  "storefront/Prices",
) {
  static readonly layer = Layer.effect(Prices, make())
}
