/**
 * The storefront as a process: `deno task start`.
 *
 * @module
 */
import { Layer } from "effect"
import { Database, Service } from "@weir/runtime"
import { Api } from "./Api.ts"
import { OrdersLive } from "./Orders.ts"
import { ProductsLive } from "./Products.ts"
import { ReportsLive } from "./Reports.ts"
import { migrations } from "./schema.ts"
import { seed } from "./seed.ts"

Service.run(Api, {
  handlers: Layer.mergeAll(ProductsLive, OrdersLive, ReportsLive),
  resources: Layer.effectDiscard(seed()).pipe(
    Layer.provideMerge(Database.layer({ migrations })),
  ),
  health: { checks: { database: Database.ping } },
})
