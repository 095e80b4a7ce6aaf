/**
 * The actors of the shop. Each is restarted by itself when it crashes; one that keeps crashing takes
 * down only its own kind.
 *
 * @module
 */
import { Layer } from "effect"
import { AnalyticsActorLive } from "./Analytics.ts"
import { ReceiptsLive } from "./Receipts.ts"
import { StockLive } from "./Stock.ts"

export const ActorsLive = Layer.mergeAll(StockLive, ReceiptsLive, AnalyticsActorLive)
