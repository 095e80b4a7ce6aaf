import { expect, layer } from "@effect/vitest"
import { Effect } from "effect"
import * as Catalogue from "../../../examples/storefront/Catalogue.ts"
import { clientOf, shop } from "./support.ts"

const options = { seed: 3, products: 400, orders: 20 }
const catalogue = [...Catalogue.products(options)]

layer(shop(options), { timeout: "1 minute", excludeTestServices: true })("the catalogue", (it) => {
  it.effect("pages visit every product once, in order, and end", () =>
    Effect.gen(function* () {
      const client = yield* clientOf
      const seen: Array<number> = []
      let cursor: number | null = 0
      while (cursor !== null) {
        const page: { items: ReadonlyArray<{ id: number }>; next: number | null } = yield* client
          .products.search({ query: { limit: 100, cursor } })
        expect(page.items.length).toBe(100)
        seen.push(...page.items.map((item) => item.id))
        cursor = page.next
      }
      expect(seen).toEqual(catalogue.map((product) => product.id))
    }))

  it.effect("gives twenty products when no limit is asked for", () =>
    Effect.gen(function* () {
      const client = yield* clientOf
      const page = yield* client.products.search({ query: {} })
      expect(page.items).toEqual(catalogue.slice(0, 20))
      expect(page.next).toBe(20)
    }))

  it.effect("finds products in which each word begins a word, in any order and case", () =>
    Effect.gen(function* () {
      const client = yield* clientOf
      const begins = (text: string, word: string) =>
        text.toLowerCase().split(/[^a-z]+/).some((other) => other.startsWith(word))
      const expected = catalogue.filter((product) => {
        const text = `${product.name} ${product.category} ${product.description}`
        return begins(text, "desk") && begins(text, "fold")
      })
      const found = yield* client.products.search({ query: { q: "DESK fold", limit: 100 } })
      expect(expected.length).toBeGreaterThan(0)
      expect(found).toEqual({ items: expected, next: null })
    }))

  it.effect("combines a search with a category", () =>
    Effect.gen(function* () {
      const client = yield* clientOf
      const page = yield* client.products.search({
        query: { q: "lamp", category: "desk", limit: 100 },
      })
      const all = yield* client.products.search({ query: { q: "lamp", limit: 100 } })
      expect(page.items.length).toBeGreaterThan(0)
      expect(page.items).toEqual(all.items.filter((item) => item.category === "desk"))
    }))

  it.effect.each([
    "oak' & !desk",
    "a:* | b",
    "(((",
    "\\",
    "oak:A*B",
    "%_",
    "'; drop table products",
  ])(
    "takes %j for words, not for a query language",
    (q) =>
      Effect.gen(function* () {
        const client = yield* clientOf
        const page = yield* client.products.search({ query: { q: `${q} zzzz` } })
        expect(page).toEqual({ items: [], next: null })
      }),
  )

  it.effect("shows one product, and says which one is missing", () =>
    Effect.gen(function* () {
      const client = yield* clientOf
      const found = yield* client.products.byId({ params: { id: 7 } })
      expect(found).toEqual(catalogue[6])
      const missing = yield* Effect.flip(client.products.byId({ params: { id: 999_999 } }))
      expect(missing).toMatchObject({ _tag: "ProductNotFound", productId: 999_999 })
    }))
})
