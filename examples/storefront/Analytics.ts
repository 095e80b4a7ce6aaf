/**
 * What has been sold since the service started, counted by one actor as orders tell it. Its state
 * needs no lock and no table: it has one owner.
 *
 * @module
 */
import { Clock, Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Rpc } from "effect/rpc"
import { Actor } from "@weir/runtime"
import { Api } from "./Api.ts"
import { LiveSales, Order } from "./Model.ts"

const Sold = Rpc.make("Sold", { payload: Order })
const Look = Rpc.make("Look", { success: LiveSales })

export const Analytics = Actor.single("Analytics", [Sold, Look])

/** Products that the picture shows. */
const most = 5

export const AnalyticsActorLive = Analytics.toLayer(Effect.gen(function* () {
  const since = new Date(yield* Clock.currentTimeMillis)
  let orders = 0
  let revenueCents = 0
  const pieces = new Map<number, number>()
  return Analytics.of({
    Sold: ({ payload: order }) =>
      Effect.sync(() => {
        orders++
        revenueCents += order.totalCents
        for (const { productId, quantity } of order.lines) {
          pieces.set(productId, (pieces.get(productId) ?? 0) + quantity)
        }
      }),
    Look: () =>
      Effect.sync(() => ({
        since,
        orders,
        revenueCents,
        bestsellers: Array.from(pieces, ([productId, pieces]) => ({ productId, pieces }))
          .sort((a, b) => b.pieces - a.pieces || a.productId - b.productId)
          .slice(0, most),
      })),
  })
}))

export const AnalyticsLive = HttpApiBuilder.group(
  Api,
  "analytics",
  Effect.fn("Analytics")(function* (handlers) {
    const analytics = yield* Analytics.client
    return handlers.handleAll({ live: () => analytics.ask.Look() })
  }),
)
