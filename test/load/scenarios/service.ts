/**
 * What the scenarios load: our service with a real PostgreSQL, as a process. `service.ts SETUP`, the
 * {@link Setup} as JSON. Everything is served by `Service.run` as in any other program; a second port
 * changes how long queries take and what is wrong with them, and says what happened.
 */
import * as PgConnection from "@effect/sql-pg/PgConnection"
import { Context, Effect, Layer, Redacted, Schema } from "effect"
import {
  HttpApi,
  HttpApiBuilder,
  HttpApiEndpoint,
  HttpApiError,
  HttpApiGroup,
} from "effect/http-api"
import { Database, Policy, Saturation, Service, Supervised } from "../../../src/index.ts"
import { workOf } from "../../sim/draw.ts"
import type { Work } from "../../sim/scenario.ts"
import { random } from "../../support/random.ts"
import type { Seen, Setup, Wrong } from "./plan.ts"

const setup = JSON.parse(Deno.args[0]!) as Setup
/** Who holds it keeps every query from beginning. */
const gate = 4711

const Answer = Schema.Struct({ query: Schema.Int })
class DependencyFailed extends HttpApiError.Problem<DependencyFailed>()("DependencyFailed", {
  type: "urn:load:problem:dependency-failed",
  status: 502,
  title: "The query failed.",
}, {}) {}

class Other extends Context.Service<Other, Database.Database>()("load/Other") {}

const expected = setup.expectedMs === undefined
  ? {}
  : { expected: `${setup.expectedMs} millis` as const }
const common = { deadline: `${setup.deadlineMs} millis` as const, ...expected }
const ends = { success: Answer, error: DependencyFailed }

/** A policy with a class, where policies have classes already. */
const ranked = (priority: string): Policy.Policy => {
  const policy = { ...common, uses: ["database"], priority }
  return policy as Omit<typeof policy, "priority">
}

class Api extends HttpApi.make("load").add(
  HttpApiGroup.make("queries").add(
    HttpApiEndpoint.get("ping", "/ping", { success: Schema.String }),
    HttpApiEndpoint.get("main", "/main", ends)
      .annotate(Policy.Policy, { ...common, uses: ["database"] }),
    HttpApiEndpoint.get("other", "/other", ends)
      .annotate(Policy.Policy, { ...common, uses: ["other"] }),
    // Classes are those of the endpoints.
    ...([["critical", "critical"], ["low", "sheddable"]] as const).map(([name, priority]) =>
      HttpApiEndpoint.get(name, `/${name}`, ends)
        .annotate(Policy.Policy, ranked(priority))
    ),
  ),
).middleware(Supervised.Supervised) {}

let work: Work = setup.work
let wrong: Wrong = "nothing"
let answered = 0
let saturation: Saturation.Saturation | undefined
const next = random(1)

const Slept = Schema.Struct({ slept: Schema.Boolean })

const query = (db: Database.Database, of: () => Work, fails: () => Wrong) =>
  Effect.suspend(() => {
    const how = fails()
    const ms = how === "hang" ? 3_600_000 : how === "refuse" ? 1 : workOf(of(), next(), next())
    return db.one(Slept)`
      with gate as materialized (select pg_advisory_xact_lock_shared(${gate}))
      select true as slept from gate, pg_sleep(${ms / 1000}::float8)`.pipe(
      Effect.catchTag("NoRow", Effect.die),
      Effect.flatMap(() =>
        how === "refuse" || (typeof how === "object" && next() < how.errors)
          ? Effect.fail(new DependencyFailed({}))
          : Effect.succeed({ query: ++answered })
      ),
    )
  })

const QueriesLive = HttpApiBuilder.group(
  Api,
  "queries",
  Effect.fnUntraced(function* (handlers) {
    const db = yield* Database.Database
    const other = yield* Other
    saturation = yield* Saturation.Saturation
    const main = query(db, () => work, () => wrong)
    return handlers.handleAll({
      ping: () => Effect.succeed("pong"),
      main: () => main,
      critical: () => main,
      low: () => main,
      other: () => query(other, () => setup.otherMs, () => "nothing"),
    })
  }),
)

/** The control port. A stall holds the lock; the query that takes it waits for those under way. */
const ControlLive = Layer.effectDiscard(Effect.gen(function* () {
  const holder = yield* Effect.orDie(
    PgConnection.make({ url: Redacted.make(Deno.env.get("DATABASE_URL")!) }),
  )
  const run = Effect.runPromiseWith(yield* Effect.context<never>())
  const lock = (how: "pg_advisory_lock" | "pg_advisory_unlock") =>
    run(Effect.orDie(holder.query(`select ${how}(${gate})`)))
  const change = (to: Wrong) => {
    if (to === "stall" && wrong !== "stall") void lock("pg_advisory_lock")
    if (to !== "stall" && wrong === "stall") void lock("pg_advisory_unlock")
    wrong = to
  }
  yield* Effect.acquireRelease(
    Effect.sync(() =>
      Deno.serve(
        { port: setup.controlPort, hostname: "127.0.0.1", onListen: () => {} },
        (request) => {
          const asked = new URL(request.url).searchParams
          if (asked.has("work")) work = JSON.parse(asked.get("work")!) as Work
          if (asked.has("wrong")) change(JSON.parse(asked.get("wrong")!) as Wrong)
          const seen: Seen = {
            answered,
            pools: (saturation?.snapshot(Date.now()) ?? []).map((stats) => ({
              name: stats.name,
              inUse: stats.inUse,
              waiting: stats.waiting,
              highWater: stats.highWater,
              started: "started" in stats ? Number(stats.started) : 0,
            })),
          }
          return Response.json(seen)
        },
      )
    ),
    (server) => Effect.promise(() => server.shutdown()),
  )
}))

Service.run(Api, {
  handlers: QueriesLive,
  resources: Layer.mergeAll(
    Database.layer({ maxConnections: setup.capacity }),
    Layer.effect(Other, Database.make({ name: "other", maxConnections: setup.capacity })),
    ControlLive,
  ),
  drain: { grace: "5 seconds" },
})
