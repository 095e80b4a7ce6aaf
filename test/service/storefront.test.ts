import { expect, layer } from "@effect/vitest"
import { Context, Effect, Layer, Schedule } from "effect"
import { Database, Principal, Server, Service } from "@weir/runtime"
import { Api } from "../../examples/storefront/Api.ts"
import { handlers, resources } from "../examples/storefront/support.ts"

interface Shop {
  readonly url: string
}
const Shop = Context.Service<Shop>("weir/test/Shop")

/** The storefront as `main.ts` wires it, with a smaller catalogue, on a free port. */
const served = Layer.effect(
  Shop,
  Effect.gen(function* () {
    const context = yield* Layer.build(Service.layer(Api, {
      handlers,
      resources: resources({ seed: 7, products: 2000, orders: 20_000 }),
      principals: Principal.layer(),
      health: { checks: { database: Database.ping } },
      // A machine that does much else is late, and searches are the first to go then.
      admission: { modes: { loopLag: "off" } },
      server: { port: 0 },
    }))
    const { port } = Context.get(context, Server.Server)
    return { url: `http://127.0.0.1:${port}` }
  }),
)

const call = (path: string, init: RequestInit = {}) =>
  Effect.gen(function* () {
    const { url } = yield* Shop
    return yield* Effect.promise(async () => {
      const response = await fetch(`${url}${path}`, {
        ...init,
        headers: { "content-type": "application/json", ...init.headers },
      })
      const text = await response.text()
      return {
        status: response.status,
        headers: response.headers,
        body: text === "" ? undefined : JSON.parse(text),
      }
    })
  })

const order = (lines: ReadonlyArray<unknown>, more: object = {}) =>
  call("/orders", {
    method: "POST",
    body: JSON.stringify({ customer: "Ada", lines, ...more }),
  })

layer(served, { excludeTestServices: true })("the storefront over a real socket", (it) => {
  it.effect("searches, pages and shows products", () =>
    Effect.gen(function* () {
      const first = yield* call("/products?limit=2")
      expect(first.status).toBe(200)
      const one = yield* call("/products/1")
      expect(one.body.id).toBe(1)
      expect((yield* call("/products/999999")).status).toBe(404)
      const bad = yield* call("/products?limit=NaN&surprise=1")
      expect(bad.status).toBe(400)
      expect(bad.body.errors.map((error: { path: unknown }) => error.path)).toEqual(
        expect.arrayContaining([["query", "limit"], ["query", "surprise"]]),
      )
    }))

  it.effect("an unknown field is refused by name", () =>
    Effect.gen(function* () {
      const { status, body } = yield* order([{ productId: 1, quantity: 1 }], { discount: 100 })
      expect(status).toBe(400)
      expect(body.errors[0].path).toEqual(["payload", "discount"])
    }))

  it.effect("orders never take more than there is", () =>
    Effect.gen(function* () {
      const { body: product } = yield* call("/products/5")
      const answers = yield* Effect.all(
        Array.from({ length: product.stock + 20 }, () => order([{ productId: 5, quantity: 1 }])),
        { concurrency: 64 },
      )
      const placed = answers.filter(({ status }) => status === 201)
      expect(placed.length).toBe(product.stock)
      for (const { status, body } of answers) {
        expect([201, 409]).toContain(status)
        if (status === 409) expect(body.type).toContain("out-of-stock")
      }
      expect((yield* call("/products/5")).body.stock).toBe(0)
      const location = placed[0]!.headers.get("location")!
      expect((yield* call(location)).body.id).toBe(placed[0]!.body.id)
    }))

  it.effect("an order is followed by its receipt, and counted", () =>
    Effect.gen(function* () {
      const counted = call("/analytics")
      const before = (yield* counted).body
      const { body: placed } = yield* order([{ productId: 9, quantity: 2 }])
      const receipt = yield* Effect.repeat(call(`/orders/${placed.id}/receipt`), {
        until: ({ status }) => status === 200,
        schedule: Schedule.max([Schedule.spaced("20 millis"), Schedule.recurs(500)]),
      })
      expect(receipt.body.orderId).toBe(placed.id)
      expect(receipt.body.text).toContain(`Order ${placed.id} for Ada`)
      expect((yield* counted).body).toMatchObject({
        orders: before.orders + 1,
        revenueCents: before.revenueCents + placed.totalCents,
      })
      expect((yield* call("/orders/999999/receipt")).status).toBe(404)
    }))

  it.effect("a report can be asked for later, watched and cancelled", () =>
    Effect.gen(function* () {
      const later = yield* call("/reports/sales", {
        method: "POST",
        body: JSON.stringify({ year: 2025 }),
        headers: { prefer: "respond-async" },
      })
      expect(later.status).toBe(202)
      const location = later.headers.get("location")!
      const task = yield* Effect.repeat(call(location), {
        until: ({ body }) => (body.progress?.done ?? 0) > 0,
        schedule: Schedule.max([Schedule.spaced("20 millis"), Schedule.recurs(500)]),
      })
      expect(task.body).toMatchObject({ name: "reports.sales" })
      expect(task.body.progress.total).toBeGreaterThan(task.body.progress.done)
      const cancelled = yield* call(location, { method: "DELETE" })
      expect(cancelled.status).toBe(200)
      expect(cancelled.body.cancelled).toBe(true)
      expect((yield* call("/saturation")).status).toBe(200)
    }))

  it.effect("is ready, documented and measured", () =>
    Effect.gen(function* () {
      const { url } = yield* Shop
      expect((yield* call("/health/ready")).body.checks).toEqual({ database: "ok" })
      const { body } = yield* call("/openapi.json")
      expect(Object.keys(body.paths)).toEqual(
        expect.arrayContaining(["/products", "/products/{id}", "/orders", "/reports/sales"]),
      )
      const metrics = yield* Effect.promise(() => fetch(`${url}/metrics`).then((r) => r.text()))
      expect(metrics).toMatch(/weir_requests_total\{endpoint="products\.[a-z]+",method="GET"/)
      const docs = yield* Effect.promise(() => fetch(`${url}/docs`).then((r) => r.text()))
      expect(docs).toContain("Weir storefront")
    }))
})
