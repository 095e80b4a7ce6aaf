/** A small service without a database, whose slow work is directed by the test. */
import { Context, Deferred, Effect, Layer, Option, Queue, Schema } from "effect"
import { HttpServerResponse } from "effect/http"
import {
  HttpApi,
  HttpApiBuilder,
  HttpApiEndpoint,
  HttpApiGroup,
  HttpApiSchema,
} from "effect/http-api"
import * as Bulkhead from "../../../src/pool/Bulkhead.ts"
import * as Saturation from "../../../src/bounded/Saturation.ts"
import * as CancelReason from "../../../src/task/CancelReason.ts"
import * as Task from "../../../src/task/Task.ts"
import * as TaskTree from "../../../src/task/TaskTree.ts"
import * as Policy from "../../../src/edge/Policy.ts"
import * as Server from "../../../src/edge/Server.ts"
import * as Supervised from "../../../src/edge/Supervised.ts"
import * as Service from "../../../src/service/Service.ts"

const Number_ = Schema.Struct({ n: Schema.Int })

class Taken extends Schema.TaggedError<Taken>()("Taken", { n: Schema.Int }) {}

const post = <const Name extends string>(name: Name) =>
  HttpApiEndpoint.post(name, `/${name}`, { payload: Number_, success: Number_ })

export class Api extends HttpApi.make("desk").add(
  HttpApiGroup.make("desk").add(
    post("quick"),
    post("slow"),
    post("always").annotate(Policy.Policy, { async: "always" }),
    post("brief").annotate(Policy.Policy, { deadline: "50 millis" }),
    post("pooled").annotate(Policy.Policy, { uses: ["slots"] }),
    post("stubborn").annotate(Policy.Policy, { cleanup: "50 millis" }),
    HttpApiEndpoint.post("taken", "/taken", {
      payload: Number_,
      success: Number_,
      error: Taken.pipe(HttpApiSchema.status(409)),
    }),
    post("dies"),
    HttpApiEndpoint.get("big", "/big/:bytes", {
      params: { bytes: Schema.FiniteFromString },
      success: Schema.String,
    }),
    HttpApiEndpoint.get("raw", "/raw", { success: Schema.String }),
    HttpApiEndpoint.get("plain", "/plain", { success: Schema.String })
      .annotate(Policy.Policy, { async: "never" }),
    HttpApiEndpoint.get("hold", "/hold", { success: Schema.String })
      .annotate(Policy.Policy, { async: "never", uses: ["slots"] }),
  ).annotate(Policy.Policy, { async: "allowed" }),
).middleware(Supervised.Supervised) {}

/** What the slow work does next. */
export type Step = { readonly done: number; readonly note?: string } | "end"

export interface Script {
  readonly steps: Queue.Queue<Step>
  /** Why the work was cancelled, as its finalizer read it. */
  readonly reasons: Array<CancelReason.CancelReason | undefined>
  /** Work that has begun. */
  begun: number
  /** Ends the cleanup of the stubborn one. */
  readonly letGo: Deferred.Deferred<void>
}

const handlers = (script: Script) =>
  HttpApiBuilder.group(
    Api,
    "desk",
    Effect.fnUntraced(function* (handlers) {
      const slots = yield* Slots
      const work = (n: number) =>
        Effect.gen(function* () {
          script.begun++
          while (true) {
            const step = yield* Queue.take(script.steps)
            if (step === "end") return { n }
            yield* Task.progress({ total: 10, ...step })
          }
        }).pipe(
          Effect.onInterrupt(() =>
            Effect.map(CancelReason.current, (reason) => {
              script.reasons.push(Option.getOrUndefined(reason))
            })
          ),
        )
      return handlers.handleAll({
        quick: ({ payload }) => Effect.succeed(payload),
        slow: ({ payload }) => work(payload.n),
        always: ({ payload }) => work(payload.n),
        brief: ({ payload }) => work(payload.n),
        pooled: ({ payload }) => slots.use(work(payload.n)),
        stubborn: () => Effect.never.pipe(Effect.onInterrupt(() => Deferred.await(script.letGo))),
        taken: ({ payload }) => Effect.fail(new Taken({ n: payload.n })),
        dies: () => Effect.die(new Error("the secret inside")),
        big: ({ params }) => Effect.succeed("x".repeat(params.bytes)),
        raw: () =>
          Effect.succeed(
            HttpServerResponse.raw(
              new Response("raw bytes", {
                status: 203,
                headers: { "content-type": "text/x-raw", "x-own": "yes" },
              }),
            ) as never,
          ),
        plain: () => Effect.succeed("plain"),
        hold: () => slots.use(Effect.as(work(0), "held")),
      })
    }),
  )

const Slots: Context.Service<Bulkhead.Bulkhead, Bulkhead.Bulkhead> = Context.Service<
  Bulkhead.Bulkhead
>("weir/test/Slots")

export interface Desk {
  readonly url: string
  readonly port: number
  readonly script: Script
  readonly tree: TaskTree.TaskTree
  readonly saturation: Saturation.Saturation
}

export const Desk: Context.Service<Desk, Desk> = Context.Service<Desk>("weir/test/Desk")

type Options = Partial<
  Pick<
    Service.Options<"desk", never, never, never, never>,
    "async" | "tasks" | "operators" | "health" | "server" | "drain"
  >
>

export const layer = (options: Options = {}) =>
  Layer.effect(
    Desk,
    Effect.gen(function* () {
      const script: Script = {
        steps: yield* Queue.unbounded<Step>(),
        reasons: [],
        begun: 0,
        letGo: yield* Deferred.make<void>(),
      }
      const probe = yield* Deferred.make<readonly [TaskTree.TaskTree, Saturation.Saturation]>()
      const probed = Layer.effectDiscard(Effect.withFiber((fiber) =>
        Deferred.succeed(probe, [
          fiber.getRef(TaskTree.TaskTree),
          fiber.getRef(Saturation.Saturation),
        ])
      ))
      const slots = Layer.effect(
        Slots,
        Bulkhead.make({ name: "slots", capacity: 1, queueCapacity: 1 }),
      )
      const context = yield* Layer.build(Service.layer(Api, {
        ...options,
        handlers: handlers(script),
        resources: Layer.merge(slots, probed),
        server: { port: 0, ...options.server },
      }))
      const server = Context.get(context, Server.Server)
      const [tree, saturation] = yield* Deferred.await(probe)
      return { url: `http://127.0.0.1:${server.port}`, port: server.port, script, tree, saturation }
    }),
  )

/** A request whose body is `{ n }`, as a client that may be asked to come back. */
export const send = (
  path: string,
  prefer?: string,
  init: RequestInit = {},
): Effect.Effect<Response, never, Desk> =>
  Effect.flatMap(Desk, (desk) =>
    Effect.promise((signal) =>
      fetch(`${desk.url}${path}`, {
        method: "POST",
        body: JSON.stringify({ n: 7 }),
        signal,
        ...init,
        headers: {
          "content-type": "application/json",
          ...(prefer === undefined ? {} : { prefer }),
          ...init.headers as Record<string, string>,
        },
      })
    ))

export const get = (path: string, headers: Record<string, string> = {}, method = "GET") =>
  Effect.flatMap(
    Desk,
    (desk) => Effect.promise((signal) => fetch(`${desk.url}${path}`, { method, headers, signal })),
  )

export const bodyOf = (response: Response) => Effect.promise(() => response.json())
export const textOf = (response: Response) => Effect.promise(() => response.text())

/** Waits, by looking again, until it holds: the real clock decides nothing else. */
export const until = (condition: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() =>
    condition() ? Effect.void : Effect.andThen(Effect.sleep(1), until(condition))
  )
