/**
 * The storefront's HTTP interface. This file is all a client, `/openapi.json` and `/docs` need; the
 * handlers are in `Products.ts`, `Quotes.ts`, `Orders.ts`, `Reports.ts` and `Analytics.ts`.
 *
 * Its policies, by what a refusal would cost: an order that is refused is a customer lost (`critical`,
 * also to read it again: somebody has paid); a product page, a receipt or a report can be asked for
 * once more a minute later (`sheddable-plus`); without search, quotes and counts the shop is less
 * pleasant for a while, and open (`sheddable`).

 *
 * @module
 */
import { Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import {
  Category,
  integerParam,
  LiveSales,
  NewOrder,
  Order,
  OrderIdParam,
  OrderNotFound,
  OutOfStock,
  Product,
  ProductIdParam,
  ProductNotFound,
  ProductPage,
  Quote,
  QuoteNotFound,
  Receipt,
  ReceiptNotFound,
  ReportRequest,
  SalesReport,
  SkuParam,
} from "./Model.ts"
import { Policy, Supervised } from "@weir/runtime"

/** What `GET /products` takes in its query string. */
export const SearchQuery = Schema.Struct({
  q: Schema.optionalKey(
    Schema.String
      .check(
        Schema.isMaxCodePoints(100),
        Schema.isPattern(/[\p{L}\p{N}]/u, { expected: "at least one letter or digit" }),
      )
      .annotate({
        description:
          "Words to look for: each must begin a word of the name, category or description.",
        examples: ["oak desk"],
      }),
  ),
  category: Schema.optionalKey(Category),
  limit: Schema.optionalKey(
    integerParam({
      min: 1,
      max: 100,
      description: "Products per page; 20 if absent.",
      example: 20,
    }),
  ),
  cursor: Schema.optionalKey(integerParam({
    min: 0,
    max: 2_147_483_647,
    description: "The page after this one: `next` of the page before.",
    example: 20,
  })),
})

export class Products extends HttpApiGroup.make("products").add(
  HttpApiEndpoint.get("search", "/products", { query: SearchQuery, success: ProductPage })
    .annotate(OpenApi.Summary, "Search the catalogue, page by page")
    .annotate(Policy.Policy, {
      deadline: "2 seconds",
      uses: ["database"],
      priority: "sheddable",
    }),
  HttpApiEndpoint.get("byId", "/products/:id", {
    params: { id: ProductIdParam },
    success: Product,
    error: ProductNotFound,
  })
    .annotate(OpenApi.Summary, "Look at one product")
    .annotate(Policy.Policy, {
      deadline: "500 millis",
      uses: ["database"],
      priority: "sheddable-plus",
    }),
) {}

export class Quotes extends HttpApiGroup.make("quotes").add(
  HttpApiEndpoint.get("quote", "/quotes/:sku", {
    params: { sku: SkuParam },
    success: Quote,
    error: QuoteNotFound,
  })
    .annotate(OpenApi.Summary, "Ask what a product costs now")
    .annotate(
      OpenApi.Description,
      "While the price provider is slow or away, the answer is the last price, or that of the " +
        "catalogue: `quality` says which.",
    )
    // Names neither prices nor the database under `uses`: the door refuses what cannot have these,
    // and a quote can do without either.
    .annotate(Policy.Policy, { deadline: "500 millis", priority: "sheddable" }),
) {}

export class Orders extends HttpApiGroup.make("orders").add(
  HttpApiEndpoint.post("place", "/orders", {
    payload: NewOrder,
    success: HttpApiSchema.WithHeaders(Order.pipe(HttpApiSchema.status(201)), {
      location: Schema.String.annotate({ description: "Where the order can be read." }),
    }),
    error: [ProductNotFound, OutOfStock],
  })
    .annotate(OpenApi.Summary, "Place an order")
    .annotate(OpenApi.Description, "All lines or none. The price is the one of this moment.")
    .annotate(Policy.Policy, {
      deadline: "3 seconds",
      uses: ["database"],
      priority: "critical",
    }),
  HttpApiEndpoint.get("byId", "/orders/:id", {
    params: { id: OrderIdParam },
    success: Order,
    error: OrderNotFound,
  })
    .annotate(OpenApi.Summary, "Read an order")
    .annotate(Policy.Policy, {
      deadline: "500 millis",
      uses: ["database"],
      priority: "critical",
    }),
  HttpApiEndpoint.get("receipt", "/orders/:id/receipt", {
    params: { id: OrderIdParam },
    success: Receipt,
    error: ReceiptNotFound,
  })
    .annotate(OpenApi.Summary, "Read the receipt of an order")
    .annotate(Policy.Policy, {
      deadline: "500 millis",
      uses: ["database"],
      priority: "sheddable-plus",
    }),
) {}

export class Reports extends HttpApiGroup.make("reports").add(
  HttpApiEndpoint.post("sales", "/reports/sales", { payload: ReportRequest, success: SalesReport })
    .annotate(OpenApi.Summary, "Add up the sales of a year")
    .annotate(
      OpenApi.Description,
      "Seconds of work in 13 steps. With `Prefer: respond-async` the answer is 202 at once, " +
        "with a task to watch or cancel.",
    )
    .annotate(Policy.Policy, {
      deadline: "60 seconds",
      uses: ["database"],
      expected: "5 seconds",
      priority: "sheddable-plus",
      async: "allowed",
    }),
) {}

export class Analytics extends HttpApiGroup.make("analytics").add(
  HttpApiEndpoint.get("live", "/analytics", { success: LiveSales })
    .annotate(OpenApi.Summary, "What has been sold since the service was started")
    .annotate(Policy.Policy, {
      deadline: "500 millis",
      uses: ["Analytics"],
      priority: "sheddable",
    }),
) {}

/** The whole interface. A field nobody declared, in a body or a query string, is refused by name. */
export class Api extends HttpApi.make("storefront")
  .add(Products, Quotes, Orders, Reports, Analytics)
  // Nobody needs a key. One that is sent must be right, and its holder is counted (`key.ts`).
  .annotate(Policy.Policy, { auth: "optional" })
  .annotate(HttpApi.PayloadParseOptions, { onExcessProperty: "error", errors: "all" })
  .annotate(HttpApi.QueryParseOptions, { onExcessProperty: "error", errors: "all" })
  .annotateMerge(OpenApi.annotations({
    title: "Weir storefront",
    description: "A small shop. Ids and amounts are whole numbers; amounts are in cents.",
  }))
  .middleware(Supervised.Supervised) {}
