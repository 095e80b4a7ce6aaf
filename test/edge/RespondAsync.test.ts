import { describe, expect, it } from "@effect/vitest"
import { Clock, Effect, Exit, Fiber, Layer, Queue, Schema, Stream } from "effect"
import { HttpServerResponse } from "effect/http"
import {
  HttpApi,
  HttpApiBuilder,
  HttpApiEndpoint,
  HttpApiGroup,
  HttpApiSchema,
} from "effect/http-api"
import { TestClock } from "effect/testing"
import { isRefusal } from "../../src/bounded/Refused.ts"
import * as Policy from "../../src/edge/Policy.ts"
import { parsePrefer } from "../../src/edge/prefer.ts"
import { type Place, type Result, ResultStore } from "../../src/edge/results.ts"
import * as Supervised from "../../src/edge/Supervised.ts"
import * as Service from "../../src/service/Service.ts"
import { bodyOf, Desk, get, layer, send, textOf, until } from "./support/desk.ts"

const later = "respond-async"
const ended = (path: string) =>
  Effect.flatMap(
    Desk,
    (desk) => until(() => desk.tree.unsafe.find(path.split("/")[2]!) === undefined),
  )
const held = Effect.map(Desk, ({ saturation }) => saturation.get("results")!.stats(0).inUse)

describe("Prefer: respond-async", () => {
  it.live("answers 202 with the task, and its result later as it was given", () =>
    Effect.gen(function* () {
      const { script, tree } = yield* Desk
      const accepted = yield* send("/slow", later)
      expect(accepted.status).toBe(202)
      expect(accepted.headers.get("preference-applied")).toBe("respond-async")
      expect(Number(accepted.headers.get("retry-after"))).toBeGreaterThanOrEqual(1)
      const location = accepted.headers.get("location")!
      const task = yield* bodyOf(accepted)
      expect(location).toBe(`/tasks/${task.id}`)
      expect(task).toMatchObject({ name: "desk.slow", state: "running", progress: null })
      const early = yield* get(`${location}/result`)
      expect(early.status).toBe(409)
      expect(yield* bodyOf(early)).toMatchObject({ type: "urn:weir:problem:not-finished" })
      yield* Queue.offer(script.steps, "end")
      yield* ended(location)
      const look = yield* bodyOf(yield* get(location))
      expect(look).toMatchObject({
        state: "ended",
        outcome: "completed",
        result: `${location}/result`,
      })
      const result = yield* get(look.result)
      expect(result.status).toBe(200)
      expect(result.headers.get("content-type")).toBe("application/json")
      expect(yield* bodyOf(result)).toEqual({ n: 7 })
      expect(yield* tree.size).toBe(0)
    }).pipe(Effect.provide(layer())))

  it.live("answers at once what is done at once, and keeps nothing of it", () =>
    Effect.gen(function* () {
      const response = yield* send("/quick", later)
      expect(response.status).toBe(200)
      expect(response.headers.get("preference-applied")).toBe("respond-async")
      expect(yield* bodyOf(response)).toEqual({ n: 7 })
      expect(yield* held).toBe(0)
    }).pipe(Effect.provide(layer())))

  it.live("answers directly what is done within the wait", () =>
    Effect.gen(function* () {
      const { script } = yield* Desk
      const client = yield* Effect.forkChild(send("/slow", "respond-async, wait=20"), {
        startImmediately: true,
      })
      yield* until(() => script.begun === 1)
      yield* Queue.offer(script.steps, "end")
      const response = yield* Fiber.join(client)
      expect(response.status).toBe(200)
      expect(response.headers.get("preference-applied")).toBe("wait=20")
      expect(yield* bodyOf(response)).toEqual({ n: 7 })
      yield* until(() => script.begun === 1)
      expect(yield* held).toBe(0)
    }).pipe(Effect.provide(layer())))

  it.live("answers 202 once the wait is over, which is never longer than the service allows", () =>
    Effect.gen(function* () {
      const { script } = yield* Desk
      const response = yield* send("/slow", "respond-async; x=1, wait=3600")
      expect(response.status).toBe(202)
      expect(response.headers.get("preference-applied")).toBe("respond-async, wait=1")
      yield* bodyOf(response)
      yield* Queue.offer(script.steps, "end")
    }).pipe(Effect.provide(layer({ async: { maxWait: "1 second" } }))))

  it.live("without the preference the endpoint answers as always", () =>
    Effect.gen(function* () {
      const response = yield* send("/quick")
      expect(response.status).toBe(200)
      expect(response.headers.get("preference-applied")).toBeNull()
      yield* bodyOf(response)
    }).pipe(Effect.provide(layer())))

  it.live("`always` answers 202 to everybody", () =>
    Effect.gen(function* () {
      const { script } = yield* Desk
      const response = yield* send("/always")
      expect(response.status).toBe(202)
      yield* bodyOf(response)
      yield* Queue.offer(script.steps, "end")
    }).pipe(Effect.provide(layer())))

  it.live("goes on when the client has left after the 202", () =>
    Effect.gen(function* () {
      const { port, script } = yield* Desk
      const location = yield* Effect.promise(async () => {
        const connection = await Deno.connect({ port })
        const body = '{"n":7}'
        await connection.write(new TextEncoder().encode(
          `POST /slow HTTP/1.1\r\nhost: localhost\r\nprefer: respond-async\r\n` +
            `content-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
        ))
        const buffer = new Uint8Array(4096)
        const size = await connection.read(buffer)
        connection.close()
        return /location: (\S+)/i.exec(new TextDecoder().decode(buffer.subarray(0, size!)))![1]!
      })
      yield* Queue.offer(script.steps, "end")
      yield* ended(location)
      expect(yield* bodyOf(yield* get(`${location}/result`))).toEqual({ n: 7 })
      expect(script.reasons).toEqual([])
    }).pipe(Effect.provide(layer())))

  it.live("a client that leaves before it was told where the task is cancels it", () =>
    Effect.gen(function* () {
      const { saturation, script, tree } = yield* Desk
      const client = yield* Effect.forkChild(Effect.exit(send("/slow", "respond-async, wait=20")), {
        startImmediately: true,
      })
      yield* until(() => script.begun === 1)
      yield* Fiber.interrupt(client)
      yield* tree.awaitEmpty
      expect(script.reasons).toEqual([{ _tag: "ClientAbort" }])
      yield* until(() => saturation.get("results")!.stats(0).inUse === 0)
    }).pipe(Effect.provide(layer())))

  it.live("a client that leaves while it sends the body cancels the task, which never runs", () =>
    Effect.gen(function* () {
      const { port, saturation, script, tree } = yield* Desk
      const connection = yield* Effect.promise(() => Deno.connect({ port }))
      yield* Effect.promise(() =>
        connection.write(new TextEncoder().encode(
          `POST /pooled HTTP/1.1\r\nhost: localhost\r\nprefer: respond-async\r\n` +
            `content-type: application/json\r\ncontent-length: 7\r\n\r\n{"n"`,
        ))
      )
      yield* until(() => tree.unsafe.live.size === 1)
      expect(saturation.get("slots")!.stats(0).waiting, "its ticket, taken at the door").toBe(1)
      connection.close()
      yield* tree.awaitEmpty
      expect(script.begun).toBe(0)
      expect(saturation.get("slots")!.stats(0).waiting).toBe(0)
      yield* until(() => saturation.get("results")!.stats(0).inUse === 0)
    }).pipe(Effect.provide(layer())))

  it.live("the deadline is the policy's, whatever the client would wait", () =>
    Effect.gen(function* () {
      const { script, tree } = yield* Desk
      const accepted = yield* send("/brief", later, { headers: { "request-timeout": "1" } })
      const { id, deadline, startedAt } = yield* bodyOf(accepted)
      expect(Date.parse(deadline) - Date.parse(startedAt)).toBe(50)
      yield* tree.awaitEmpty
      expect(script.reasons.map((reason) => reason?._tag)).toEqual(["DeadlineExceeded"])
      const result = yield* get(`/tasks/${id}/result`)
      expect(result.status).toBe(504)
      expect(yield* bodyOf(result)).toMatchObject({ type: "urn:weir:problem:deadline-exceeded" })
      expect(yield* bodyOf(yield* get(`/tasks/${id}`))).toMatchObject({ outcome: "cancelled" })
    }).pipe(Effect.provide(layer())))

  it.live("errors that the endpoint declares, defects, bad bodies and raw responses are answers", () =>
    Effect.gen(function* () {
      const taken = yield* send("/taken", later)
      expect(taken.status).toBe(409)
      expect(yield* bodyOf(taken)).toEqual({ _tag: "Taken", n: 7 })
      const dies = yield* send("/dies", later)
      expect(dies.status).toBe(500)
      const text = yield* textOf(dies)
      expect(text).toContain("urn:weir:problem:internal")
      expect(text).not.toContain("secret")
      const bad = yield* send("/quick", later, { body: '{"n":"x"}' })
      expect(bad.status).toBe(400)
      expect(yield* bodyOf(bad)).toMatchObject({ errors: [{ path: ["payload", "n"] }] })
      const large = yield* send("/quick", later, { body: "x".repeat(2_000_000) })
      expect(large.status).toBe(413)
      yield* textOf(large)
      const raw = yield* get("/raw", { prefer: later })
      expect(raw.status).toBe(203)
      expect(raw.headers.get("x-own")).toBe("yes")
      expect(raw.headers.get("content-type")).toBe("text/x-raw")
      expect(yield* textOf(raw)).toBe("raw bytes")
      expect(yield* held).toBe(0)
    }).pipe(Effect.provide(layer())))

  it.live("what the door refuses is answered at once, and its tickets are free again", () =>
    Effect.gen(function* () {
      const { saturation, script, tree } = yield* Desk
      const first = yield* bodyOf(yield* send("/pooled", later))
      const second = yield* bodyOf(yield* send("/pooled", later))
      expect((yield* bodyOf(yield* get(`/tasks/${second.id}`))).waitingOn).toBe("slots")
      const third = yield* send("/pooled", later)
      expect(third.status).toBe(503)
      expect(yield* bodyOf(third)).toMatchObject({ reason: "QueueFull", resource: "slots" })
      yield* Queue.offerAll(script.steps, ["end", "end"])
      yield* tree.awaitEmpty
      expect(saturation.get("slots")!.stats(0)).toMatchObject({ inUse: 0, waiting: 0 })
      expect(saturation.get("admission")!.stats(0).inUse).toBe(0)
      for (const { id } of [first, second]) {
        expect((yield* get(`/tasks/${id}/result`)).status).toBe(200)
      }
    }).pipe(Effect.provide(layer())))

  it.live("refuses at the door when no more results can be promised", () =>
    Effect.gen(function* () {
      const { script, tree } = yield* Desk
      const kept = yield* bodyOf(yield* send("/slow", later))
      const refused = yield* send("/slow", later)
      expect(refused.status).toBe(503)
      expect(yield* bodyOf(refused)).toMatchObject({ resource: "results", reason: "QueueFull" })
      yield* Queue.offer(script.steps, "end")
      yield* tree.awaitEmpty
      const head = yield* get(`/tasks/${kept.id}/result`, {}, "HEAD")
      expect([head.status, head.headers.get("cache-control")]).toEqual([200, "private, no-store"])
      expect((yield* send("/quick", later)).status, "unfetched, so still promised").toBe(503)
      expect(yield* bodyOf(yield* get(`/tasks/${kept.id}/result`))).toEqual({ n: 7 })
      expect((yield* send("/quick", later)).status).toBe(200)
      expect((yield* get(`/tasks/${kept.id}/result`)).status, "made room").toBe(404)
    }).pipe(Effect.provide(layer({ async: { count: 1 } }))))

  it.live("the task is cancelled with Shutdown when the service stops, and awaited", () =>
    Effect.gen(function* () {
      const seen = yield* Effect.scoped(Effect.gen(function* () {
        const context = yield* Layer.build(layer({ drain: { grace: "10 millis" } }))
        return yield* Effect.provide(
          Effect.gen(function* () {
            const { script } = yield* Desk
            yield* bodyOf(yield* send("/slow", later))
            yield* until(() => script.begun === 1)
            return script.reasons
          }),
          context,
        )
      }))
      expect(seen).toEqual([{ _tag: "Shutdown" }])
    }))
})

describe("the start", () => {
  const streaming = (endpoint: HttpApiEndpoint.Top) => {
    const Api = HttpApi.make("streams").add(HttpApiGroup.make("files").add(endpoint as never))
      .middleware(Supervised.Supervised)
    return Effect.scoped(Layer.build(Service.layer(Api as never, {
      handlers: HttpApiBuilder.group(
        Api as never,
        "files" as never,
        ((handlers: { handle: (name: string, handler: () => unknown) => unknown }) =>
          handlers.handle("file", () => Effect.succeed(Stream.empty))) as never,
      ) as never,
      resources: Layer.empty as never,
      server: { port: 0 },
    }))).pipe(Effect.exit)
  }
  const async = { async: "allowed" } as const

  it.live("fails with one sentence when a streamed result should be kept for later", () =>
    Effect.gen(function* () {
      const exit = yield* streaming(
        HttpApiEndpoint.get("file", "/file", { success: HttpApiSchema.StreamUint8Array() })
          .annotate(Policy.Policy, async) as never,
      )
      expect(Exit.isFailure(exit) && String(exit.cause)).toContain(
        'Policy of files.file: async is "allowed", but its result is a stream',
      )
    }))

  it.live("fails with one sentence when a streamed payload should be buffered", () =>
    Effect.gen(function* () {
      const exit = yield* streaming(
        HttpApiEndpoint.post("file", "/file", {
          payload: HttpApiSchema.StreamUint8Array(),
          success: Schema.String,
        }).annotate(Policy.Policy, async) as never,
      )
      expect(Exit.isFailure(exit) && String(exit.cause)).toContain("its payload is a stream")
    }))
})

describe("Prefer", () => {
  it.each([
    [null, false, undefined],
    ["respond-async", true, undefined],
    ["Respond-Async, WAIT=5", true, 5],
    ['wait="5"; foo, respond-async;bar=1', true, 5],
    ["return=minimal, wait=-1", false, undefined],
    ["wait=1.5, respond-asynchronously", false, undefined],
    ["wait=1, wait=2", false, 1],
  ])("%s", (header, respondAsync, wait) => {
    expect(parsePrefer(header)).toEqual({ respondAsync, wait })
  })
})

describe("ResultStore", () => {
  const bounds = { count: 3, totalBytes: 300, maxBytes: 100, ttlMs: 10_000, guaranteedMs: 1000 }
  const result = (id: string, endedAt: number, body = id): Result => ({
    id,
    name: "work",
    startedAt: 0,
    endedAt,
    outcome: "completed",
    cancelReason: undefined,
    owner: undefined,
    response: HttpServerResponse.text(body, { contentType: "t" }),
  })
  const promised = (store: ResultStore, now: number): Place => {
    const place = store.promise(now)
    if (isRefusal(place)) throw new Error(place.reason)
    return place
  }

  it.effect("forgets after the time to live", () =>
    Effect.gen(function* () {
      const store = new ResultStore(bounds)
      promised(store, 0).keep(result("a", yield* Clock.currentTimeMillis))
      yield* TestClock.adjust("9999 millis")
      expect(store.find("a", yield* Clock.currentTimeMillis)?.id).toBe("a")
      yield* TestClock.adjust("1 millis")
      expect(store.find("a", yield* Clock.currentTimeMillis)).toBeUndefined()
      expect(store.stats(10_000).inUse).toBe(0)
      expect(store.bytes).toBe(0)
    }))

  it("makes room by forgetting the oldest that was fetched or is past the guaranteed time", () => {
    const store = new ResultStore(bounds)
    for (const [at, id] of ["a", "b", "c"].entries()) promised(store, at).keep(result(id, at))
    const refused = store.promise(500)
    expect(refused).toMatchObject({ reason: "QueueFull", retryAfterMs: 500, inUse: 3 })
    store.fetch("b", 500)
    promised(store, 500).keep(result("d", 500))
    expect(["a", "b", "c", "d"].filter((id) => store.find(id, 500))).toEqual(["a", "c", "d"])
    promised(store, 1000)
    expect(["a", "c", "d"].filter((id) => store.find(id, 1000))).toEqual(["c", "d"])
    expect(store.stats(1000)).toMatchObject({ inUse: 3, capacity: 3, refused: { QueueFull: 1 } })
  })

  it("a promise counts with the largest size, so that what was promised always fits", () => {
    const store = new ResultStore({ ...bounds, count: 10 })
    const places = [promised(store, 0), promised(store, 0), promised(store, 0)]
    expect(isRefusal(store.promise(0))).toBe(true)
    for (const [i, place] of places.entries()) place.keep(result(`r${i}`, 0, "x".repeat(10)))
    expect(store.bytes).toBeLessThanOrEqual(300)
    expect(isRefusal(store.promise(0))).toBe(false)
  })

  it("replaces a result that is too large by a problem that says so", () => {
    const store = new ResultStore({ ...bounds, maxBytes: 100 })
    promised(store, 0).keep(result("a", 0, "x".repeat(101)))
    const { response } = store.find("a", 0)!
    expect(response.status).toBe(500)
    expect(response.body._tag === "Uint8Array" && response.body.text).toContain("result-too-large")
    expect(store.bytes).toBe(100)
  })

  it("a place is used once", () => {
    const store = new ResultStore(bounds)
    const place = promised(store, 0)
    place.release()
    place.release()
    place.keep(result("a", 0))
    expect(store.stats(0).inUse).toBe(0)
    expect(store.find("a", 0)).toBeUndefined()
  })

  it("bounds that contradict each other are one sentence", () => {
    expect(() => new ResultStore({ ...bounds, totalBytes: 50 })).toThrow(
      "One result may have 100 bytes, but all of them together only 50. Lower async.maxBytes or " +
        "raise async.totalBytes.",
    )
  })
})
