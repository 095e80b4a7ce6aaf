/** A small service on a real PostgreSQL, for tests over real sockets. */
import { Context, Deferred, Effect, Layer, Option, Schedule, Schema, Stream } from "effect"
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
  Saturation,
  Server,
  Service,
  Supervised,
  TaskTree,
} from "../../src/index.ts"
import * as TestDatabase from "./database.ts"

const Slept = Schema.Struct({ slept: Schema.Finite })
const seconds = Schema.FiniteFromString.check(Schema.isBetween({ minimum: 0, maximum: 60 }))

export class Api extends HttpApi.make("lab").add(
  HttpApiGroup.make("lab").add(
    HttpApiEndpoint.get("sleep", "/sleep", { success: Slept }),
    HttpApiEndpoint.post("sleepPost", "/sleep", {
      payload: Schema.Struct({ note: Schema.String }),
      success: Slept,
    }),
    HttpApiEndpoint.get("query", "/query/:seconds", { params: { seconds }, success: Slept }),
    HttpApiEndpoint.get("stream", "/stream", { success: HttpApiSchema.StreamUint8Array() }),
    HttpApiEndpoint.post("echo", "/echo", {
      payload: Schema.Struct({ name: Schema.String, count: Schema.Int }),
      success: Schema.Struct({ name: Schema.String, count: Schema.Int }),
    }),
    HttpApiEndpoint.get("defect", "/defect", { success: Schema.String }),
    HttpApiEndpoint.get("finalizerThrows", "/finalizer/throws", { success: Schema.String }),
    HttpApiEndpoint.get("finalizerHangs", "/finalizer/hangs", { success: Schema.String })
      .annotate(Policy.Policy, { cleanup: "300 millis", uses: [] }),
    HttpApiEndpoint.get("hang", "/hang", { success: Schema.String }).annotate(Policy.Policy, {
      uses: [],
    }),
    HttpApiEndpoint.get("fast", "/fast", { success: Schema.String }).annotate(Policy.Policy, {
      uses: [],
    }),
  ).annotate(Policy.Policy, { deadline: "1100 millis", uses: ["database"] }),
).middleware(Supervised.Supervised) {}

/** What the handlers saw: reasons in the order in which finalizers read them. */
export interface Seen {
  readonly reasons: Array<string>
  queries: number
}

export const Seen: Context.Service<Seen, Seen> = Context.Service<Seen>("weir/test/Seen")

const noteReason = (seen: Seen, where: string) =>
  Effect.map(CancelReason.current, (reason) => {
    seen.reasons.push(
      `${where}: ${Option.match(reason, { onNone: () => "none", onSome: (r) => r._tag })}`,
    )
  })

export const handlers = HttpApiBuilder.group(
  Api,
  "lab",
  Effect.fnUntraced(function* (handlers) {
    const db = yield* Database.Database
    const seen = yield* Seen
    const sleep = (seconds: number) =>
      db.one(Schema.Struct({ slept: Schema.Finite }))`
        select ${seconds}::float8 as slept from pg_sleep(${seconds}::float8)`.pipe(
        Effect.catchTag("NoRow", Effect.die),
        Effect.onInterrupt(() => noteReason(seen, "query")),
        (query) =>
          Effect.andThen(
            Effect.sync(() => {
              seen.queries++
            }),
            query,
          ),
      )
    return handlers.handleAll({
      sleep: () => sleep(0.2),
      sleepPost: () => sleep(0.2),
      query: ({ params }) => sleep(params.seconds),
      stream: () =>
        Effect.succeed(
          Stream.fromSchedule(Schedule.spaced("20 millis")).pipe(
            Stream.map(() => new Uint8Array(1024)),
            Stream.onExit(() => noteReason(seen, "stream")),
          ),
        ),
      echo: ({ payload }) => Effect.succeed(payload),
      defect: () => Effect.die(new Error("the secret inside")),
      finalizerThrows: () =>
        Effect.andThen(
          Effect.addFinalizer(() => Effect.die(new Error("the secret finalizer"))),
          Effect.succeed("done"),
        ).pipe(Effect.scoped),
      finalizerHangs: () => Effect.never.pipe(Effect.onInterrupt(() => Effect.sleep("2 seconds"))),
      hang: () => Effect.never.pipe(Effect.onInterrupt(() => noteReason(seen, "hang"))),
      fast: () => Effect.succeed("fast"),
    })
  }),
)

/** Everything a test looks at. */
export interface Lab {
  readonly url: string
  readonly port: number
  readonly seen: Seen
  readonly tree: TaskTree.TaskTree
  readonly saturation: Saturation.Saturation
}

export const Lab: Context.Service<Lab, Lab> = Context.Service<Lab>("weir/test/Lab")

/** Starts the service on a free port, on a fresh database. */
export const layer = (options: {
  readonly connections?: number
  readonly expected?: "200 millis"
} = {}) =>
  Layer.effect(
    Lab,
    Effect.gen(function* () {
      const seen: Seen = { reasons: [], queries: 0 }
      const probe = yield* Deferred.make<readonly [TaskTree.TaskTree, Saturation.Saturation]>()
      const probed = Layer.effectDiscard(Effect.withFiber((fiber) =>
        Deferred.succeed(probe, [
          fiber.getRef(TaskTree.TaskTree),
          fiber.getRef(Saturation.Saturation),
        ])
      ))
      const context = yield* Layer.build(Service.layer(Api, {
        handlers: handlers.pipe(Layer.provide(Layer.succeed(Seen, seen))),
        resources: Layer.provideMerge(
          probed,
          TestDatabase.layer({ maxConnections: options.connections ?? 10 }),
        ),
        ...(options.expected === undefined ? {} : { policy: { expected: options.expected } }),
        server: { port: 0 },
      }))
      const server = Context.get(context, Server.Server)
      const [tree, saturation] = yield* Deferred.await(probe)
      return { url: `http://127.0.0.1:${server.port}`, port: server.port, seen, tree, saturation }
    }),
  )
