/** A service whose endpoints ask for keys, on a real database. */
import { Context, Deferred, Effect, Layer, Option, Redacted, Schema, Stream } from "effect"
import {
  HttpApi,
  HttpApiBuilder,
  HttpApiEndpoint,
  HttpApiGroup,
  HttpApiSchema,
} from "effect/http-api"
import type * as Admission from "../../../src/admission/Admission.ts"
import * as RateLimit from "../../../src/admission/RateLimit.ts"
import type * as Operators from "../../../src/edge/Operators.ts"
import * as Policy from "../../../src/edge/Policy.ts"
import * as Principal from "../../../src/edge/Principal.ts"
import * as Server from "../../../src/edge/Server.ts"
import * as Supervised from "../../../src/edge/Supervised.ts"
import * as Bulkhead from "../../../src/pool/Bulkhead.ts"
import * as Service from "../../../src/service/Service.ts"
import * as ApiKeys from "../../../src/store/ApiKeys.ts"
import * as Database from "../../../src/store/Database.ts"
import * as Task from "../../../src/task/Task.ts"
import * as TaskTree from "../../../src/task/TaskTree.ts"
import { CurrentScope } from "../../../src/task/scope.ts"
import { Metrics } from "../../../src/telemetry/Metrics.ts"
import * as TestDatabase from "../../support/database.ts"

/** What a handler knows of its caller. */
export const Known = Schema.Struct({
  id: Schema.NullOr(Schema.String),
  tenant: Schema.NullOr(Schema.String),
  rank: Schema.Int,
  accounted: Schema.Boolean,
})

class Taken extends Schema.TaggedError<Taken>()("Taken", {}) {}

const get = <const Name extends string>(name: Name) =>
  HttpApiEndpoint.get(name, `/${name}`, { success: Known })

export class Api extends HttpApi.make("doors").add(
  HttpApiGroup.make("doors").add(
    get("open"),
    get("maybe").annotate(Policy.Policy, { auth: "optional" }),
    get("mine").annotate(Policy.Policy, { auth: "required" }),
    get("least").annotate(Policy.Policy, { auth: "required", priority: "sheddable" }),
    HttpApiEndpoint.post("later", "/later", { success: Known })
      .annotate(Policy.Policy, { auth: "required", async: "allowed" }),
    HttpApiEndpoint.post("job", "/job", { success: Schema.String })
      .annotate(Policy.Policy, { auth: "optional", async: "allowed" }),
    HttpApiEndpoint.get("taken", "/taken", {
      success: Schema.String,
      error: Taken.pipe(HttpApiSchema.status(409)),
    }).annotate(Policy.Policy, { auth: "required" }),
    HttpApiEndpoint.get("dies", "/dies", { success: Schema.String })
      .annotate(Policy.Policy, { auth: "required" }),
    HttpApiEndpoint.get("full", "/full", { success: Schema.String })
      .annotate(Policy.Policy, { auth: "required", uses: ["full"] }),
    HttpApiEndpoint.get("slow", "/slow", { success: Schema.String })
      .annotate(Policy.Policy, { auth: "required", deadline: "20 millis" }),
    HttpApiEndpoint.get("stream", "/stream", { success: HttpApiSchema.StreamUint8Array() })
      .annotate(Policy.Policy, { auth: "required" }),
    HttpApiEndpoint.get("empty", "/empty", { success: HttpApiSchema.Empty(204) })
      .annotate(Policy.Policy, { auth: "required" }),
    HttpApiEndpoint.get("query", "/query", {
      query: { n: Schema.FiniteFromString },
      success: Schema.String,
    }).annotate(Policy.Policy, { auth: "required" }),
    HttpApiEndpoint.post("raise", "/raise", { success: Schema.String }),
  ),
).middleware(Supervised.Supervised) {}

const known = Effect.gen(function* () {
  const principal = Option.getOrUndefined(yield* Principal.current)
  const scope = (yield* Effect.withFiber((fiber) => Effect.succeed(fiber.getRef(CurrentScope))))!
  return {
    id: principal?.id ?? null,
    tenant: principal?.tenant ?? null,
    rank: scope.rank,
    accounted: scope.tenant !== 0,
  }
})

/** What the job does until it is told to end. */
const job = (end: Effect.Effect<void>) =>
  Effect.gen(function* () {
    yield* Task.start("job.below", Effect.never)
    yield* Task.start("job.apart", end, { detached: true })
    yield* end
    return "done"
  })

const handlers = (end: Effect.Effect<void>) =>
  HttpApiBuilder.group(
    Api,
    "doors",
    Effect.fnUntraced(function* (handlers) {
      const limits = yield* RateLimit.RateLimit
      return handlers.handleAll({
        open: () => known,
        maybe: () => known,
        mine: () => Effect.andThen(Principal.required, known),
        least: () => known,
        later: () => Effect.andThen(Effect.sleep("5 millis"), known),
        job: () => job(end),
        taken: () => Effect.fail(new Taken()),
        dies: () => Effect.die(new Error("inside")),
        full: () => Effect.succeed("never"),
        slow: () => Effect.never,
        stream: () => Effect.succeed(Stream.make(new Uint8Array([104]), new Uint8Array([105]))),
        empty: () => Effect.void,
        query: ({ query }) => Effect.succeed(`${query.n}`),
        raise: () =>
          Effect.sync(() => {
            limits.set({ ...limits.limits, principal: { requests: 100, per: "1 minute" } })
            return "raised"
          }),
      })
    }),
  )

export interface Options {
  readonly principals?: Principal.Options
  readonly limits?: RateLimit.Options
  readonly url?: Redacted.Redacted
  readonly operators?: Operators.Options
  readonly modes?: Partial<Admission.Modes>
}

export const serve = (options: Options = {}) =>
  Effect.gen(function* () {
    const url = options.url ?? (yield* TestDatabase.url)
    const end = yield* Deferred.make<void>()
    const probe: {
      tree?: TaskTree.TaskTree
      keys?: ApiKeys.ApiKeys
      db?: Database.Database
      metrics?: Metrics
    } = {}
    const probed = Layer.effectDiscard(Effect.gen(function* () {
      probe.keys = yield* ApiKeys.ApiKeys
      probe.db = yield* Database.Database
      probe.metrics = yield* Metrics
      probe.tree = yield* TaskTree.TaskTree
    }))
    // Full for good: its one slot is taken, and it has no line.
    const full = Layer.effectDiscard(Effect.gen(function* () {
      const bulkhead = yield* Bulkhead.make({ name: "full", capacity: 1, queueCapacity: 0 })
      yield* bulkhead.acquire
    }))
    const context = yield* Layer.build(Service.layer(Api, {
      handlers: handlers(Deferred.await(end)),
      resources: Layer.merge(probed, full).pipe(
        Layer.provideMerge(ApiKeys.layer()),
        Layer.provideMerge(Database.layer({ url, maxConnections: 4 })),
      ),
      principals: Principal.layer(options.principals),
      ...(options.limits === undefined ? {} : { limits: options.limits }),
      ...(options.operators === undefined ? {} : { operators: options.operators }),
      // Whether the machine is busy is not what these tests are about.
      admission: { modes: { loopLag: "off", ...options.modes } },
      server: { port: 0 },
    }))
    const { port } = Context.get(context, Server.Server)
    return { url: `http://127.0.0.1:${port}`, end, ...probe as Required<typeof probe> }
  })

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly text: string
}

export const ask = (
  url: string,
  key?: Redacted.Redacted<string> | string,
  init: RequestInit = {},
): Effect.Effect<Answer> =>
  Effect.promise(async () => {
    const text = typeof key === "object" ? Redacted.value(key) : key
    const response = await fetch(url, {
      ...init,
      headers: {
        ...(text === undefined ? {} : { authorization: `Bearer ${text}` }),
        ...init.headers as Record<string, string>,
      },
    })
    const headers = Object.fromEntries(response.headers)
    delete headers["date"]
    return { status: response.status, headers, text: await response.text() }
  })
