/**
 * Goal: SIGTERM stops a server without cutting anyone off. This one sends it to itself.
 * Run: deno run --allow-net=127.0.0.1 --allow-env examples/18-graceful-shutdown.ts
 */
import { Service, Supervised, Trace } from "@weir/runtime"
import { Console, Effect, Layer, Schema } from "effect"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"

// Without a drain, SIGTERM ends a process at once: in the middle of whatever it does.

// One endpoint, GET /order. Supervised makes each of its requests a task.
class Api extends HttpApi.make("shop").add(
  HttpApiGroup.make("orders").add(
    HttpApiEndpoint.get("place", "/order", { success: Schema.String }),
  ),
).middleware(Supervised.Supervised) {}

const accepted = Promise.withResolvers<void>()
const place = Effect.gen(function* () {
  yield* Console.log("server: an order comes in")
  accepted.resolve()
  yield* Effect.sleep("1500 millis")
  yield* Console.log("server: the order is done")
  return "ordered"
}).pipe(Effect.onInterrupt(() => Console.log("server: the order is cancelled")))

const Orders = HttpApiBuilder.group(
  Api,
  "orders",
  (handlers) => handlers.handle("place", () => place),
)

// What handlers need is closed after them, the last one first.
const Stock = Layer.effectDiscard(Effect.gen(function* () {
  yield* Effect.addFinalizer(() => Effect.flatMap(Effect.promise(() => client), Console.log))
  yield* Effect.addFinalizer(() => Console.log("server: the stock is closed"))
}))

const free = Deno.listen({ hostname: "127.0.0.1", port: 0 })
const { port } = free.addr
free.close()
Service.run(Api, {
  server: { port },
  handlers: Orders,
  resources: Layer.merge(Stock, Trace.layer()),
  // Break it: drain: { grace: "50 millis" },
  drain: { grace: "20 seconds" },
})

// The client is in the same process, but sees the server only through the socket.
const get = (path: string) =>
  fetch(`http://127.0.0.1:${port}${path}`)
    .then((response) => response.text().then(() => response.status), () => "refused")
const until = async (done: (status: unknown) => boolean) => {
  while (!done(await get("/health/live"))) await new Promise((resolve) => setTimeout(resolve, 5))
}
const client = (async () => {
  await until((status) => status === 200)
  const order = get("/order")
  await accepted.promise
  Deno.kill(Deno.pid, "SIGTERM")
  await until((status) => status !== 200)
  return `client: who came later was refused, the order was answered with ${await order}`
})()

// Output:
// server: an order comes in
// server: the order is done
// server: the stock is closed
// client: who came later was refused, the order was answered with 200

// Output when broken:
// server: an order comes in
// server: the order is cancelled
// server: the stock is closed
// client: who came later was refused, the order was answered with 503
