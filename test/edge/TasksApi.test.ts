import { describe, expect, it } from "@effect/vitest"
import {
  Cause,
  Context,
  Deferred,
  Effect,
  Exit,
  Fiber,
  Layer,
  Queue,
  Redacted,
  Scope,
} from "effect"
import { TestClock } from "effect/testing"
import { Subscriber } from "../../src/edge/subscriber.ts"
import { etagOf, matches, type TaskView } from "../../src/edge/view.ts"
import * as Task from "../../src/task/Task.ts"
import * as TaskTree from "../../src/task/TaskTree.ts"
import { bodyOf, Desk, get, layer, send, textOf, until } from "./support/desk.ts"
import { follow } from "./support/sse.ts"

const startSlow = Effect.map(
  Effect.flatMap(send("/slow", "respond-async"), bodyOf),
  (task) => task.id as string,
)
const finish = Effect.gen(function* () {
  const { script, tree } = yield* Desk
  yield* Queue.offer(script.steps, "end")
  yield* tree.awaitEmpty
})
const events = Effect.map(Desk, ({ saturation }) => saturation.get("events")!.stats(0))

describe("GET /tasks/:id", () => {
  it.live("shows a live task, and 304 while nothing but its age changes", () =>
    Effect.gen(function* () {
      const { script } = yield* Desk
      const id = yield* startSlow
      const look = yield* get(`/tasks/${id}`)
      const etag = look.headers.get("etag")!
      expect(etag).toMatch(/^W\/"/)
      expect(look.headers.get("retry-after")).toBe("1")
      expect(yield* bodyOf(look)).toMatchObject({
        id,
        name: "desk.slow",
        state: "running",
        waitingOn: null,
        cancelReason: null,
      })
      const same = yield* get(`/tasks/${id}`, { "if-none-match": `"other", ${etag}` })
      expect(same.status).toBe(304)
      expect(same.headers.get("etag")).toBe(etag)
      expect(yield* textOf(same)).toBe("")
      yield* Queue.offer(script.steps, { done: 3, note: "third" })
      let changed = yield* get(`/tasks/${id}`, { "if-none-match": etag })
      while (changed.status === 304) changed = yield* get(`/tasks/${id}`, { "if-none-match": etag })
      expect(yield* bodyOf(changed)).toMatchObject({
        progress: { done: 3, total: 10, note: "third" },
      })
      yield* finish
      const over = yield* get(`/tasks/${id}`, { "if-none-match": changed.headers.get("etag")! })
      expect(over.status).toBe(200)
      expect(over.headers.get("etag")).toMatch(/^"/)
      expect(over.headers.get("retry-after")).toBeNull()
      expect(over.headers.get("link")).toContain(`</tasks/${id}/result>`)
      expect(yield* bodyOf(over)).toMatchObject({ state: "ended", outcome: "completed" })
      const strong = yield* get(`/tasks/${id}`, { "if-none-match": over.headers.get("etag")! })
      expect(strong.status).toBe(304)
    }).pipe(Effect.provide(layer())))

  it.live("names no other task: only the id opens it", () =>
    Effect.gen(function* () {
      const id = yield* startSlow
      const view = yield* bodyOf(yield* get(`/tasks/${id}`))
      expect(Object.keys(view)).not.toContain("parentId")
      yield* finish
    }).pipe(Effect.provide(layer())))

  it.live("HEAD, OPTIONS, unknown ids and unknown methods", () =>
    Effect.gen(function* () {
      const id = yield* startSlow
      const head = yield* get(`/tasks/${id}`, {}, "HEAD")
      expect(head.status).toBe(200)
      expect(head.headers.get("etag")).toMatch(/^W\//)
      expect(yield* textOf(head)).toBe("")
      const options = yield* get(`/tasks/${id}`, {}, "OPTIONS")
      expect([options.status, options.headers.get("allow")]).toEqual([
        204,
        "DELETE, GET, HEAD, OPTIONS",
      ])
      const put = yield* get(`/tasks/${id}`, {}, "PUT")
      expect([put.status, put.headers.get("allow")]).toEqual([405, "DELETE, GET, HEAD, OPTIONS"])
      yield* textOf(put)
      for (const path of ["", "/result", "/events"]) {
        const missing = yield* get(`/tasks/no-such${path}`)
        expect(missing.status).toBe(404)
        expect(yield* bodyOf(missing)).toMatchObject({ type: "urn:weir:problem:no-such-task" })
      }
      expect((yield* get("/tasks/no-such", {}, "DELETE")).status).toBe(404)
      yield* finish
    }).pipe(Effect.provide(layer())))

  it("compares entity tags weakly", () => {
    const view = { id: "a", state: "running", ageMs: 1 } as TaskView
    expect(etagOf(view)).toBe(etagOf({ ...view, ageMs: 2 }))
    expect(etagOf(view)).not.toBe(etagOf({ ...view, state: "waiting" }))
    expect(matches('W/"x", "y"', '"x"')).toBe(true)
    expect(matches("*", '"x"')).toBe(true)
    expect(matches('"z"', 'W/"x"')).toBe(false)
    expect(matches(undefined, '"x"')).toBe(false)
  })
})

describe("DELETE /tasks/:id", () => {
  it.live("cancels with the reason that the finalizers read, and says what happened", () =>
    Effect.gen(function* () {
      const { script } = yield* Desk
      const id = yield* startSlow
      yield* until(() => script.begun === 1)
      const answer = yield* get(`/tasks/${id}?note=too%20slow`, {}, "DELETE")
      expect(answer.status).toBe(200)
      expect(yield* bodyOf(answer)).toMatchObject({
        cancelled: true,
        state: "ended",
        outcome: "cancelled",
        cleanup: "done",
        cancelReason: { reason: "Requested", by: "client", note: "too slow" },
      })
      expect(script.reasons).toEqual([{ _tag: "Requested", by: "client", note: "too slow" }])
      const result = yield* get(`/tasks/${id}/result`)
      expect(result.status).toBe(503)
      expect(yield* bodyOf(result)).toMatchObject({ type: "urn:weir:problem:cancelled" })
      const again = yield* get(`/tasks/${id}`, {}, "DELETE")
      expect([again.status, (yield* bodyOf(again)).cancelled]).toEqual([200, false])
    }).pipe(Effect.provide(layer())))

  it.live("says so when the cleanup overran its budget", () =>
    Effect.gen(function* () {
      const { script, tree } = yield* Desk
      const { id } = yield* bodyOf(yield* send("/stubborn", "respond-async"))
      const answer = yield* bodyOf(yield* get(`/tasks/${id}`, {}, "DELETE"))
      expect(answer).toMatchObject({ cancelled: true, state: "abandoned", cleanup: "abandoned" })
      expect((yield* bodyOf(yield* get(`/tasks/${id}`))).state).toBe("abandoned")
      yield* Deferred.succeed(script.letGo, undefined)
      yield* tree.awaitEmpty
      expect(yield* bodyOf(yield* get(`/tasks/${id}`))).toMatchObject({
        state: "ended",
        outcome: "cancelled",
      })
    }).pipe(Effect.provide(layer())))

  it.live("an operator's cancel is marked as one", () =>
    Effect.gen(function* () {
      const { script } = yield* Desk
      const id = yield* startSlow
      yield* until(() => script.begun === 1)
      yield* textOf(yield* get(`/tasks/${id}`, { authorization: "Bearer sesame" }, "DELETE"))
      expect(script.reasons).toEqual([{ _tag: "Requested", by: "operator", note: "" }])
    }).pipe(Effect.provide(layer({ operators: { token: Redacted.make("sesame") } }))))
})

describe("GET /tasks/:id/events", () => {
  it.live("tells what happens, in order, and ends with the task", () =>
    Effect.gen(function* () {
      const { saturation, script, url } = yield* Desk
      const id = yield* startSlow
      const reader = yield* follow(`${url}/tasks/${id}/events`)
      expect(reader.response.headers.get("content-type")).toBe("text/event-stream")
      yield* Queue.offerAll(script.steps, [{ done: 1 }, { done: 2, note: "two" }, "end"])
      const frames = yield* reader.rest
      expect(frames.map((frame) => frame.event)).toEqual([
        "started",
        "progress",
        "progress",
        "ended",
      ])
      expect(frames.map((frame) => frame.id)).toEqual(
        frames.map((frame) => frame.id).sort((a, b) => a! - b!),
      )
      expect(frames[2]!.data).toMatchObject({ done: 2, total: 10, note: "two" })
      expect(frames[3]!.data).toMatchObject({ outcome: "completed" })
      yield* until(() => saturation.get("events")!.stats(0).inUse === 0)
    }).pipe(Effect.scoped, Effect.provide(layer())))

  it.live("tells waits and cancels with their reasons", () =>
    Effect.gen(function* () {
      const { url } = yield* Desk
      const first = yield* bodyOf(yield* send("/pooled", "respond-async"))
      const second = yield* bodyOf(yield* send("/pooled", "respond-async"))
      const reader = yield* follow(`${url}/tasks/${second.id}/events`)
      yield* textOf(yield* get(`/tasks/${second.id}`, {}, "DELETE"))
      const frames = yield* reader.rest
      expect(frames.map((frame) => frame.event)).toEqual(
        expect.arrayContaining(["started", "waiting", "cancel-requested", "ended"]),
      )
      expect(frames.find((frame) => frame.event === "waiting")!.data).toMatchObject({ on: "slots" })
      expect(frames.find((frame) => frame.event === "cancel-requested")!.data).toMatchObject({
        reason: "Requested",
        by: "client",
      })
      expect(frames.at(-1)!.data).toMatchObject({ outcome: "cancelled" })
      yield* textOf(yield* get(`/tasks/${first.id}`, {}, "DELETE"))
    }).pipe(Effect.scoped, Effect.provide(layer())))

  it.live("goes on after Last-Event-ID, also when the task has ended, and then says 204", () =>
    Effect.gen(function* () {
      const { script, url } = yield* Desk
      const id = yield* startSlow
      const reader = yield* follow(`${url}/tasks/${id}/events`)
      yield* Queue.offerAll(script.steps, [{ done: 1 }, { done: 2 }])
      yield* reader.next
      const one = yield* reader.next
      expect(one).toMatchObject({ event: "progress", data: { done: 1 } })
      yield* reader.leave
      yield* finish
      const resumed = yield* follow(`${url}/tasks/${id}/events`, {
        "last-event-id": String(one!.id),
      })
      const frames = yield* resumed.rest
      expect(frames.map((frame) => frame.event)).toEqual(["progress", "ended"])
      expect(frames[0]!.data).toMatchObject({ done: 2 })
      const done = yield* get(`/tasks/${id}/events`, {
        "last-event-id": String(frames.at(-1)!.id),
      })
      expect(done.status).toBe(204)
    }).pipe(Effect.scoped, Effect.provide(layer())))

  it.live("an id that this process never gave out starts from the beginning", () =>
    Effect.gen(function* () {
      const { url } = yield* Desk
      const id = yield* startSlow
      const reader = yield* follow(`${url}/tasks/${id}/events`, { "last-event-id": "999999" })
      expect((yield* reader.next)!.event).toBe("started")
      yield* finish
    }).pipe(Effect.scoped, Effect.provide(layer())))

  it.live("a client that leaves frees its place at once", () =>
    Effect.gen(function* () {
      const { saturation, url } = yield* Desk
      const id = yield* startSlow
      const reader = yield* follow(`${url}/tasks/${id}/events`)
      yield* reader.next
      expect((yield* events).inUse).toBe(1)
      yield* reader.leave
      yield* until(() => saturation.get("events")!.stats(0).inUse === 0)
      expect((yield* bodyOf(yield* get(`/tasks/${id}`))).state).toBe("running")
      yield* finish
    }).pipe(Effect.scoped, Effect.provide(layer())))

  it.live("refuses more subscribers than the bound", () =>
    Effect.gen(function* () {
      const { url } = yield* Desk
      const id = yield* startSlow
      const reader = yield* follow(`${url}/tasks/${id}/events`)
      const refused = yield* get(`/tasks/${id}/events`)
      expect(refused.status).toBe(503)
      expect(yield* bodyOf(refused)).toMatchObject({ resource: "events", reason: "QueueFull" })
      const head = yield* get(`/tasks/${id}/events`, {}, "HEAD")
      expect([head.status, head.headers.get("content-type")]).toEqual([200, "text/event-stream"])
      expect((yield* events).inUse).toBe(1)
      yield* finish
      yield* reader.rest
    }).pipe(Effect.scoped, Effect.provide(layer({ tasks: { subscribers: 1 } }))))

  it.live(
    "a subscriber that does not read loses the oldest events and is told how many",
    () =>
      Effect.gen(function* () {
        const { port, saturation, script, tree } = yield* Desk
        const id = yield* startSlow
        const connection = yield* Effect.promise(() => Deno.connect({ port }))
        yield* Effect.addFinalizer(() => Effect.sync(() => connection.close()))
        yield* Effect.promise(() =>
          connection.write(
            new TextEncoder().encode(`GET /tasks/${id}/events HTTP/1.0\r\nhost: localhost\r\n\r\n`),
          )
        )
        yield* until(() => saturation.get("events")!.stats(0).inUse === 1)
        const note = "x".repeat(100_000)
        const total = 200
        // More than the buffers of both sockets hold.
        for (let done = 1; done <= total; done++) yield* Queue.offer(script.steps, { done, note })
        yield* finish
        expect(yield* tree.size).toBe(0)
        const text = yield* Effect.promise(async () => {
          const decoder = new TextDecoder()
          let all = ""
          const buffer = new Uint8Array(65_536)
          for (
            let n = await connection.read(buffer);
            n !== null;
            n = await connection.read(buffer)
          ) {
            all += decoder.decode(buffer.subarray(0, n), { stream: true })
          }
          return all
        })
        const dropped = [...text.matchAll(/event: gap\ndata: \{"dropped":(\d+)\}/g)]
          .reduce((sum, gap) => sum + Number(gap[1]), 0)
        const told = [...text.matchAll(/event: progress/g)].length
        expect(dropped).toBeGreaterThan(0)
        expect(told + dropped).toBe(total)
        expect(text).toContain("event: ended")
      }).pipe(Effect.scoped, Effect.provide(layer({ tasks: { buffer: 4 } }))),
    60_000,
  )
})

describe("the drain", () => {
  it.live("does not wait for the followers of a task that has been given up", () =>
    Effect.gen(function* () {
      const outer = yield* Effect.scope
      const { reader, script } = yield* Effect.scoped(Effect.gen(function* () {
        const context = yield* Layer.build(
          layer({ drain: { grace: "50 millis", cleanup: "50 millis" } }),
        )
        return yield* Effect.provide(
          Effect.gen(function* () {
            const { script, url } = yield* Desk
            const { id } = yield* bodyOf(yield* send("/stubborn", "respond-async"))
            yield* textOf(yield* get(`/tasks/${id}`, {}, "DELETE"))
            const reader = yield* Scope.provide(follow(`${url}/tasks/${id}/events`), outer)
            yield* reader.next
            return { reader, script }
          }),
          context,
        )
      }))
      expect((yield* reader.rest).at(-1)!.event).toBe("cleanup-abandoned")
      yield* Deferred.succeed(script.letGo, undefined)
    }).pipe(Effect.scoped))

  it.live("does not wait for the followers of a background task", () =>
    Effect.gen(function* () {
      const outer = yield* Effect.scope
      // With the default grace: a drain that waited would outlast the test.
      const reader = yield* Effect.scoped(Effect.gen(function* () {
        const context = yield* Layer.build(layer())
        const { tree, url } = Context.get(context, Desk)
        const poller = yield* Scope.provide(Task.start("poller", Effect.never), outer).pipe(
          Effect.provideService(TaskTree.TaskTree, tree),
        )
        const reader = yield* Scope.provide(follow(`${url}/tasks/${poller.id}/events`), outer)
        yield* reader.next
        return reader
      }))
      expect((yield* reader.rest).map(({ event }) => event)).toEqual([])
    }).pipe(Effect.scoped))
})

it.live("a buffer that is no number of events does not start: NaN would be no bound", () =>
  Effect.gen(function* () {
    for (const buffer of [NaN, 0, 1.5]) {
      const exit = yield* Effect.exit(Effect.scoped(Layer.build(layer({ tasks: { buffer } }))))
      expect(Exit.isFailure(exit) && Cause.squash(exit.cause)).toMatchObject({
        _tag: "Mistake",
        message: `tasks.buffer must be a whole number of events above zero, not ${buffer}.`,
      })
    }
  }))

describe("Subscriber", () => {
  it.effect("gives a sign of life every 15 seconds of silence, and no sooner", () =>
    Effect.gen(function* () {
      const subscriber = new Subscriber(4, "15 seconds")
      const next = yield* Effect.forkChild(subscriber.next, { startImmediately: true })
      yield* TestClock.adjust("14999 millis")
      expect(next.pollUnsafe()).toBeUndefined()
      yield* TestClock.adjust("1 millis")
      expect(yield* Fiber.join(next)).toBe(": still here\n\n")
    }))

  it.effect("drops the oldest, counts them, keeps the last and then ends", () =>
    Effect.gen(function* () {
      const subscriber = new Subscriber(2, "15 seconds")
      for (const frame of ["a", "b", "c", "d"]) subscriber.push(frame, frame === "d")
      subscriber.push("after the end", false)
      expect(yield* subscriber.next).toBe('event: gap\ndata: {"dropped":2}\n\ncd')
      expect(yield* subscriber.next).toBeUndefined()
    }))

  it.effect("wakes a waiting reader, and an interrupted one leaves nothing behind", () =>
    Effect.gen(function* () {
      const subscriber = new Subscriber(2, "15 seconds")
      const gone = yield* Effect.forkChild(subscriber.next, { startImmediately: true })
      yield* Fiber.interrupt(gone)
      const reader = yield* Effect.forkChild(subscriber.next, { startImmediately: true })
      subscriber.push("a", false)
      expect(yield* Fiber.join(reader)).toBe("a")
    }))
})

describe("GET /tasks", () => {
  it.live("pages through live tasks in the order of their start, also while some end", () =>
    Effect.gen(function* () {
      const ids: Array<string> = []
      for (let i = 0; i < 5; i++) ids.push(yield* startSlow)
      const first = yield* bodyOf(yield* get("/tasks?limit=2"))
      expect(first.tasks.map((task: { id: string }) => task.id)).toEqual(ids.slice(0, 2))
      expect(first.live).toBe(5)
      expect(first.tasks[0]).toMatchObject({ kind: "request", parentId: null, state: "running" })
      yield* textOf(yield* get(`/tasks/${ids[1]}`, {}, "DELETE"))
      const second = yield* bodyOf(yield* get(`/tasks?limit=2&cursor=${first.next}`))
      expect(second.tasks.map((task: { id: string }) => task.id)).toEqual(ids.slice(2, 4))
      const last = yield* bodyOf(yield* get(`/tasks?limit=2&cursor=${second.next}`))
      expect(last.tasks.map((task: { id: string }) => task.id)).toEqual(ids.slice(4))
      expect(last.next).toBeNull()
      for (const id of ids) yield* textOf(yield* get(`/tasks/${id}`, {}, "DELETE"))
    }).pipe(Effect.provide(layer())))

  it.live("filters by state, kind, beginning of the name and age", () =>
    Effect.gen(function* () {
      const { script } = yield* Desk
      const slow = yield* startSlow
      const running = yield* bodyOf(yield* send("/pooled", "respond-async"))
      const waiting = yield* bodyOf(yield* send("/pooled", "respond-async"))
      yield* until(() => script.begun === 2)
      const listed = (query: string) =>
        Effect.map(
          Effect.flatMap(get(`/tasks?${query}`), bodyOf),
          (page) => page.tasks.map((task: { id: string }) => task.id),
        )
      expect(yield* listed("state=waiting")).toEqual([waiting.id])
      expect(yield* listed("state=running&name=desk.pool")).toEqual([running.id])
      expect(yield* listed("kind=request&name=desk.slow")).toEqual([slow])
      expect(yield* listed("kind=actor")).toEqual([])
      expect(yield* listed("minAgeMs=3600000")).toEqual([])
      for (const id of [slow, running.id, waiting.id]) {
        yield* textOf(yield* get(`/tasks/${id}`, {}, "DELETE"))
      }
    }).pipe(Effect.provide(layer())))

  it.live.each([
    ["limit=0", "limit"],
    ["limit=501", "limit"],
    ["limit=ten", "limit"],
    ["state=lost", "state"],
    ["minAgeMs=-1", "minAgeMs"],
    ["cursor=abc", "cursor"],
    ["limit=1&limit=2", "limit"],
    ["colour=red", "colour"],
  ])("%s is a 400 that names it", ([query, name]) =>
    Effect.gen(function* () {
      const answer = yield* get(`/tasks?${query}`)
      expect(answer.status).toBe(400)
      expect(yield* bodyOf(answer)).toMatchObject({
        type: "urn:weir:problem:bad-request",
        errors: [{ path: ["query", name] }],
      })
    }).pipe(Effect.provide(layer())))
})

describe("/openapi.json", () => {
  it.live("describes these endpoints, and 202 where it can happen", () =>
    Effect.gen(function* () {
      const document = yield* bodyOf(yield* get("/openapi.json"))
      expect(Object.keys(document.paths)).toEqual(expect.arrayContaining([
        "/tasks",
        "/tasks/{id}",
        "/tasks/{id}/result",
        "/tasks/{id}/events",
        "/health/ready",
        "/saturation",
        "/metrics",
        "/slow",
      ]))
      expect(document.paths["/slow"].post.responses["202"].headers.Location).toBeDefined()
      expect(document.paths["/plain"].get.responses["202"]).toBeUndefined()
      expect(document.components.schemas.Task).toBeDefined()
    }).pipe(Effect.provide(layer())))
})
