import { type Duration, Effect, Stream } from "effect"
import { type HttpServerRequest, HttpServerResponse } from "effect/http"
import type { Scope } from "effect"
import type { TaskEvent } from "../task/TaskTree.ts"
import type { TaskRecord } from "../task/record.ts"
import type { Tree } from "../task/tree.ts"
import type { Health } from "./Health.ts"
import { randomOf } from "./jitter.ts"
import * as Problem from "./Problem.ts"
import type { Quota } from "../bounded/quota.ts"
import type { Result } from "./results.ts"
import { eventFrame, frame, gapFrame, Subscriber } from "./subscriber.ts"

/** What a stream of events needs of the service. */
export interface EventsEnv {
  readonly tree: Tree
  readonly health: Health
  readonly subscribers: Quota
  readonly buffer: number
  readonly heartbeat: Duration.Input
}

/** The events of one task, from the one after `Last-Event-ID` to its end. */
export const eventsOf = (
  env: EventsEnv,
  request: HttpServerRequest.HttpServerRequest,
  task: TaskRecord | Result,
): Effect.Effect<HttpServerResponse.HttpServerResponse, never, Scope.Scope> =>
  // Between taking a place and the finalizer that gives it back, the fiber might yield.
  Effect.uninterruptible(Effect.withFiber((fiber) => {
    if (request.method === "HEAD") {
      return Effect.succeed(
        HttpServerResponse.empty({ status: 200, headers: { ...headers, "content-type": type } }),
      )
    }
    const last = lastEventId(request, env.tree)
    const missed = env.tree.since(last ?? 0).filter((event) => event.taskId === task.id)
    const over = task.outcome !== undefined
    // Told everything, also the end: 204 tells an EventSource not to come back.
    if (over && last !== undefined && missed.length === 0) {
      return Effect.succeed(HttpServerResponse.empty({ status: 204 }))
    }
    const refusal = env.subscribers.enter()
    if (refusal !== undefined) {
      return Effect.succeed(
        Problem.render(Problem.fromRefusal(refusal), randomOf(fiber)),
      )
    }
    const subscriber = new Subscriber(env.buffer, env.heartbeat)
    const follow = Effect.addFinalizer(() => {
      stop()
      env.subscribers.leave()
      return Effect.void
    })
    const stop = over ? () => {} : join(env, subscriber, task as TaskRecord)
    const beginning = lead(env.tree, task, last, missed) +
      missed.map(eventFrame).join("") +
      (over && !missed.some((event) => event._tag === "Ended")
        ? frame("ended", { outcome: task.outcome })
        : "")
    if (over) subscriber.close()
    const body = Stream.concat(
      Stream.succeed(beginning),
      Stream.unfold(
        undefined,
        () =>
          Effect.map(
            subscriber.next,
            (text) => text === undefined ? undefined : [text, undefined] as const,
          ),
      ),
    )
    return Effect.as(
      follow,
      HttpServerResponse.stream(Stream.encodeText(body), { contentType: type, headers }),
    )
  }))

const type = "text/event-stream"
const headers = { "cache-control": "no-store", "x-accel-buffering": "no" }

/** Feeds the subscriber until the task ends, or is abandoned while the service stops. */
const join = (env: EventsEnv, subscriber: Subscriber, record: TaskRecord): () => void => {
  const unwatch = env.tree.watch(record.id, (event: TaskEvent) => {
    subscriber.push(
      eventFrame(event),
      event._tag === "Ended" || (event._tag === "CleanupAbandoned" && env.health.draining()),
    )
  })
  // The drain waits for this stream, but not for a task that has been given up, or that it spares.
  const forget = env.health.onDrain(() => {
    if (record.abandoned || record.background) subscriber.close()
  })
  return () => {
    unwatch()
    forget()
    subscriber.close()
  }
}

/** What comes before the first event: the beginning, or a gap where too much was forgotten. */
const lead = (
  tree: Tree,
  task: TaskRecord | Result,
  last: number | undefined,
  missed: ReadonlyArray<TaskEvent>,
): string => {
  const retry = "retry: 2000\n\n"
  if (last === undefined) {
    return missed[0]?._tag === "Started"
      ? retry
      : retry + frame("started", { at: new Date(task.startedAt).toISOString(), name: task.name })
  }
  const oldest = tree.since(0)[0]?.seq ?? last + 1
  return oldest > last + 1 ? retry + gapFrame(oldest - last - 1, false) : retry
}

/** A number that this tree never gave out comes from an earlier process: start again. */
const lastEventId = (
  request: HttpServerRequest.HttpServerRequest,
  tree: Tree,
): number | undefined => {
  const given = request.headers["last-event-id"]
  if (given === undefined || !/^\d{1,15}$/.test(given)) return undefined
  return Number(given) > tree.lastSeq ? undefined : Number(given)
}
