import { expect, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { nobody } from "../../examples/storefront/support.ts"
import { eventually } from "../../support/process.ts"
import { ask, open, products } from "./support.ts"

/** As many at once as fill the line of two connections (64 places) more than three times. */
const searches = 256
const buyers = 8
const orders = 80

it.live("every order is taken while a flood of searches is mostly refused", () =>
  Effect.gen(function* () {
    const shop = yield* open({ maxConnections: 2, provider: nobody })
    const answers: Array<number> = []
    const search = Effect.map(ask(`${shop.url}/products?q=desk&limit=100`), ({ status }) => {
      answers.push(status)
    })
    const flood = yield* Effect.forkChild(
      Effect.all(Array.from({ length: searches }, () => Effect.forever(search)), {
        concurrency: "unbounded",
      }),
      { startImmediately: true },
    )
    const count = (wanted: number) => answers.filter((status) => status === wanted).length
    yield* eventually(Effect.sync(() => Math.min(count(200), count(503))), (least) => least > 0)

    const buyable = products.filter(({ stock }) => stock > orders)
    const placed = yield* Effect.forEach(
      Array.from({ length: orders }, (_, i) => buyable[i % buyable.length]!.id),
      (id) => Effect.map(shop.order(id), ({ status }) => status),
      { concurrency: buyers },
    )
    yield* Fiber.interrupt(flood)

    expect(placed.filter((status) => status !== 201)).toEqual([])
    expect(count(503)).toBeGreaterThan(count(200))
    // Or they were let in, and orders took their turns until it was too late for them.
    expect(answers.filter((status) => ![200, 503, 504].includes(status))).toEqual([])
  }))
