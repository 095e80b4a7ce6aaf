/**
 * What the storefront talks about: products, orders, reports, and the ways in which a request for
 * them can fail. The same schemas decode rows of PostgreSQL, encode answers and write the OpenAPI
 * page. Money is a whole number of cents.
 *
 * @module
 */
import { Schema, SchemaTransformation } from "effect"
import { HttpApiError } from "effect/http-api"

/** The largest value of a PostgreSQL `integer`: the type of every id and of every amount here. */
const maxInteger = 2_147_483_647

/** A whole number in a path or a query string. Digits only: no sign, blank, `1e3`, `0x10`, `NaN`. */
export const integerParam = (
  options: { min: number; max: number; description: string; example: number },
): Schema.Codec<number, string> => {
  const { min, max, example } = options
  const description = `${options.description} A whole number from ${min} to ${max}.`
  const expected = `a whole number from ${min} to ${max}, in digits`
  return Schema.String
    .check(Schema.isPattern(/^[0-9]{1,10}$/, { expected }))
    .annotate({ description, examples: [String(example)] })
    .pipe(Schema.decodeTo(
      Schema.Int.check(Schema.isBetween({ minimum: min, maximum: max }, { expected })),
      SchemaTransformation.numberFromString,
    ))
}

export const categories = [
  "audio",
  "bath",
  "books",
  "desk",
  "garden",
  "kitchen",
  "lighting",
  "outdoor",
  "storage",
  "textile",
  "tools",
  "toys",
] as const

export const Category = Schema.Literals(categories)
  .annotate({ description: "One of the twelve departments of the shop.", examples: ["desk"] })

const id = (description: string, example: number) =>
  Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: maxInteger }))
    .annotate({ description, examples: [example] })

const cents = (description: string, example: number) =>
  Schema.Int.check(Schema.isGreaterThanOrEqualTo(0)).annotate({ description, examples: [example] })

const count = (description: string, example: number) =>
  Schema.Int.check(Schema.isGreaterThanOrEqualTo(0)).annotate({ description, examples: [example] })

export const ProductIdParam = integerParam({
  min: 1,
  max: maxInteger,
  description: "The product's id.",
  example: 17,
})

export const OrderIdParam = integerParam({
  min: 1,
  max: maxInteger,
  description: "The order's id.",
  example: 24_001,
})

export const SkuParam = Schema.String
  .check(
    Schema.isPattern(/^[A-Z0-9-]{1,40}$/, {
      expected: "1 to 40 capital letters, digits and hyphens",
    }),
  )
  .annotate({ description: "Stock keeping unit.", examples: ["LIG-000017"] })

export type Product = typeof Product.Type
export const Product = Schema.Struct({
  id: id("The product's id.", 17),
  sku: Schema.String.annotate({ description: "Stock keeping unit.", examples: ["DES-00017"] }),
  name: Schema.String.annotate({ examples: ["Walnut standing desk"] }),
  category: Category,
  description: Schema.String,
  priceCents: cents("Price of one piece, in cents.", 24_900),
  stock: count("Pieces left.", 12),
}).annotate({ identifier: "Product", description: "A product of the catalogue." })

export type ProductPage = typeof ProductPage.Type
export const ProductPage = Schema.Struct({
  items: Schema.Array(Product),
  next: Schema.NullOr(Schema.Int).annotate({
    description: "The `cursor` of the next page; null on the last page.",
    examples: [17],
  }),
}).annotate({ identifier: "ProductPage", description: "Products in order of id." })

export type Quote = typeof Quote.Type
export const Quote = Schema.Struct({
  sku: Schema.String,
  priceCents: cents("Price of one piece, in cents.", 11_486),
  currency: Schema.Literal("EUR"),
  quality: Schema.Literals(["full", "stale", "degraded"]).annotate({
    description:
      "`full`: the price of this moment. `stale`: the last one that was known, `ageMs` old. " +
      "`degraded`: the list price of the catalogue.",
  }),
  ageMs: Schema.optionalKey(
    count("Age of a stale price, in milliseconds.", 1_250),
  ),
}).annotate({ identifier: "Quote", description: "What a product costs, and how sure that is." })

export type NewOrderLine = typeof NewOrderLine.Type
export const NewOrderLine = Schema.Struct({
  productId: id("The product to buy.", 17),
  quantity: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 100 }))
    .annotate({ description: "Pieces of it.", examples: [2] }),
}).annotate({ identifier: "NewOrderLine" })

export type NewOrder = typeof NewOrder.Type
export const NewOrder = Schema.Struct({
  customer: Schema.String
    .check(
      Schema.isPattern(/^[^\p{Cc}]{1,100}$/u, {
        expected: "1 to 100 characters, none of them a control character",
      }),
      Schema.isPattern(/\S/, { expected: "a name that is not blank" }),
    )
    .annotate({ description: "Who buys.", examples: ["Ada"] }),
  lines: Schema.Array(NewOrderLine).check(
    Schema.isBetweenLength(1, 20),
    Schema.makeFilter(
      (lines: ReadonlyArray<NewOrderLine>) =>
        new Set(lines.map((line) => line.productId)).size === lines.length,
      { expected: "each product at most once" },
    ),
  ).annotate({ description: "What is bought: 1 to 20 lines, each product at most once." }),
}).annotate({
  identifier: "NewOrder",
  description: "An order to place.",
  examples: [{ customer: "Ada", lines: [{ productId: 17, quantity: 2 }] }],
})

export type OrderLine = typeof OrderLine.Type
export const OrderLine = Schema.Struct({
  productId: id("The product.", 17),
  sku: Schema.String,
  name: Schema.String,
  quantity: count("Pieces of it.", 2),
  priceCents: cents("Price of one piece when the order was placed, in cents.", 24_900),
}).annotate({ identifier: "OrderLine" })

export type Order = typeof Order.Type
export const Order = Schema.Struct({
  id: id("The order's id.", 24_001),
  customer: Schema.String,
  placedAt: Schema.Date.annotate({ description: "When it was placed (ISO 8601, UTC)." }),
  totalCents: cents("What it costs, in cents.", 49_800),
  lines: Schema.Array(OrderLine),
}).annotate({ identifier: "Order", description: "A placed order." })

export type Receipt = typeof Receipt.Type
export const Receipt = Schema.Struct({
  orderId: id("The order.", 24_001),
  text: Schema.String.annotate({ description: "Plain text, one line for each product." }),
}).annotate({ identifier: "Receipt", description: "The receipt of an order." })

export type LiveSales = typeof LiveSales.Type
export const LiveSales = Schema.Struct({
  since: Schema.Date.annotate({ description: "When the counting began (ISO 8601, UTC)." }),
  orders: count("Orders placed since then.", 3),
  revenueCents: cents("What they cost together, in cents.", 149_400),
  bestsellers: Schema.Array(Schema.Struct({
    productId: id("The product.", 17),
    pieces: count("Pieces sold.", 6),
  })).annotate({ description: "The five products of which most was sold." }),
}).annotate({ identifier: "LiveSales", description: "Sales since the service was started." })

export type ReportRequest = typeof ReportRequest.Type
export const ReportRequest = Schema.Struct({
  year: Schema.Int.check(Schema.isBetween({ minimum: 2000, maximum: 2100 }))
    .annotate({ description: "The year to report on, in UTC.", examples: [2025] }),
}).annotate({
  identifier: "ReportRequest",
  description: "Which sales to report on.",
  examples: [{ year: 2025 }],
})

export type CategorySales = typeof CategorySales.Type
export const CategorySales = Schema.Struct({
  category: Category,
  orders: count("Orders with at least one product of the category.", 211),
  pieces: count("Pieces sold.", 940),
  revenueCents: cents("Revenue, in cents.", 8_120_000),
  rank: Schema.Int.annotate({ description: "1 for the category that earned most.", examples: [1] }),
}).annotate({ identifier: "CategorySales" })

export type BoughtTogether = typeof BoughtTogether.Type
export const BoughtTogether = Schema.Struct({
  products: Schema.Array(Schema.Int).annotate({
    description: "Their ids, in ascending order.",
    examples: [[3, 17]],
  }),
  orders: count("Orders that contain all of them.", 31),
}).annotate({ identifier: "BoughtTogether" })

export type MonthSales = typeof MonthSales.Type
export const MonthSales = Schema.Struct({
  month: Schema.Int.annotate({ description: "1 to 12.", examples: [3] }),
  revenueCents: cents("Revenue of the month, in cents.", 91_000_000),
  categories: Schema.Array(CategorySales),
  pairs: Schema.Array(BoughtTogether)
    .annotate({ description: "The five pairs of products that were bought together most." }),
  trios: Schema.Array(BoughtTogether)
    .annotate({ description: "The five trios of products that were bought together most." }),
}).annotate({ identifier: "MonthSales" })

export type Loyalty = typeof Loyalty.Type
export const Loyalty = Schema.Struct({
  customers: count("Customers who bought in that year.", 7_600),
  returning: count("Those of them who bought on more than one day.", 6_900),
  medianDaysBetween: Schema.NullOr(Schema.Int).annotate({
    description: "Half of all returns came within this many days; null without any return.",
    examples: [71],
  }),
}).annotate({ identifier: "Loyalty" })

export type SalesReport = typeof SalesReport.Type
export const SalesReport = Schema.Struct({
  year: Schema.Int,
  revenueCents: cents("Revenue of the year, in cents.", 1_090_000_000),
  months: Schema.Array(MonthSales),
  loyalty: Loyalty,
}).annotate({ identifier: "SalesReport", description: "The sales of one year." })

const problems = "urn:storefront:problem"

export class ProductNotFound extends HttpApiError.Problem<ProductNotFound>()("ProductNotFound", {
  type: `${problems}:product-not-found`,
  status: 404,
  title: "There is no such product.",
}, { productId: Schema.Int }) {}

export class QuoteNotFound extends HttpApiError.Problem<QuoteNotFound>()("QuoteNotFound", {
  type: `${problems}:quote-not-found`,
  status: 404,
  title: "There is no product with that SKU.",
}, { sku: Schema.String }) {}

export class OrderNotFound extends HttpApiError.Problem<OrderNotFound>()("OrderNotFound", {
  type: `${problems}:order-not-found`,
  status: 404,
  title: "There is no such order.",
}, { orderId: Schema.Int }) {}

export class ReceiptNotFound extends HttpApiError.Problem<ReceiptNotFound>()("ReceiptNotFound", {
  type: `${problems}:receipt-not-found`,
  status: 404,
  title: "There is no receipt of that order. A new one takes a moment to be written.",
}, { orderId: Schema.Int }) {}

export class OutOfStock extends HttpApiError.Problem<OutOfStock>()("OutOfStock", {
  type: `${problems}:out-of-stock`,
  status: 409,
  title: "There are not enough pieces left. Order fewer, or try again later.",
}, {
  productId: Schema.Int,
  sku: Schema.String,
  requested: Schema.Int,
  left: Schema.Int,
}) {}
