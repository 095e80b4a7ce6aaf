// Fastify on Node, as its documentation recommends: logger off (the default), a response schema
// (compiled to a serializer), a body schema (compiled to a validator). `fastify.js PORT`.
// @ts-ignore: a package of this folder alone, installed when the benchmark runs
import Fastify from "fastify"
import process from "node:process"

const stock = {
  type: "object",
  properties: {
    sku: { type: "string" },
    name: { type: "string" },
    price: { type: "integer" },
    left: { type: "integer" },
  },
}
const order = {
  type: "object",
  required: ["sku", "count"],
  properties: { sku: { type: "string" }, count: { type: "integer" } },
}
const stockOf = (sku, taken) => ({ sku, name: "Blue kettle, 1.7 l", price: 2995, left: 40 - taken })

const app = Fastify()
app.get("/hello", (_request, reply) => reply.type("text/plain").send("hello"))
app.get(
  "/stock/:sku",
  { schema: { response: { 200: stock } } },
  (request, reply) => reply.send(stockOf(request.params.sku, 0)),
)
app.post(
  "/orders",
  { schema: { body: order, response: { 200: stock } } },
  (request, reply) => reply.send(stockOf(request.body.sku, request.body.count)),
)
await app.listen({ port: Number(process.argv[2]), host: "127.0.0.1" })
