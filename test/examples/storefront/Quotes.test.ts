import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import { HttpClient, HttpClientResponse } from "effect/http"
import { TestClock } from "effect/testing"
import { QuoteNotFound } from "../../../examples/storefront/Model.ts"
import { PriceProvider } from "../../../examples/storefront/PriceProvider.ts"
import { Prices } from "../../../examples/storefront/Prices.ts"
import * as Quotes from "../../../examples/storefront/Quotes.ts"

const problem = (status: number, sku: string) =>
  status === 404
    ? {
      type: "urn:price-provider:problem:no-price",
      title: "There is no price for that SKU.",
      status,
      sku,
    }
    : {
      type: "urn:price-provider:problem:broken",
      title: "The price could not be worked out.",
      status,
    }

/** A provider in virtual time: it answers after so long, with such a status. */
class Provider {
  latencyMs = 10
  status = 200
  /** So many calls fail first. */
  breaks = 0
  calls = 0

  readonly client = HttpClient.make((request, url) =>
    Effect.suspend(() => {
      this.calls++
      const sku = url.pathname.split("/").at(-1)!
      const status = this.breaks-- > 0 ? 500 : this.status
      const body = status === 200 ? { sku, priceCents: 95, currency: "EUR" } : problem(status, sku)
      return Effect.as(
        Effect.sleep(this.latencyMs),
        HttpClientResponse.fromWeb(request, Response.json(body, { status })),
      )
    })
  )
}

const listed = (sku: string) =>
  sku === "GONE"
    ? Effect.fail(new QuoteNotFound({ sku }))
    : Effect.succeed({ sku, priceCents: 100, currency: "EUR" as const })

/** Quotes with that provider, and how to ask for one: the answer, and how long it took. */
const start = Effect.gen(function* () {
  const provider = new Provider()
  const prices = yield* Layer.build(Prices.layer.pipe(
    Layer.provide(PriceProvider.at("http://prices.test")),
    Layer.provide(Layer.succeed(HttpClient.HttpClient, provider.client)),
  ))
  const quote = yield* Effect.provideContext(Quotes.make(listed), prices)
  const ask = (sku = "A") =>
    Effect.gen(function* () {
      const fiber = yield* Effect.forkChild(Effect.exit(quote(sku)), { startImmediately: true })
      let ms = 0
      while (fiber.pollUnsafe() === undefined) {
        yield* TestClock.adjust("5 millis")
        ms += 5
      }
      return { quote: yield* yield* Fiber.join(fiber), ms }
    })
  return { provider, ask }
})

const full = { sku: "A", priceCents: 95, currency: "EUR", quality: "full" }
const degraded = { sku: "A", priceCents: 100, currency: "EUR", quality: "degraded" }

describe("a quote", () => {
  it.effect("is the provider's price while that answers in time", () =>
    Effect.gen(function* () {
      const { ask, provider } = yield* start
      expect(yield* ask()).toEqual({ quote: full, ms: 10 })
      provider.latencyMs = 195
      expect(yield* ask()).toEqual({ quote: full, ms: 195 })
      expect(provider.calls).toBe(2)
    }))

  it.effect("is the list price when nobody has asked before, within 350 ms", () =>
    Effect.gen(function* () {
      const { ask, provider } = yield* start
      provider.latencyMs = 60_000
      const { ms, quote } = yield* ask()
      expect(quote).toEqual(degraded)
      expect(ms).toBeLessThanOrEqual(350)
    }))

  it.effect("is the last price with its age, for ten minutes", () =>
    Effect.gen(function* () {
      const { ask, provider } = yield* start
      yield* ask()
      provider.status = 500
      yield* TestClock.adjust("9 minutes")
      expect((yield* ask()).quote).toEqual({ ...full, quality: "stale", ageMs: 9 * 60_000 + 10 })
      yield* TestClock.adjust("1 minute")
      expect((yield* ask()).quote).toEqual(degraded)
    }))

  it.effect("does not exist where the provider says so, or the catalogue in its place", () =>
    Effect.gen(function* () {
      const { ask, provider } = yield* start
      provider.status = 404
      expect(yield* Effect.flip(ask("GONE"))).toMatchObject({ _tag: "NoPrice" })
      provider.status = 500
      expect(yield* Effect.flip(ask("GONE"))).toMatchObject({ _tag: "QuoteNotFound" })
    }))

  it.effect("costs nothing and no time while the breaker is open; then three probes decide", () =>
    Effect.gen(function* () {
      const { ask, provider } = yield* start
      yield* ask()
      provider.latencyMs = 60_000
      const slow: Array<number> = []
      for (let last = 1; last > 0;) {
        const { ms, quote } = yield* ask()
        expect(quote.quality).toBe("stale")
        last = ms
        slow.push(ms)
        expect(slow.length).toBeLessThan(50)
      }
      // Half of at least 20 calls; retries are calls too.
      const spent = provider.calls
      expect(spent).toBeGreaterThanOrEqual(20)
      for (let i = 0; i < 100; i++) expect((yield* ask()).ms).toBe(0)
      expect(provider.calls).toBe(spent)

      yield* TestClock.adjust("2 seconds")
      for (let i = 0; i < 100; i++) yield* ask()
      expect(provider.calls - spent).toBeLessThanOrEqual(3)

      provider.latencyMs = 10
      yield* TestClock.adjust("2 seconds")
      expect((yield* ask()).quote).toEqual(full)
    }))

  it.effect("is asked for once more where the first attempt broke", () =>
    Effect.gen(function* () {
      const { ask, provider } = yield* start
      // Ten calls pay for one more attempt.
      for (let i = 0; i < 9; i++) yield* ask()
      provider.breaks = 1
      expect((yield* ask()).quote).toEqual(full)
      expect(provider.calls).toBe(11)
      provider.breaks = 1
      expect((yield* ask()).quote.quality).toBe("stale")
      expect(provider.calls).toBe(12)
    }))

  // At the first rate the breaker opens, and is open for 2 s. At the second it never sees enough
  // calls; that these fail is forgotten after 10 s.
  it.effect.each([[20, "2 seconds"], [1200, "10 seconds"]] as const)(
    "costs at most 1.1 calls each while every call fails, one every %i ms; is full again after %s",
    ([everyMs, back]) =>
      Effect.gen(function* () {
        const { ask, provider } = yield* start
        yield* ask()
        provider.status = 500
        const before = provider.calls
        const quotes = 200
        for (let i = 0; i < quotes; i++) {
          yield* ask()
          yield* TestClock.adjust(everyMs)
        }
        expect((provider.calls - before) / quotes).toBeLessThanOrEqual(1.1)
        provider.status = 200
        yield* TestClock.adjust(back)
        for (let i = 0; i < 10; i++) expect((yield* ask()).quote).toEqual(full)
      }),
  )
})
