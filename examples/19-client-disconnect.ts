/**
 * Goal: a client leaves, and its query stops: in the handler, and in PostgreSQL.
 * Run: deno run -P=start examples/19-client-disconnect.ts
 */
import { CancelReason, Database, Server, Service, Supervised, Trace } from "@weir/runtime"
import { Console, Effect, Layer, Logger, Option, Schema } from "effect"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
const leave = async (url: string, when: Promise<unknown>) => {
  const client = new AbortController()
  fetch(url, { signal: client.signal }).catch(() => console.log("client: leaves"))
  await when
  client.abort()
}

// With promises: nobody tells the handler. It works on for a client that is not there.
const asked = Promise.withResolvers<void>()
const bare = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, async () => {
  asked.resolve()
  await pause(200)
  console.log("promise: the report is done, for nobody")
  return new Response("report")
})
await leave(`http://127.0.0.1:${bare.addr.port}`, asked.promise)
await bare.shutdown()

const endpoints = HttpApiGroup.make("reports").add(
  HttpApiEndpoint.get("report", "/report", { success: Schema.Int }),
  HttpApiEndpoint.get("running", "/running", { success: Schema.Int }),
)
const Api = HttpApi.make("shop").add(endpoints).middleware(Supervised.Supervised)

const tell = Effect.map(CancelReason.current, (reason) => {
  console.log(`task: ${CancelReason.format(Option.getOrThrow(reason))}, the query has ended`)
})
const Reports = HttpApiBuilder.group(
  Api,
  "reports",
  Effect.fn(function* (handlers) {
    const { execute } = yield* Database.Database
    // Break it: const query = Effect.uninterruptible(execute`select pg_sleep(4)`)
    const query = execute`select pg_sleep(4)`
    const report = Effect.onInterrupt(query, () => tell)
    const running = execute`select from pg_stat_activity
    where state = 'active' and query like 'select pg_sleep%'`
    return handlers.handleAll({ report: () => report, running: () => Effect.orDie(running) })
  }),
)

const program = Effect.gen(function* () {
  const { port } = yield* Server.Server
  const url = `http://127.0.0.1:${port}`
  const running = () => fetch(`${url}/running`).then((response) => response.json())
  const until = async (n: number, end = performance.now() + 2000) => {
    while (performance.now() < end && await running() !== n) await pause(20)
  }
  yield* Effect.promise(() => leave(`${url}/report`, until(1)))
  yield* Effect.promise(() => until(0))
  yield* Console.log(`task: queries that run in PostgreSQL: ${yield* Effect.promise(running)}`)
})

const service = Service.layer(Api, {
  server: { port: 0 },
  handlers: Reports,
  resources: Layer.merge(Database.layer(), Trace.layer()),
}).pipe(Layer.provide(Logger.layer([])))
await program.pipe(Effect.provide(service), Effect.runPromise)

// Output:
// client: leaves
// promise: the report is done, for nobody
// client: leaves
// task: client abort, the query has ended
// task: queries that run in PostgreSQL: 0

// Output when broken:
// …
// task: queries that run in PostgreSQL: 1
// task: client abort, the query has ended
