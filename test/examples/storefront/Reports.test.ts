import { expect, layer } from "@effect/vitest"
import { Effect, Exit, Fiber } from "effect"
import { CancelReason, Task, TaskTree } from "@weir/runtime"
import * as Catalogue from "../../../examples/storefront/Catalogue.ts"
import { clientOf, recorded, shop, waitingForLocks, whileHeld } from "./support.ts"

const options = { seed: 5, products: 500, orders: 4_000 }
const catalogue = [...Catalogue.products(options)]
const orders = [...Catalogue.orders(options, catalogue)]

/** The same figures, computed here from what was invented. */
const expectedMonth = (month: number) => {
  const prefix = `${Catalogue.year}-${String(month).padStart(2, "0")}-`
  const placed = orders.filter((order) => order.placedAt.startsWith(prefix))
  const categories = new Map<
    string,
    { orders: Set<number>; pieces: number; revenueCents: number }
  >()
  const together = new Map<string, number>()
  for (const { id, lines } of placed) {
    for (const line of lines) {
      const name = catalogue[line.productId - 1]!.category
      const category = categories.get(name) ?? { orders: new Set(), pieces: 0, revenueCents: 0 }
      category.orders.add(id)
      category.pieces += line.quantity
      category.revenueCents += line.quantity * line.priceCents
      categories.set(name, category)
    }
    const ids = lines.map((line) => line.productId).toSorted((a, b) => a - b)
    for (const [i, a] of ids.entries()) {
      for (const [j, b] of ids.slice(i + 1).entries()) {
        for (const set of [`${a} ${b}`, ...ids.slice(i + j + 2).map((c) => `${a} ${b} ${c}`)]) {
          together.set(set, (together.get(set) ?? 0) + 1)
        }
      }
    }
  }
  return {
    month,
    revenueCents: placed.reduce((sum, order) => sum + order.totalCents, 0),
    categories: [...categories]
      .toSorted(([, a], [, b]) => b.revenueCents - a.revenueCents)
      .map(([category, sales], i) => ({
        category,
        ...sales,
        orders: sales.orders.size,
        rank: i + 1,
      })),
    pairs: most(together, 2),
    trios: most(together, 3),
  }
}

/** The five most frequent sets of so many products. */
const most = (together: ReadonlyMap<string, number>, size: number) =>
  [...together]
    .map(([set, orders]) => ({ products: set.split(" ").map(Number), orders }))
    .filter(({ products }) => products.length === size)
    .toSorted((a, b) =>
      b.orders - a.orders ||
      a.products.map((id, i) => id - b.products[i]!).find((difference) => difference !== 0)!
    )
    .slice(0, 5)

const expectedLoyalty = () => {
  const visits = new Map<string, Set<number>>()
  for (const { customer, placedAt } of orders) {
    const day = Date.parse(placedAt.slice(0, 10)) / 86_400_000
    visits.set(customer, (visits.get(customer) ?? new Set()).add(day))
  }
  const gaps = [...visits.values()].flatMap((days) => {
    const sorted = [...days].toSorted((a, b) => a - b)
    return sorted.slice(1).map((day, i) => day - sorted[i]!)
  }).toSorted((a, b) => a - b)
  return {
    customers: visits.size,
    returning: [...visits.values()].filter((days) => days.size > 1).length,
    medianDaysBetween: gaps[Math.ceil(gaps.length / 2) - 1],
  }
}

layer(shop(options), { timeout: "1 minute", excludeTestServices: true })("the report", (it) => {
  it.effect("adds up what was sold, as an independent computation does", () =>
    Effect.gen(function* () {
      const client = yield* clientOf
      const report = yield* client.reports.sales({ payload: { year: Catalogue.year } })
      expect(report.months).toEqual(Array.from({ length: 12 }, (_, i) => expectedMonth(i + 1)))
      expect(report.revenueCents).toBe(orders.reduce((sum, order) => sum + order.totalCents, 0))
      expect(report.loyalty).toEqual(expectedLoyalty())
    }))

  it.effect("of a year without sales is empty", () =>
    Effect.gen(function* () {
      const client = yield* clientOf
      const report = yield* client.reports.sales({ payload: { year: 2001 } })
      expect(report.revenueCents).toBe(0)
      expect(report.months.every((month) => month.categories.length === 0)).toBe(true)
      expect(report.loyalty).toEqual({ customers: 0, returning: 0, medianDaysBetween: null })
    }))

  it.effect("says how far it is before each of its steps, and at the end", () =>
    Effect.gen(function* () {
      const client = yield* clientOf
      const seen = yield* watched(
        Task.run("report", client.reports.sales({ payload: { year: Catalogue.year } })),
      )
      expect(seen.map(({ done }) => done)).toEqual(Array.from({ length: 14 }, (_, i) => i))
      expect(seen.every(({ total }) => total === 13)).toBe(true)
      expect(seen[2]!.note).toBe(`March ${Catalogue.year}`)
    }))

  it.effect("cancelled between two steps it starts no further one", () =>
    Effect.gen(function* () {
      const client = yield* clientOf
      const tree = yield* TaskTree.TaskTree
      const report = client.reports.sales({ payload: { year: Catalogue.year } })
      const cancelAtMarch = tree.unsafe.listen((event) => {
        if (event._tag === "Progress" && event.progress.done === 2) {
          tree.unsafe.find(event.taskId)?.cancel(CancelReason.Requested("test"))
        }
      })
      const { result, statements } = yield* recorded(Effect.exit(Task.run("report", report)))
      cancelAtMarch()
      expect(Exit.isFailure(result)).toBe(true)
      expect(statements.length).toBeLessThanOrEqual(7)
    }))

  it.effect("cancelled within a step it takes its query off the server", () =>
    Effect.gen(function* () {
      const client = yield* clientOf
      // The first query waits for this table and cannot end by itself.
      yield* whileHeld(
        (sql) => sql`lock table products in access exclusive mode`,
        Effect.gen(function* () {
          const report = yield* Effect.forkChild(
            client.reports.sales({ payload: { year: Catalogue.year } }),
          )
          yield* waitingForLocks(1)
          yield* Fiber.interrupt(report)
          yield* waitingForLocks(0)
        }),
      )
    }))
})

/** The progress that an effect reports. */
const watched = Effect.fnUntraced(function* <A, E, R>(effect: Effect.Effect<A, E, R>) {
  const tree = yield* TaskTree.TaskTree
  const seen: Array<NonNullable<TaskTree.TaskInfo["progress"]>> = []
  const stop = tree.unsafe.listen((event) => {
    if (event._tag === "Progress") seen.push(event.progress)
  })
  yield* effect
  stop()
  return seen
})
