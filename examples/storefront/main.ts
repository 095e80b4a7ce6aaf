/**
 * The storefront as a process: `deno task start`.
 *
 * @module
 */
import { Layer } from "effect"
import { FetchHttpClient } from "effect/http"
import { ApiKeys, Database, Principal, Service } from "@weir/runtime"
import { ActorsLive } from "./Actors.ts"
import { AnalyticsLive } from "./Analytics.ts"
import { Api } from "./Api.ts"
import { OrdersLive } from "./Orders.ts"
import { PriceProvider } from "./PriceProvider.ts"
import { Prices } from "./Prices.ts"
import { ProductsLive } from "./Products.ts"
import { QuotesLive } from "./Quotes.ts"
import { ReportsLive } from "./Reports.ts"
import { migrations } from "./schema.ts"
import { seed } from "./seed.ts"

Service.run(Api, {
  handlers: Layer.mergeAll(ProductsLive, QuotesLive, OrdersLive, ReportsLive, AnalyticsLive),
  // Above the database, so that actors have it until they have stopped.
  resources: Layer.mergeAll(ActorsLive, ApiKeys.layer(), Layer.effectDiscard(seed())).pipe(
    Layer.provideMerge(Database.layer({ migrations })),
    Layer.merge(Prices.layer.pipe(
      Layer.provide(Layer.merge(PriceProvider.layer, FetchHttpClient.layer)),
    )),
  ),
  // Who sends a key is counted by it; a key may have a limit of its own instead (`key.ts`).
  principals: Principal.layer(),
  limits: { principal: { requests: 600, per: "1 minute" } },
  health: { checks: { database: Database.ping } },
})
