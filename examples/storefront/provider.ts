/**
 * A price provider, as a process of its own: it stands for a service that belongs to somebody else.
 * The storefront starts one by itself; `deno task prices` runs one alone.
 *
 * @module
 */
import { Effect, Layer, Random } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Refused, Service } from "@weir/runtime"
import * as Catalogue from "./Catalogue.ts"
import { Broken, type Calls, healthy, NoPrice, type Price, PriceApi } from "./PriceApi.ts"

/** Today everything costs 5 % less than in the catalogue. */
const today = (listCents: number) => Math.round(listCents * 0.95)

/** In one process everything here runs in turn, so two variables are all the state there is. */
let behaviour = healthy
const calls: { -readonly [K in keyof Calls]: Calls[K] } = {
  received: 0,
  answered: 0,
  hung: 0,
  refused: 0,
  failed: 0,
}

const PricesLive = HttpApiBuilder.group(PriceApi, "prices", (handlers) => {
  const listed = new Map<string, number>()
  for (const { priceCents, sku } of Catalogue.products(Catalogue.defaults)) {
    listed.set(sku, priceCents)
  }

  return handlers.handleAll({
    price: Effect.fn("Prices.price")(function* ({ params: { sku } }) {
      calls.received++
      const { errorRate, hangRate, latencyMs, refusalRate, retryAfterMs } = behaviour
      const fate = yield* Random.next
      if (fate < hangRate) {
        calls.hung++
        return yield* Effect.never
      }
      if (fate < hangRate + refusalRate) {
        calls.refused++
        return yield* busy(retryAfterMs)
      }
      yield* Effect.sleep(latencyMs)
      if (fate < hangRate + refusalRate + errorRate) {
        calls.failed++
        return yield* new Broken()
      }
      calls.answered++
      const listCents = listed.get(sku)
      if (listCents === undefined) return yield* new NoPrice({ sku })
      return { sku, priceCents: today(listCents), currency: "EUR" } satisfies Price
    }),
  })
})

/** 503 with `Retry-After`. */
const busy = (retryAfterMs: number) =>
  new Refused.Refused({
    reason: "Overloaded",
    kind: "service",
    resource: "prices",
    inUse: 0,
    capacity: 0,
    waiting: 0,
    predictedWaitMs: 0,
    retryAfterMs,
  })

const ControlsLive = HttpApiBuilder.group(PriceApi, "controls", (handlers) => {
  const look = Effect.sync(() => ({ behaviour, calls, pid: Deno.pid }))
  return handlers.handleAll({
    read: () => look,
    set: ({ payload }) => {
      behaviour = payload
      return look
    },
  })
})

/**
 * Whoever starts this process holds its standard input. When that ends, the other one is no more,
 * however it ended, and nobody is left who would stop this one.
 */
const withParent = Effect.forkScoped(Effect.promise(async () => {
  for await (const _ of Deno.stdin.readable);
  Deno.exit(0)
}))

Service.run(PriceApi, {
  handlers: Layer.merge(PricesLive, ControlsLive),
  resources: Layer.effectDiscard(Deno.args.includes("--with-parent") ? withParent : Effect.void),
  // Calls that hang on purpose need no time to finish.
  drain: { grace: "100 millis" },
})
