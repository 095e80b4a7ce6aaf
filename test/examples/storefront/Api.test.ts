import { describe, expect, it } from "@effect/vitest"
import { Context, Result, Schema } from "effect"
import { HttpApi, OpenApi } from "effect/http-api"
import { Api, SearchQuery } from "../../../examples/storefront/Api.ts"
import { NewOrder, ProductIdParam, ReportRequest } from "../../../examples/storefront/Model.ts"

const strictQuery = Context.getUnsafe(Api.annotations, HttpApi.QueryParseOptions)
const strictBody = Context.getUnsafe(Api.annotations, HttpApi.PayloadParseOptions)

/** The failure's text, or "accepted". */
const outcome = <A, I>(result: Result.Result<A, I>) =>
  Result.match(result, { onSuccess: () => "accepted", onFailure: String })

const query = (input: unknown) =>
  outcome(Schema.decodeUnknownResult(Schema.toCodecStringTree(SearchQuery), strictQuery)(input))
const order = (input: unknown) =>
  outcome(Schema.decodeUnknownResult(Schema.toCodecJson(NewOrder), strictBody)(input))
const report = (input: unknown) =>
  outcome(Schema.decodeUnknownResult(Schema.toCodecJson(ReportRequest), strictBody)(input))
const productId = (input: string) => outcome(Schema.decodeUnknownResult(ProductIdParam)(input))

const lines = [{ productId: 1, quantity: 1 }]

describe("parameters of a request", () => {
  const wrong = ["", " 1", "abc", "NaN", "Infinity", "-1", "1.5", "1e3", "0x10", "9".repeat(400)]

  it.each([...wrong, "0", "2147483648"])("refuses %j as an id", (text) => {
    expect(productId(text)).toContain("a whole number from 1 to 2147483647")
  })

  it.each([...wrong, "0", "101"])("refuses %j as a limit", (text) => {
    const failure = query({ limit: text })
    expect(failure).toContain("a whole number from 1 to 100")
    expect(failure).toContain(`["limit"]`)
  })

  it.each([...wrong, "2147483648"])("refuses %j as a cursor", (text) => {
    expect(query({ cursor: text })).toContain(`["cursor"]`)
  })

  it("accepts the largest id, and a search without any parameter", () => {
    expect(productId("2147483647")).toBe("accepted")
    expect(query({})).toBe("accepted")
  })

  it("refuses an unknown category, a search without a word, and one that is too long", () => {
    expect(query({ category: "cars" })).toContain(`["category"]`)
    for (const q of ["", "  ", "!?", "\0", "a".repeat(101)]) expect(query({ q })).toContain(`["q"]`)
    expect(query({ q: "oak's :* & | ! ( desk" })).toBe("accepted")
  })

  it("names a parameter that nobody declared", () => {
    expect(query({ catgory: "desk" })).toContain(`["catgory"]`)
  })
})

describe("bodies of a request", () => {
  it("accepts an order and a report as documented", () => {
    expect(order({ customer: "Ada", lines })).toBe("accepted")
    expect(report({ year: 2025 })).toBe("accepted")
  })

  it("names every unknown field, also inside lines", () => {
    const failure = order({
      customer: "Ada",
      total: 1,
      lines: [{ productId: 1, quantity: 1, priceCents: 1 }],
    })
    expect(failure).toContain(`["total"]`)
    expect(failure).toContain(`["lines"][0]["priceCents"]`)
    expect(report({ year: 2025, month: 3 })).toContain(`["month"]`)
  })

  it.each([0, -1, 1.5, 101, Infinity, NaN, "1", null, undefined, 2 ** 53])(
    "refuses %j as a quantity",
    (quantity) => {
      expect(order({ customer: "Ada", lines: [{ productId: 1, quantity }] }))
        .toContain(`["lines"][0]["quantity"]`)
    },
  )

  it.each([0, -1, 1.5, 2 ** 31, NaN, "1"])("refuses %j as a product", (id) => {
    expect(order({ customer: "Ada", lines: [{ productId: id, quantity: 1 }] }))
      .toContain(`["lines"][0]["productId"]`)
  })

  it("refuses no lines, too many, and one product twice", () => {
    const many = Array.from({ length: 21 }, (_, i) => ({ productId: i + 1, quantity: 1 }))
    expect(order({ customer: "Ada", lines: [] })).toContain(`["lines"]`)
    expect(order({ customer: "Ada", lines: many })).toContain(`["lines"]`)
    expect(order({ customer: "Ada", lines: [...lines, ...lines] }))
      .toContain("each product at most once")
  })

  it.each(["", "   ", "a\0b", "a\nb", "x".repeat(101), 7, null])(
    "refuses %j as a customer",
    (customer) => expect(order({ customer, lines })).toContain(`["customer"]`),
  )
})

describe("the OpenAPI page", () => {
  const page = OpenApi.fromApi(Api)

  it("lists every path", () => {
    expect(Object.keys(page.paths)).toEqual([
      "/products",
      "/products/{id}",
      "/quotes/{sku}",
      "/orders",
      "/orders/{id}",
      "/orders/{id}/receipt",
      "/reports/sales",
      "/analytics",
    ])
  })

  it("describes every operation and every parameter, with an example", () => {
    const operations = Object.values(page.paths).flatMap(({ get, post }) =>
      [get, post].filter((operation) => operation !== undefined)
    )
    for (const operation of operations) {
      expect(operation.summary).toBeTruthy()
      for (const parameter of operation.parameters) {
        expect([operation.operationId, parameter.schema]).toEqual([
          operation.operationId,
          expect.objectContaining({ description: expect.any(String), examples: expect.any(Array) }),
        ])
      }
    }
  })

  it("names the shapes that travel, and the problems", () => {
    expect(Object.keys(page.components.schemas).toSorted()).toMatchInlineSnapshot(`
      [
        "ActorFailed",
        "AskCycle",
        "AskTimeout",
        "BoughtTogether",
        "Cancelled",
        "CategorySales",
        "CleanupAbandoned",
        "DatabaseUnavailable",
        "DeadlineExceeded",
        "LiveSales",
        "Loyalty",
        "MailboxFull",
        "MonthSales",
        "NewOrder",
        "NewOrderLine",
        "Order",
        "OrderLine",
        "OrderNotFoundEncoded",
        "OutOfStockEncoded",
        "Product",
        "ProductNotFoundEncoded",
        "ProductPage",
        "Quote",
        "QuoteNotFoundEncoded",
        "RateLimited",
        "Receipt",
        "ReceiptNotFoundEncoded",
        "Refused",
        "ReportRequest",
        "SalesReport",
        "Stopped",
        "Unauthenticated",
      ]
    `)
    expect(Object.keys(page.paths["/quotes/{sku}"]!.get!.responses))
      .toEqual(expect.arrayContaining(["200", "401", "404", "429", "503", "504"]))
    expect(Object.keys(page.paths["/orders"]!.post!.responses))
      .toEqual(expect.arrayContaining(["201", "404", "409"]))
  })
})
