import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { eventually } from "../../support/process.ts"
import { type Answer, ask, open, products, type Shop } from "./support.ts"
import type { Quote } from "../../../examples/storefront/Model.ts"

const { priceCents, sku } = products[16]!
const todayCents = Math.round(priceCents * 0.95)

const quality = (answer: Answer<Quote>) => `${answer.status} ${answer.body.quality}`
const tally = (answers: ReadonlyArray<Answer<Quote>>) => {
  const counts: Record<string, number> = {}
  for (const answer of answers) counts[quality(answer)] = (counts[quality(answer)] ?? 0) + 1
  return counts
}

/** Asks until a quote is of that quality; a machine that is busy may cost some a few tries. */
const until = (shop: Shop, wanted: string, of = sku) =>
  eventually(shop.quote(of), (answer) => quality(answer) === wanted, 20)

interface Saturation {
  readonly bounded: ReadonlyArray<{ readonly name: string; readonly kind: string }>
}

/** The value of a metric that has those labels. */
const metric = (shop: Shop, name: string, ...labels: ReadonlyArray<string>) =>
  Effect.map(
    Effect.promise(() => fetch(`${shop.url}/metrics`).then((response) => response.text())),
    (text) => {
      const line = text.split("\n").find((line) =>
        line.startsWith(`${name}{`) && labels.every((label) => line.includes(label))
      )
      return Number(line?.split(" ").at(-1))
    },
  )

const phase = (shop: Shop) => metric(shop, "weir_dependency_breaker_state", 'name="prices"')

/** Quotes at the same time until the breaker has opened. */
const untilOpen = (shop: Shop) =>
  eventually(
    Effect.andThen(
      Effect.all(Array.from({ length: 12 }, () => shop.quote(sku)), { concurrency: "unbounded" }),
      phase(shop),
    ),
    (state) => state === 2,
    20,
  )

const untilClosed = (shop: Shop) =>
  eventually(Effect.andThen(shop.quote(sku), phase(shop)), (state) => state === 0, 20)

describe("quotes from a price provider", () => {
  it.live("are full while it answers, and both see the call", () =>
    Effect.gen(function* () {
      const shop = yield* open()
      const { body } = yield* until(shop, "200 full")
      expect(body).toEqual({ sku, priceCents: todayCents, currency: "EUR", quality: "full" })
      expect((yield* shop.control).calls.answered).toBeGreaterThan(0)

      const { body: { bounded } } = yield* ask<Saturation>(`${shop.url}/saturation`)
      expect(bounded).toContainEqual(
        expect.objectContaining({ kind: "dependency", name: "prices" }),
      )
      expect(bounded).toContainEqual(
        expect.objectContaining({ kind: "fallback", name: "last prices", inUse: 1 }),
      )
      expect(yield* metric(shop, "weir_dependency_calls_total", 'name="prices"'))
        .toBeGreaterThan(0)

      const unknown = yield* ask<{ readonly type: string }>(`${shop.url}/quotes/NO-SUCH-THING`)
      expect([unknown.status, unknown.body.type]).toEqual([
        404,
        "urn:storefront:problem:quote-not-found",
      ])
      expect((yield* ask(`${shop.url}/quotes/lower-case`)).status).toBe(400)
    }))

  it.live("are the last price, in time, while it is slow; then full again", () =>
    Effect.gen(function* () {
      const shop = yield* open()
      yield* until(shop, "200 full")
      yield* shop.behave({ latencyMs: 30_000 })
      const { body } = yield* until(shop, "200 stale")
      expect(body).toMatchObject({ sku, priceCents: todayCents, quality: "stale" })
      expect(body.ageMs).toBeGreaterThan(0)
      // Of the 500 ms. Where the whole machine stands still, the deadline itself may be missed.
      const answers = yield* shop.quotes(10, sku)
      expect(tally(answers)["200 stale"], JSON.stringify(tally(answers)))
        .toBeGreaterThanOrEqual(9)
      // For a product that nobody has asked for, there is the catalogue.
      const other = yield* until(shop, "200 degraded", products[3]!.sku)
      expect(other.body).toEqual({
        sku: products[3]!.sku,
        priceCents: products[3]!.priceCents,
        currency: "EUR",
        quality: "degraded",
      })
      yield* shop.behave({})
      yield* until(shop, "200 full")
    }))

  it.live("leave it alone while it hangs, and notice that it is back", () =>
    Effect.gen(function* () {
      const shop = yield* open()
      yield* until(shop, "200 full")
      yield* shop.behave({ hangRate: 1 })
      yield* untilOpen(shop)

      const before = (yield* shop.control).calls.received
      const since = performance.now()
      const answers: Array<Answer<Quote>> = []
      for (let i = 0; i < 10; i++) {
        answers.push(...(yield* shop.quotes(20, sku)))
        yield* Effect.sleep("200 millis")
      }
      // An opening lasts at least 1.6 s, and has three probes at its end.
      const openings = 1 + Math.floor((performance.now() - since) / 1600)
      const received = (yield* shop.control).calls.received - before
      expect(received).toBeLessThanOrEqual(3 * openings)
      expect(tally(answers)["200 stale"], JSON.stringify(tally(answers)))
        .toBeGreaterThanOrEqual(195)
      // Nothing was spent on the others: at most the probes waited for their timeout.
      expect(answers.filter(({ ms }) => ms >= 200).length).toBeLessThanOrEqual(3 * openings + 10)

      yield* shop.behave({})
      yield* until(shop, "200 full")
      yield* untilClosed(shop)
    }))

  it.live("cost it at most 1.1 calls each, when it fails totally", () =>
    Effect.gen(function* () {
      const shop = yield* open()
      yield* until(shop, "200 full")
      for (const behaviour of [{ errorRate: 1 }, { refusalRate: 1 }]) {
        const before = (yield* shop.behave(behaviour)).calls.received
        const calls = 400
        const answers = yield* Effect.all(
          Array.from({ length: calls }, () => shop.quote(sku)),
          { concurrency: 8 },
        )
        const received = (yield* shop.control).calls.received - before
        expect(received / calls).toBeLessThanOrEqual(1.1)
        expect(tally(answers)["200 stale"], JSON.stringify(tally(answers)))
          .toBeGreaterThanOrEqual(0.95 * calls)
        const retries = yield* Effect.all(
          ["success", "failure", "ignored"].map((outcome) =>
            metric(
              shop,
              "weir_dependency_attempts_total",
              'name="prices"',
              'kind="retry"',
              `outcome="${outcome}"`,
            )
          ),
        )
        expect(retries[0]! + retries[1]! + retries[2]!).toBeLessThanOrEqual(0.1 * received + 2)
        yield* shop.behave({})
        yield* untilClosed(shop)
      }
    }))

  it.live("survive that its process is killed; it is started again", () =>
    Effect.gen(function* () {
      const shop = yield* open()
      yield* until(shop, "200 full")
      const { pid } = yield* shop.control
      Deno.kill(pid, "SIGKILL")
      const answers = yield* shop.quotes(20, sku)
      expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(200))
      yield* until(shop, "200 full")
      const other = yield* shop.control
      expect(other.pid).not.toBe(pid)
      expect(other.calls.answered).toBeGreaterThan(0)
    }))
})
