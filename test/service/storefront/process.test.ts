import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer, Logger, Redacted } from "effect"
import { migrations } from "../../../examples/storefront/schema.ts"
import { seed } from "../../../examples/storefront/seed.ts"
import type { Quote } from "../../../examples/storefront/Model.ts"
import type { Control } from "../../../examples/storefront/PriceApi.ts"
import { Database } from "@weir/runtime"
import * as TestDatabase from "../../support/database.ts"
import * as Process from "../../support/process.ts"
import { type Answer, ask, exists, products, small } from "./support.ts"

const { priceCents, sku } = products[16]!

/** The storefront itself, with the permissions of `deno task start`, on a shop that is small. */
const start = (env: Readonly<Record<string, string>> = {}) =>
  Effect.gen(function* () {
    const url = yield* TestDatabase.url
    yield* seed(small).pipe(
      Effect.provide(
        Database.layer({ url, migrations }).pipe(Layer.provideMerge(Logger.layer([]))),
      ),
    )
    return yield* Process.service(
      undefined,
      { DATABASE_URL: Redacted.value(url), ...env },
      ["-P=start"],
      "../../../examples/storefront/main",
    )
  })

const until = (shop: Process.Service, quality: Quote["quality"]) =>
  Process.eventually(
    ask<Quote>(`${shop.url}/quotes/${sku}`),
    ({ body }: Answer<Quote>) => body.quality === quality,
    30,
  )

const listens = /The price provider listens on http:\/\/127\.0\.0\.1:(\d+), process (\d+)\./g

/** The provider's latest process, as the log tells. */
const provider = (shop: Process.Service) =>
  Effect.map(
    Process.eventually(
      Effect.sync(() => Array.from(shop.err().matchAll(listens)).at(-1)),
      (match) => match !== undefined,
      30,
    ),
    (match) => ({ port: Number(match![1]), pid: Number(match![2]) }),
  )

describe("the storefront's process", () => {
  it.live("starts its price provider, and takes it along when it stops", () =>
    Effect.gen(function* () {
      const shop = yield* start()
      yield* until(shop, "full")
      const { pid, port } = yield* provider(shop)
      const { body } = yield* ask<Control>(`http://127.0.0.1:${port}/control`)
      expect(body.pid).toBe(pid)
      expect(yield* exists(pid)).toBe(true)

      // Calls that hang keep neither of them.
      yield* ask(`http://127.0.0.1:${port}/control`, {
        method: "PUT",
        body: JSON.stringify({ hangRate: 1 }),
      })
      yield* until(shop, "stale")
      yield* shop.signal("SIGTERM")
      expect(yield* shop.exit).toBe(0)
      expect(yield* exists(pid)).toBe(false)
      expect(yield* Process.accepts(port)).toBe(false)
      expect(shop.err()).not.toMatch(/level=(WARN|ERROR)/)
    }))

  it.live("takes it along also when it is killed", () =>
    Effect.gen(function* () {
      const shop = yield* start()
      yield* until(shop, "full")
      const { port } = yield* provider(shop)
      yield* shop.signal("SIGKILL")
      yield* shop.exit
      yield* Process.eventually(Process.accepts(port), (there) => !there)
    }))

  it.live("asks another provider where PRICE_PROVIDER_URL says so, and starts none", () =>
    Effect.gen(function* () {
      const asked: Array<string> = []
      const other = yield* Effect.acquireRelease(
        Effect.sync(() =>
          Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
            asked.push(new URL(request.url).pathname)
            return Response.json({ sku, priceCents: 7, currency: "EUR" })
          })
        ),
        (server) => Effect.promise(() => server.shutdown()),
      )
      const shop = yield* start({ PRICE_PROVIDER_URL: `http://127.0.0.1:${other.addr.port}/v1/` })
      const { body } = yield* until(shop, "full")
      expect(body.priceCents).toBe(7)
      expect(asked).toContain(`/v1/prices/${sku}`)
      expect(shop.err()).not.toContain("price provider")
      yield* shop.signal("SIGTERM")
      expect(yield* shop.exit).toBe(0)
    }))

  it.live("sells at the list price while nobody is there to ask", () =>
    Effect.gen(function* () {
      const shop = yield* start({ PRICE_PROVIDER_URL: "http://127.0.0.1:1" })
      const { body } = yield* until(shop, "degraded")
      expect(body.priceCents).toBe(priceCents)
      expect((yield* ask(`${shop.url}/health/ready`)).status).toBe(200)
    }))

  it.live("says in one sentence that the provider's address is none", () =>
    Effect.gen(function* () {
      const process = yield* Process.start("../../../examples/storefront/main", {
        DATABASE_URL: Redacted.value(yield* TestDatabase.url),
        PORT: "0",
        PRICE_PROVIDER_URL: "prices",
      })
      expect(yield* process.exit).toBe(1)
      expect(process.err().trim().split("\n")).toEqual([
        expect.stringMatching(/^Cannot start: a setting is wrong: .*PRICE_PROVIDER_URL/),
      ])
    }))
})
