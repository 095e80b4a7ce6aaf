/**
 * Tasks as resources: look, follow, cancel, fetch the result; and the list for operators.
 *
 * **Details** – a task that was asked for with a key belongs to that key, with all that it starts: for
 * everybody else but an operator with the token it does not exist. Of any other task the id is the
 * right to see and cancel it: it is unguessable, and nothing that a client sees names another task.
 * None of these endpoints is admitted or counted as a request.
 * *Bounded by* the number of event streams; *owned by* the service; *seen in* `/saturation` as
 * `events`.
 *
 * @module
 */
import { Clock, Context, type Duration, Effect, type Layer } from "effect"
import { HttpRouter, type HttpServerRequest, HttpServerResponse } from "effect/http"
import { Quota } from "../bounded/quota.ts"
import { register } from "../bounded/Saturation.ts"
import { Mistake } from "../internal/mistake.ts"
import { durationMs } from "../internal/setting.ts"
import * as CancelReason from "../task/CancelReason.ts"
import type { TaskRecord } from "../task/record.ts"
import { info, TaskTree } from "../task/TaskTree.ts"
import { eventsOf } from "./events.ts"
import { Health } from "./Health.ts"
import { isProblem, Listing, parseQuery } from "./list.ts"
import { guard, Operators } from "./Operators.ts"
import { askerOf, ownerOf } from "./ownership.ts"
import { Principals } from "./Principal.ts"
import * as Problem from "./Problem.ts"
import { resource } from "./resource.ts"
import { RespondAsync } from "./RespondAsync.ts"
import type { Result, Results } from "./results.ts"
import { askAgain, cancelView, endedView, etagOf, json, liveView, matches } from "./view.ts"

/**
 * Options of {@link layer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Event streams at once. Default 256. */
  readonly subscribers?: number
  /** Events kept for a stream whose client does not read; then the oldest are dropped. Default 64. */
  readonly buffer?: number
  /** Between signs of life on a quiet stream. Default 15 seconds. */
  readonly heartbeat?: Duration.Input
}

type Request = HttpServerRequest.HttpServerRequest
type Answer = Effect.Effect<HttpServerResponse.HttpServerResponse>

/**
 * The routes `GET /tasks`, `GET` and `DELETE /tasks/:id`, `GET /tasks/:id/result` and
 * `GET /tasks/:id/events`.
 *
 * **Fails with** – nothing; a bound that is not a whole number above zero dies.
 *
 * **Interruption** – does not wait.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: Options = {},
): Layer.Layer<
  never,
  never,
  HttpRouter.HttpRouter | Health | Operators | RespondAsync
> =>
  HttpRouter.use((router) =>
    Effect.gen(function* () {
      const tree = (yield* TaskTree).unsafe
      const operators = yield* Operators
      const { results } = yield* RespondAsync
      const buffer = options.buffer ?? 64
      if (!Number.isSafeInteger(buffer) || buffer < 1) {
        return yield* Effect.die(
          new Mistake(`tasks.buffer must be a whole number of events above zero, not ${buffer}.`),
        )
      }
      const subscribers = new Quota("events", "events", options.subscribers ?? 256)
      yield* register(subscribers)
      const env = {
        tree,
        health: yield* Health,
        subscribers,
        buffer,
        heartbeat: durationMs("tasks.heartbeat", options.heartbeat ?? "15 seconds"),
      }
      const listing = new Listing(tree)

      const principals = Context.getOrUndefined(yield* Effect.context<never>(), Principals)

      /**
       * What the id names, if it is the asker's or nobody's: a live task, else one that has ended and
       * whose result is kept.
       */
      const find = (
        request: Request,
        f: (task: TaskRecord | Result, now: number) => Answer,
      ): Answer => {
        const operator = operators.hasToken(request)
        const known = operator ? undefined : principals
        return Effect.flatMap(
          Effect.flatMap(Clock.currentTimeMillis, (now) => askerOf(known, request, now)),
          (asker) =>
            Effect.flatMap(Clock.currentTimeMillis, (now) => {
              const id = idOf(request)
              const task = tree.find(id) ?? results.find(id, now)
              return task !== undefined && (operator || asker.is(ownerOf(task)))
                ? f(task, now)
                : asker.lost === undefined
                ? Effect.succeed(unknown)
                : Problem.fromCause(asker.lost) as Answer
            }),
        )
      }

      yield* router.addAll([
        ...resource("/tasks", {
          GET: (request) => guard(operators, request, list(listing, request)),
        }),
        ...resource("/tasks/:id", {
          GET: (request) =>
            find(request, (task, now) => Effect.succeed(look(request, task, now, results.ttlMs))),
          DELETE: (request) =>
            find(request, (task) =>
              isLive(task) ? cancel(request, task, operators) : Effect.succeed(json({
                cancelled: false,
                detail: "It had ended already.",
                task: endedView(task, results.ttlMs),
              }))),
        }),
        ...resource("/tasks/:id/result", {
          GET: (request) =>
            find(request, (task, now) =>
              Effect.succeed(
                isLive(task) ? notYet(task, now) : answerOf(request, results, task, now),
              )),
        }),
        ...resource("/tasks/:id/events", {
          GET: (request) =>
            find(request, (task) => eventsOf(env, request, task) as Answer),
        }),
      ])
    })
  )

const isLive = (task: TaskRecord | Result): task is TaskRecord => !("response" in task)

/** The part after `/tasks/`. */
const idOf = (request: Request): string => request.url.split("?")[0]!.split("/")[2] ?? ""

const search = (request: Request): URLSearchParams =>
  new URLSearchParams(request.url.split("?")[1] ?? "")

const unknown = Problem.render({
  slug: "no-such-task",
  status: 404,
  title: "There is no such task",
  detail: "It never existed, has ended and its result is no longer kept, or was asked for with " +
    "another key. Send the key that it was asked for with.",
}, 0)

const noCache = { "cache-control": "private, no-cache" }

const look = (
  request: Request,
  task: TaskRecord | Result,
  now: number,
  ttlMs: number,
): HttpServerResponse.HttpServerResponse => {
  const live = isLive(task) ? info(task, now) : undefined
  const view = live === undefined ? endedView(task as Result, ttlMs) : liveView(live)
  const etag = etagOf(view)
  const headers: Record<string, string> = { ...noCache, etag }
  if (live !== undefined) headers["retry-after"] = String(askAgain(live))
  else headers["link"] = `<${view.result}>; rel="related"; title="result"`
  return matches(request.headers["if-none-match"], etag)
    ? notModified(headers)
    : json(view, { headers })
}

/** The stored answer. Who asked for its head alone has not fetched it. */
const answerOf = (
  request: Request,
  results: Results,
  task: Result,
  now: number,
): HttpServerResponse.HttpServerResponse => {
  if (request.method !== "HEAD") results.fetch(task.id, now)
  const { response } = task
  // It was the answer to a request that no cache keeps, such as a POST; here it answers a GET.
  return response.headers["cache-control"] === undefined
    ? HttpServerResponse.setHeader(response, "cache-control", "private, no-store")
    : response
}

const notYet = (task: TaskRecord, now: number): HttpServerResponse.HttpServerResponse => {
  const { deadline: _, ...view } = liveView(info(task, now))
  return Problem.render({
    slug: "not-finished",
    status: 409,
    title: "The task has not ended",
    detail: `It is ${view.state}. Look at /tasks/${task.id}, or follow /tasks/${task.id}/events.`,
    extensions: { state: view.state, progress: view.progress },
    retryAfterMs: askAgain(info(task, now)) * 1000,
  }, 0)
}

/** Cancels and waits for the cleanup, at most its budget, which the task tree enforces. */
const cancel = (request: Request, task: TaskRecord, operators: Operators): Answer =>
  Effect.suspend(() => {
    const by = operators.hasToken(request) ? "operator" : "client"
    const note = (search(request).get("note") ?? "").slice(0, 200)
    const before = task.cancelledAt >= 0 ? task.scope.effectiveReason() : undefined
    task.cancel(CancelReason.Requested(by, note))
    return Effect.map(settled(task), () => {
      const abandoned = task.outcome === undefined
      const reason = task.scope.effectiveReason()
      return json({
        cancelled: abandoned || task.outcome === "cancelled",
        detail: before !== undefined
          ? "It was being cancelled already."
          : abandoned
          ? `It was cancelled, but its cleanup has not ended after ${task.cleanupMs} ms. It stays ` +
            "listed until it does."
          : task.outcome === "cancelled"
          ? "It was cancelled and has cleaned up."
          : "It ended before the cancel took effect.",
        id: task.id,
        name: task.name,
        state: task.state,
        outcome: task.outcome ?? null,
        cancelReason: reason === undefined ? null : cancelView(reason),
        cleanup: abandoned ? "abandoned" : "done",
      })
    })
  })

/** Until it has ended, or its cleanup was given up. */
const settled = (task: TaskRecord): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    const callback = () => resume(Effect.void)
    task.onSettled(callback)
    return Effect.sync(() => task.offSettled(callback))
  })

const list = (listing: Listing, request: Request): Answer =>
  Effect.flatMap(Clock.currentTimeMillis, (now) => {
    const query = parseQuery(search(request))
    return isProblem(query)
      ? Effect.succeed(Problem.render(query, 0))
      : Effect.map(listing.page(query, now), (page) =>
        json(page, { headers: { "cache-control": "no-store" } }))
  })

const notModified = (headers: Record<string, string>): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.empty({ status: 304, headers })
