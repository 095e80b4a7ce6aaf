/**
 * The API of the subject on plain Effect, and the schemas it shares with ours.
 */
import { Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"

export const Stock = Schema.Struct({
  sku: Schema.String,
  name: Schema.String,
  price: Schema.Int,
  left: Schema.Int,
})

export const Order = Schema.Struct({ sku: Schema.String, count: Schema.Int })

/** The API as plain Effect has it. */
export class StockApi extends HttpApi.make("stock").add(
  HttpApiGroup.make("stock").add(
    HttpApiEndpoint.get("look", "/stock/:sku", { params: { sku: Schema.String }, success: Stock }),
    HttpApiEndpoint.post("order", "/orders", { payload: Order, success: Stock }),
  ),
) {}
