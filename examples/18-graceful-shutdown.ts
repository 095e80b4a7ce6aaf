/**
 * Goal: SIGTERM stops a server without cutting anyone off. This one sends it to itself.
 * Run: deno run --allow-net=127.0.0.1 --allow-env examples/18-graceful-shutdown.ts
 */
import { Service, Supervised, Trace } from "@weir/runtime"
import { Console, Effect, Layer, Schema } from "effect"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"

// Without a drain, SIGTERM ends a process at once: in the middle of whatever it does.

class Api extends HttpApi.make("shop").add(
  HttpApiGroup.make("orders").add(
    HttpApiEndpoint.get("place", "/order", { success: Schema.String }),
  ),
).middleware(Supervised.Supervised) {}

const accepted = Promise.withResolvers<void>()
const place = Effect.gen(function* () {
  yield* Console.log("server: an order comes in")
  accepted.resolve()
  yield* Effect.sleep("300 millis")
  yield* Console.log("server: the order is done")
  return "ordered"
}).pipe(Effect.onInterrupt(() => Console.log("server: the order is cancelled")))

const Orders = HttpApiBuilder.group(
  Api,
  "orders",
  (handlers) => handlers.handle("place", () => place),
)

// What handlers need is closed after them. (The client is in this process: it may read to the end.)
const Stock = Layer.effectDiscard(
  Effect.addFinalizer(() =>
    Effect.andThen(Effect.promise(() => client), Console.log("server: the stock is closed"))
  ),
)

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

// The client: it sees the server only through the socket.
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
  console.log(`client: who came later was refused, the order was answered with ${await order}`)
})()

// Output:
// server: an order comes in
// server: the order is done
// client: who came later was refused, the order was answered with 200
// server: the stock is closed

// Output when broken:
// server: an order comes in
// server: the order is cancelled
// client: who came later was refused, the order was answered with 503
// server: the stock is closed
