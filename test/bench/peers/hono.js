// Hono on Deno, as its documentation recommends: `Deno.serve` with the app's own `fetch`.
// `hono.js PORT`.
// @ts-ignore: a package of this folder alone, installed when the benchmark runs
import { Hono } from "hono"

const stockOf = (sku, taken) => ({ sku, name: "Blue kettle, 1.7 l", price: 2995, left: 40 - taken })

const app = new Hono()
app.get("/hello", (c) => c.text("hello"))
app.get("/stock/:sku", (c) => c.json(stockOf(c.req.param("sku"), 0)))
app.post("/orders", async (c) => {
  const order = await c.req.json()
  return c.json(stockOf(order.sku, order.count))
})
Deno.serve({ port: Number(Deno.args[0]), hostname: "127.0.0.1", onListen: () => {} }, app.fetch)
