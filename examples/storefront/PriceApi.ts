/**
 * The interface of the price provider: what the storefront's client and the provider's server share.
 * `GET /prices/:sku` is what a real one would have; `/control` makes it as bad as a real one can be.
 *
 * @module
 */
import { Effect, Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiError, HttpApiGroup } from "effect/http-api"
import { Policy, Supervised } from "@weir/runtime"
import { SkuParam } from "./Model.ts"

const count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))

export type Price = typeof Price.Type
export const Price = Schema.Struct({
  sku: Schema.String,
  priceCents: count,
  currency: Schema.Literal("EUR"),
}).annotate({ identifier: "Price", description: "The price of this moment." })

const withDefault = (schema: typeof Schema.Finite, otherwise: number) =>
  schema.pipe(Schema.withDecodingDefaultKey(Effect.succeed(otherwise)))

const millis = (otherwise: number) => {
  const expected = "milliseconds from 0 to 60000"
  return withDefault(
    Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 60_000 }, { expected })),
    otherwise,
  )
}

const share = withDefault(
  Schema.Finite.check(
    Schema.isBetween({ minimum: 0, maximum: 1 }, { expected: "a share from 0 to 1" }),
  ),
  0,
)

/** How the provider behaves. What a `PUT` leaves out is as it is in a healthy one. */
export type Behaviour = typeof Behaviour.Type
export const Behaviour = Schema.Struct({
  latencyMs: millis(5),
  /** Of all calls, how many are never answered, are refused at once, and fail. */
  hangRate: share,
  refusalRate: share,
  errorRate: share,
  /** What a refusal says in `Retry-After`. */
  retryAfterMs: millis(1000),
}).check(
  Schema.makeFilter(
    ({ errorRate, hangRate, refusalRate }: {
      readonly errorRate: number
      readonly hangRate: number
      readonly refusalRate: number
    }) => errorRate + hangRate + refusalRate <= 1,
    { expected: "hangRate, refusalRate and errorRate that are together at most 1" },
  ),
).annotate({ identifier: "Behaviour" })

/** How it behaves until somebody says otherwise. */
export const healthy: Behaviour = Schema.decodeSync(Behaviour)({})

/** What became of the calls for prices, since the provider started. */
export type Calls = typeof Calls.Type
export const Calls = Schema.Struct({
  received: count,
  answered: count,
  hung: count,
  refused: count,
  failed: count,
}).annotate({ identifier: "Calls" })

export type Control = typeof Control.Type
export const Control = Schema.Struct({ behaviour: Behaviour, calls: Calls, pid: Schema.Int })
  .annotate({ identifier: "Control" })

const problems = "urn:price-provider:problem"

export class NoPrice extends HttpApiError.Problem<NoPrice>()("NoPrice", {
  type: `${problems}:no-price`,
  status: 404,
  title: "There is no price for that SKU.",
}, { sku: Schema.String }) {}

export class Broken extends HttpApiError.Problem<Broken>()("Broken", {
  type: `${problems}:broken`,
  status: 500,
  title: "The price could not be worked out.",
}, {}) {}

export class Prices extends HttpApiGroup.make("prices").add(
  HttpApiEndpoint.get("price", "/prices/:sku", {
    params: { sku: SkuParam },
    success: Price,
    error: [NoPrice, Broken],
  }),
) {}

export class Controls extends HttpApiGroup.make("controls").add(
  HttpApiEndpoint.get("read", "/control", { success: Control }),
  HttpApiEndpoint.put("set", "/control", { payload: Behaviour, success: Control }),
)
  // However many calls hang, this is how they are told to stop hanging.
  .annotate(Policy.Policy, { priority: "critical-plus" }) {}

export class PriceApi extends HttpApi.make("prices")
  .add(Prices, Controls)
  .annotate(HttpApi.PayloadParseOptions, { onExcessProperty: "error", errors: "all" })
  .middleware(Supervised.Supervised) {}
