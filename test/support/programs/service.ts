/**
 * A whole service as a process: what `Service.run` does is seen from outside. It tells on standard
 * output what ended inside it, one line each. Read from the environment, beside what every service
 * reads: `FIXTURE_READINESS_DELAY_MS`, `FIXTURE_GRACE_MS`, `FIXTURE_CLEANUP_MS`,
 * `FIXTURE_CLOSE_MS` (of the drain), `FIXTURE_USES` (a pool that `/fast` names),
 * `FIXTURE_USES_TEXT` (the same without the brackets), `FIXTURE_DEADLINE` (of every endpoint),
 * `FIXTURE_MAX_BODY` (of the server), `FIXTURE_HANGS=1` (a layer that never closes), `FIXTURE_COUNT=1` (tells at the end how many requests reached it).
 */
import { Deferred, Effect, Layer, Option, Schedule, Schema, Stream } from "effect"
import {
  HttpApi,
  HttpApiBuilder,
  HttpApiEndpoint,
  HttpApiGroup,
  HttpApiSchema,
} from "effect/http-api"
import {
  CancelReason,
  Database,
  Policy,
  Service,
  Supervised,
  Supervisor,
} from "../../../src/index.ts"

const env = (name: string) => Deno.env.get(`FIXTURE_${name}`)
const millis = (name: string, otherwise: number) =>
  `${Number(env(name) ?? otherwise)} millis` as const

const say = (line: string) =>
  Effect.sync(() => {
    // Synchronous: a line that was said is there, however the process ends.
    Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`))
  })

const sayReason = (where: string) =>
  Effect.flatMap(
    CancelReason.current,
    (reason) =>
      say(`${where}: ${Option.match(reason, { onNone: () => "none", onSome: (it) => it._tag })}`),
  )

/** Who holds this advisory lock of the database alone keeps every query from ending. */
const gate = 4711

const Slept = Schema.Struct({ slept: Schema.Finite })
const seconds = Schema.FiniteFromString.check(Schema.isBetween({ minimum: 0, maximum: 60 }))
const nothing = { uses: [] }

/** Requests for the API that the platform has handed over, whatever became of them. */
let reached = 0
const serve = Deno.serve
Deno.serve =
  ((options: Deno.ServeTcpOptions, handler: Deno.ServeHandler) =>
    serve(options, (request, info) => {
      if (!/^\/(metrics|saturation|tasks|health)/.test(new URL(request.url).pathname)) reached++
      return handler(request, info)
    })) as typeof Deno.serve

class Api extends HttpApi.make("fixture").add(
  HttpApiGroup.make("fixture").add(
    HttpApiEndpoint.get("query", "/query/:seconds", { params: { seconds }, success: Slept }),
    HttpApiEndpoint.post("order", "/order", {
      payload: Schema.Struct({ seconds, note: Schema.String }),
      success: Slept,
    }),
    HttpApiEndpoint.get("stream", "/stream", { success: HttpApiSchema.StreamUint8Array() })
      .annotate(Policy.Policy, nothing),
    HttpApiEndpoint.get("wait", "/wait", { success: Schema.String })
      .annotate(Policy.Policy, nothing),
    HttpApiEndpoint.get("stuck", "/stuck", { success: Schema.String })
      .annotate(Policy.Policy, nothing),
    HttpApiEndpoint.get("stuckWithConnection", "/stuck/connection", { success: Schema.String }),
    HttpApiEndpoint.get("fast", "/fast", { success: Schema.String })
      .annotate(Policy.Policy, {
        uses: env("USES_TEXT") as unknown as ReadonlyArray<string> ??
          (env("USES") === undefined ? [] : [env("USES")!]),
      }),
  ).annotate(Policy.Policy, {
    deadline: env("DEADLINE") as "60 seconds" ?? "60 seconds",
    uses: ["database"],
  }),
).middleware(Supervised.Supervised) {}

/** Says when the layers above it are closed. */
const closes = (name: string) =>
  Layer.effectDiscard(Effect.addFinalizer(() => say(`closed: ${name}`)))

const handlers = HttpApiBuilder.group(
  Api,
  "fixture",
  Effect.fnUntraced(function* (handlers) {
    const db = yield* Database.Database
    yield* Effect.addFinalizer(() => say("closed: handlers"))
    const query = (seconds: number) =>
      db.one(Slept)`
        with gate as materialized (select pg_advisory_xact_lock_shared(${gate}))
        select ${seconds}::float8 as slept from gate, pg_sleep(${seconds}::float8)`.pipe(
        Effect.catchTag("NoRow", Effect.die),
        Effect.onInterrupt(() => sayReason("query")),
        Effect.ensuring(say("ended: query")),
      )
    // Interrupted, it waits for ever.
    const stuck = Effect.onInterrupt(Effect.never, () => Effect.never)
    return handlers.handleAll({
      query: ({ params }) => query(params.seconds),
      order: ({ payload }) => query(payload.seconds),
      stream: () =>
        Effect.succeed(
          Stream.fromSchedule(Schedule.spaced("2 millis")).pipe(
            Stream.map(() => new Uint8Array(65_536)),
            Stream.take(100),
          ),
        ),
      wait: () => Effect.onInterrupt(Effect.never, () => sayReason("wait")),
      stuck: () => stuck,
      stuckWithConnection: () => db.transaction(stuck),
      fast: () => Effect.as(Deferred.succeed(end, undefined), "fast"),
    })
  }),
)

const end = Deferred.makeUnsafe<void>()
if (env("GIVES_UP") === "now") Deferred.doneUnsafe(end, Effect.void)
const givesUp = env("GIVES_UP") === undefined ? Layer.empty : Supervisor.layer({
  name: "background",
  children: [
    { id: "idle", effect: Effect.onInterrupt(Effect.never, () => sayReason("idle")) },
    { id: "poller", effect: Effect.andThen(Deferred.await(end), Effect.fail("no disk")) },
  ],
})

const hangs = Layer.effectDiscard(
  env("HANGS") === undefined
    ? Effect.void
    : Effect.addFinalizer(() => Effect.andThen(say("closing: hangs"), Effect.never)),
)

Service.run(Api, {
  handlers,
  resources: Database.layer({ statementTimeout: "2 minutes" }).pipe(
    Layer.provideMerge(
      Layer.effectDiscard(
        Effect.addFinalizer(() =>
          env("COUNT") === undefined ? Effect.void : say(`reached: ${reached}`)
        ),
      ),
    ),
    Layer.provideMerge(closes("database")),
    (database) => Layer.provideMerge(closes("resources"), database),
    (resources) => Layer.provideMerge(hangs, resources),
    (resources) => Layer.provideMerge(givesUp, resources),
  ),
  health: { checks: { database: Effect.flatMap(Database.Database, (db) => db.ping) } },
  server: env("MAX_BODY") === undefined ? {} : { maxBodySize: env("MAX_BODY") as "1 MiB" },
  drain: {
    readinessDelay: millis("READINESS_DELAY_MS", 0),
    grace: millis("GRACE_MS", 20_000),
    cleanup: millis("CLEANUP_MS", 5_000),
    close: millis("CLOSE_MS", 5_000),
  },
})
