/**
 * The storefront as a process: `deno task start`.
 *
 * @module
 */
import { Layer } from "effect"
import { Database, Service } from "@weir/runtime"
import { ActorsLive } from "./Actors.ts"
import { AnalyticsLive } from "./Analytics.ts"
import { Api } from "./Api.ts"
import { OrdersLive } from "./Orders.ts"
import { ProductsLive } from "./Products.ts"
import { ReportsLive } from "./Reports.ts"
import { migrations } from "./schema.ts"
import { seed } from "./seed.ts"

Service.run(Api, {
  handlers: Layer.mergeAll(ProductsLive, OrdersLive, ReportsLive, AnalyticsLive),
  // Above the database, so that actors have it until they have stopped.
  resources: Layer.merge(ActorsLive, Layer.effectDiscard(seed())).pipe(
    Layer.provideMerge(Database.layer({ migrations })),
  ),
  health: { checks: { database: Database.ping } },
})
