import { describe, expect, it } from "@effect/vitest"
import {
  Clock,
  ConfigProvider,
  Context,
  Deferred,
  Effect,
  Fiber,
  Layer,
  Queue,
  Redacted,
} from "effect"
import { TestClock } from "effect/testing"
import * as Refused from "../../src/bounded/Refused.ts"
import * as Health from "../../src/edge/Health.ts"
import { CancelScope, CurrentScope, root } from "../../src/task/scope.ts"
import { bodyOf, Desk, get, layer, send, textOf, until } from "./support/desk.ts"

const health = (options: Health.Options<never>) =>
  Effect.map(Layer.build(Health.layer(options)), (context) => Context.get(context, Health.Health))

const refused = (reason: Refused.Reason) =>
  Effect.fail(Refused.fromRefusal({
    _tag: "Refusal",
    reason,
    kind: "pool",
    resource: "database",
    inUse: 1,
    capacity: 1,
    waiting: 1,
    predictedWaitMs: 1,
    retryAfterMs: 1,
  }))

describe("/health", () => {
  it.live("is live and ready, with HEAD, without being counted as a request", () =>
    Effect.gen(function* () {
      const { saturation, tree } = yield* Desk
      expect(yield* bodyOf(yield* get("/health/live"))).toEqual({ status: "live" })
      const ready = yield* get("/health/ready")
      expect(ready.status).toBe(200)
      expect(yield* bodyOf(ready)).toEqual({ status: "ready", checks: { always: "ok" } })
      const head = yield* get("/health/ready", {}, "HEAD")
      expect([head.status, yield* textOf(head)]).toEqual([200, ""])
      expect(saturation.get("admission")!.stats(0).highWater).toBe(0)
      expect((yield* tree.counts).started["request"]).toBeUndefined()
    }).pipe(Effect.provide(layer({ health: { checks: { always: Effect.void } } }))))

  it.live("names the check that fails, and tells nothing else", () =>
    Effect.gen(function* () {
      const ready = yield* get("/health/ready")
      expect(ready.status).toBe(503)
      const text = yield* textOf(ready)
      expect(JSON.parse(text)).toMatchObject({
        type: "urn:weir:problem:not-ready",
        state: "failing",
        detail: "database failed.",
        checks: { database: "failed", cache: "ok" },
      })
      expect(text).not.toContain("10.0.0.7")
      expect((yield* get("/health/live")).status).toBe(200)
    }).pipe(Effect.provide(layer({
      health: {
        checks: { database: Effect.fail(new Error("10.0.0.7 refused")), cache: Effect.void },
      },
    }))))

  it.live("a saturated service stays ready", () =>
    Effect.gen(function* () {
      const { script, tree } = yield* Desk
      const busy = yield* Effect.forkChild(get("/hold"), { startImmediately: true })
      yield* until(() => script.begun === 1)
      const queued = yield* Effect.forkChild(get("/hold"), { startImmediately: true })
      yield* until(() => tree.unsafe.live.size === 2)
      const full = yield* get("/hold")
      expect(full.status).toBe(503)
      yield* textOf(full)
      expect((yield* get("/health/ready")).status).toBe(200)
      yield* Queue.offerAll(script.steps, ["end", "end"])
      for (const client of [busy, queued]) yield* textOf(yield* Fiber.join(client))
    }).pipe(Effect.provide(layer({ health: { checks: { always: Effect.void } } }))))

  it.live("turns off at once when the service drains, while requests in flight finish", () =>
    Effect.gen(function* () {
      const stop = yield* Deferred.make<void>()
      const started = yield* Deferred.make<Desk>()
      const service = yield* Effect.forkChild(
        Effect.scoped(Effect.gen(function* () {
          const context = yield* Layer.build(layer({ drain: { readinessDelay: "2 seconds" } }))
          yield* Deferred.succeed(started, Context.get(context, Desk))
          yield* Deferred.await(stop)
        })),
        { startImmediately: true },
      )
      const desk = yield* Deferred.await(started)
      const ready = Effect.provideService(get("/health/ready"), Desk, desk)
      expect((yield* ready).status).toBe(200)
      yield* Deferred.succeed(stop, undefined)
      let answer = yield* ready
      while (answer.status === 200) answer = yield* ready
      expect(yield* bodyOf(answer)).toMatchObject({ state: "draining" })
      yield* Fiber.await(service)
    }))
})

describe("Health", () => {
  it.effect("runs the checks at most once per second, and once for many probes", () =>
    Effect.gen(function* () {
      let runs = 0
      const gate = yield* Deferred.make<void>()
      const subject = yield* health({
        checks: {
          one: Effect.suspend(() => {
            runs++
            return Deferred.await(gate)
          }),
        },
      })
      const probes = yield* Effect.forEach(
        [1, 2, 3],
        () => Effect.forkChild(subject.readiness, { startImmediately: true }),
      )
      yield* Deferred.succeed(gate, undefined)
      for (const probe of probes) expect((yield* Fiber.join(probe)).ready).toBe(true)
      expect(runs).toBe(1)
      yield* TestClock.adjust("999 millis")
      yield* subject.readiness
      expect(runs).toBe(1)
      yield* TestClock.adjust("1 millis")
      yield* subject.readiness
      expect(runs).toBe(2)
    }).pipe(Effect.scoped))

  it.effect("a check that was cancelled before it began does not count as hanging", () =>
    Effect.gen(function* () {
      const subject = yield* health({ checks: { one: Effect.void } })
      const late = new CancelScope(root, 0, undefined, undefined, undefined)
      const probe = Effect.provideService(subject.readiness, CurrentScope, late)
      expect((yield* probe).ready).toBe(false)
      yield* TestClock.adjust("1 second")
      expect(yield* subject.readiness).toEqual({ ready: true, checks: { one: "ok" } })
    }).pipe(Effect.scoped))

  it.effect("a check that hangs is given up, and not started again while it still hangs", () =>
    Effect.gen(function* () {
      let runs = 0
      const letGo = yield* Deferred.make<void>()
      const subject = yield* health({
        checks: {
          stuck: Effect.suspend(() => {
            runs++
            return Effect.uninterruptible(Deferred.await(letGo))
          }),
        },
        timeout: "2 seconds",
      })
      const probe = Effect.gen(function* () {
        const fiber = yield* Effect.forkChild(subject.readiness, { startImmediately: true })
        yield* TestClock.adjust("4 seconds")
        return yield* Fiber.join(fiber)
      })
      expect(yield* probe).toEqual({ ready: false, checks: { stuck: "timed out" } })
      expect(yield* probe).toEqual({ ready: false, checks: { stuck: "timed out" } })
      expect(runs).toBe(1)
      yield* Deferred.succeed(letGo, undefined)
      yield* TestClock.adjust("4 seconds")
      expect((yield* probe).ready).toBe(true)
      expect(runs).toBe(2)
      expect(yield* Clock.currentTimeMillis).toBe(16_000)
    }).pipe(Effect.scoped))

  it.effect("a refusal for want of capacity passes, a closed pool does not", () =>
    Effect.gen(function* () {
      const subject = yield* health({
        checks: { full: refused("QueueFull"), closed: refused("Closed") },
      })
      expect(yield* subject.readiness).toEqual({
        ready: false,
        checks: { full: "ok", closed: "failed" },
      })
    }).pipe(Effect.scoped))

  it.effect("tells those who asked when it drains, once", () =>
    Effect.gen(function* () {
      const subject = yield* health({})
      const told: Array<string> = []
      subject.onDrain(() => told.push("first"))
      subject.onDrain(() => told.push("gone"))()
      subject.drain()
      subject.drain()
      subject.onDrain(() => told.push("late"))
      expect(told).toEqual(["first", "late"])
      expect(subject.draining()).toBe(true)
      expect((yield* subject.readiness).ready).toBe(false)
    }).pipe(Effect.scoped))
})

describe("/saturation and /metrics", () => {
  it.live("list every bounded construct of the service", () =>
    Effect.gen(function* () {
      const answer = yield* bodyOf(yield* get("/saturation"))
      const names = answer.bounded.map((one: { name: string }) => one.name)
      expect(names.sort()).toEqual([
        "admission",
        "dead-letters",
        "event-loop",
        "events",
        "memory",
        "results",
        "slots",
      ])
      for (const one of answer.bounded) {
        expect(one).toMatchObject({
          kind: expect.any(String),
          capacity: expect.any(Number),
          inUse: 0,
          waiting: 0,
          oldestWaitMs: 0,
          predictedWaitMs: 0,
          refused: expect.objectContaining({ QueueFull: 0 }),
        })
      }
    }).pipe(Effect.provide(layer())))

  it.live("give Prometheus its text", () =>
    Effect.gen(function* () {
      yield* textOf(yield* send("/quick"))
      const answer = yield* get("/metrics")
      expect(answer.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8")
      const text = yield* textOf(answer)
      expect(text).toMatch(/weir_requests_total\{endpoint="desk.quick",method="POST".*\} 1\n/)
      expect(text).toContain('name="results"')
    }).pipe(Effect.provide(layer())))
})

const token = { operators: { token: Redacted.make("sesame") } }
const local: Record<string, string> = {}

describe("operators", () => {
  it.live.each([
    { why: "a local request without a token", options: {}, headers: local, status: 200 },
    {
      why: "a local request through a proxy (Forwarded)",
      options: {},
      headers: { forwarded: "for=192.0.2.1" },
      status: 403,
    },
    {
      why: "a local request through a proxy (X-Forwarded-For)",
      options: {},
      headers: { "x-forwarded-for": "192.0.2.1" },
      status: 403,
    },
    {
      why: "a local request for a rebound name",
      options: {},
      headers: { host: "evil.example" },
      status: 403,
    },
    { why: "no token where one is needed", options: token, headers: local, status: 401 },
    {
      why: "the wrong token",
      options: token,
      headers: { authorization: "Bearer sesam" },
      status: 401,
    },
    {
      why: "the right token in the wrong scheme",
      options: token,
      headers: { authorization: "Basic sesame" },
      status: 401,
    },
    {
      why: "the right token",
      options: token,
      headers: { authorization: "bearer sesame" },
      status: 200,
    },
    {
      why: "the right token through a proxy",
      options: token,
      headers: { authorization: "Bearer sesame", "x-forwarded-for": "192.0.2.1" },
      status: 200,
    },
    {
      why: "no token on an address that others can reach",
      options: { server: { hostname: "0.0.0.0" } },
      headers: local,
      status: 403,
    },
    {
      why: "the right token on an address that others can reach",
      options: { ...token, server: { hostname: "0.0.0.0" } },
      headers: { authorization: "Bearer sesame" },
      status: 200,
    },
  ])("$why: $status", ({ options, headers, status }) =>
    Effect.gen(function* () {
      const { port } = yield* Desk
      for (const path of ["/tasks", "/saturation", "/metrics"]) {
        // By hand, because fetch does not let its caller choose the host.
        const text = yield* Effect.promise(async () => {
          const connection = await Deno.connect({ hostname: "127.0.0.1", port })
          const lines = Object.entries({
            host: `127.0.0.1:${port}`,
            connection: "close",
            ...headers,
          })
            .map(([name, value]) => `${name}: ${value}\r\n`).join("")
          await connection.write(new TextEncoder().encode(`GET ${path} HTTP/1.1\r\n${lines}\r\n`))
          return await new Response(connection.readable).text()
        })
        expect(text.split(" ")[1], path).toBe(String(status))
        if (status === 401) expect(text).toMatch(/www-authenticate: Bearer realm="operators"/i)
        if (status === 403) expect(text).toContain("Set WEIR_OPERATOR_TOKEN")
      }
      for (const path of ["/health/live", "/health/ready", "/plain"]) {
        expect((yield* get(path)).status, "open to everybody").toBe(200)
      }
    }).pipe(Effect.provide(layer(options))))

  it.live("reads the token from the environment; an empty one is none", () =>
    Effect.gen(function* () {
      const status = (value: string) =>
        Effect.flatMap(get("/tasks"), (response) => Effect.as(textOf(response), response.status))
          .pipe(
            Effect.provide(layer()),
            Effect.provideService(
              ConfigProvider.ConfigProvider,
              ConfigProvider.fromEnv({ env: { WEIR_OPERATOR_TOKEN: value } }),
            ),
          )
      expect(yield* status("sesame")).toBe(401)
      expect(yield* status("")).toBe(200)
    }))
})
