import { describe, expect, it, layer } from "@effect/vitest"
import { Effect, Fiber, Schedule } from "effect"
import * as TestLab from "../support/lab.ts"
import * as Wire from "../support/wire.ts"

/** Waits for a state of the service; polling, because sockets tell nobody. */
const eventually = <A>(look: Effect.Effect<A>, wanted: (value: A) => boolean) =>
  Effect.flatMap(
    Effect.repeat(look, {
      until: wanted,
      schedule: Schedule.max([Schedule.spaced("10 millis"), Schedule.recurs(1000)]),
    }),
    (value) => Effect.sync(() => expect(wanted(value), JSON.stringify(value)).toBe(true)),
  )

const idle = (lab: TestLab.Lab) =>
  Effect.gen(function* () {
    yield* eventually(lab.tree.size, (size) => size === 0)
    // What refuses on a busy machine tells of the machine. And a client may have its answer a moment
    // before the server has let go of its connection.
    yield* eventually(
      Effect.sync(() =>
        lab.saturation.snapshot(0).filter(({ name }) => name !== "event-loop" && name !== "memory")
      ),
      (stats) =>
        stats.length > 0 && stats.every(({ inUse, waiting }) => inUse === 0 && waiting === 0),
    )
  })

const get = (url: string, init?: RequestInit) =>
  Effect.promise(async () => {
    const response = await fetch(url, init)
    const text = await response.text()
    const json = response.headers.get("content-type")?.includes("json") ? JSON.parse(text) : text
    return { status: response.status, headers: response.headers, body: json }
  })

const post = (url: string, body: BodyInit, type = "application/json") =>
  get(url, { method: "POST", body, headers: { "content-type": type } })

describe("over real sockets", () => {
  it.live("a deadline that passes in a queue of which nothing is known is a 504", () =>
    Effect.gen(function* () {
      const lab = yield* TestLab.Lab
      const running = yield* Effect.forkChild(
        Effect.promise(() => fetch(`${lab.url}/query/0.6`).then((response) => response.text())),
        { startImmediately: true },
      )
      const database = () => lab.saturation.get("database")!.stats(0)
      yield* eventually(Effect.sync(() => database().inUse), (n) => n === 1)
      const { status, body } = yield* get(`${lab.url}/query/0.1`, {
        headers: { "request-timeout": "100" },
      })
      expect([status, body.type]).toEqual([504, "urn:weir:problem:deadline-exceeded"])
      expect(database()).toMatchObject({ inUse: 1, waiting: 0 })
      expect(lab.seen.queries).toBe(2)
      expect(lab.seen.reasons).toEqual(["query: DeadlineExceeded"])
      yield* Fiber.join(running)
      yield* idle(lab)
    }).pipe(Effect.provide(TestLab.layer({ connections: 1 }))))

  layer(TestLab.layer({ connections: 2 }), { excludeTestServices: true })((it) => {
    const reset = Effect.map(TestLab.Lab, (lab) => {
      lab.seen.reasons.length = 0
      return lab
    })

    /** Fills both connections of the pool for half a second. */
    const occupy = (lab: TestLab.Lab) =>
      Effect.promise(() =>
        Promise.all([0, 1].map(() => fetch(`${lab.url}/query/0.6`).then((r) => r.text())))
      )

    it.effect("a client that leaves while queued never starts a query and frees its place", () =>
      Effect.gen(function* () {
        const lab = yield* reset
        const busy = yield* Effect.forkChild(occupy(lab), { startImmediately: true })
        yield* eventually(
          Effect.sync(() => lab.saturation.get("database")!.stats(0).inUse),
          (n) => n === 2,
        )
        const before = lab.seen.queries
        const controller = new AbortController()
        const queued = fetch(`${lab.url}/query/0.1`, { signal: controller.signal }).catch(() =>
          "left"
        )
        yield* eventually(
          Effect.sync(() => lab.saturation.get("database")!.stats(0).waiting),
          (n) => n === 1,
        )
        controller.abort()
        yield* eventually(
          Effect.sync(() => lab.saturation.get("database")!.stats(0).waiting),
          (n) => n === 0,
        )
        expect(yield* Effect.promise(() => queued)).toBe("left")
        expect(lab.seen.reasons).toEqual(["query: ClientAbort"])
        expect(lab.seen.queries).toBe(before + 1)
        yield* Effect.promise(() => Promise.resolve(busy))
        yield* idle(lab)
      }))

    it.effect("a client that leaves while its query runs ends the query on the server", () =>
      Effect.gen(function* () {
        const lab = yield* reset
        const controller = new AbortController()
        const running = fetch(`${lab.url}/query/30`, {
          signal: controller.signal,
        }).catch(() => "left")
        yield* eventually(lab.tree.size, (n) => n === 1)
        yield* eventually(
          Effect.sync(() => lab.saturation.get("database")!.stats(0).inUse),
          (n) => n === 1,
        )
        controller.abort()
        yield* Effect.promise(() => running)
        yield* idle(lab)
        expect(lab.seen.reasons).toEqual(["query: ClientAbort"])
      }))

    it.effect("a client that leaves while a body streams ends the stream with the reason", () =>
      Effect.gen(function* () {
        const lab = yield* reset
        const wire = yield* Wire.connect(lab.port)
        yield* wire.send("GET /stream HTTP/1.1\r\nhost: x\r\nrequest-timeout: 1000\r\n\r\n")
        yield* wire.readUntil("\u0000\u0000\u0000")
        expect(yield* lab.tree.size).toBe(1)
        yield* wire.close
        yield* idle(lab)
        expect(lab.seen.reasons).toEqual(["stream: ClientAbort"])
      }))

    it.effect("a wait that is known to be too long is refused at once", () =>
      Effect.gen(function* () {
        const lab = yield* reset
        yield* Effect.forkChild(occupy(lab), { startImmediately: true })
        yield* eventually(
          Effect.sync(() => lab.saturation.get("database")!.stats(0).inUse),
          (n) => n === 2,
        )
        const { status, body } = yield* get(`${lab.url}/query/0.1`, {
          headers: { "request-timeout": "150" },
        })
        expect([status, body.type]).toEqual([503, "urn:weir:problem:refused"])
        yield* idle(lab)
      }))

    it.effect("a deadline that passes while a query runs is a 504 and ends the query", () =>
      Effect.gen(function* () {
        const lab = yield* reset
        const { status, body } = yield* get(`${lab.url}/query/30`, {
          headers: { "request-timeout": "150" },
        })
        expect(status).toBe(504)
        expect(body).toMatchObject({ type: "urn:weir:problem:deadline-exceeded", status: 504 })
        yield* idle(lab)
        expect(lab.seen.reasons).toEqual(["query: DeadlineExceeded"])
      }))

    it.effect("a deadline that passes while a body streams breaks the transfer", () =>
      Effect.gen(function* () {
        const lab = yield* reset
        const broken = yield* Effect.promise(async () => {
          const response = await fetch(`${lab.url}/stream`, {
            headers: { "request-timeout": "200" },
          })
          expect(response.status).toBe(200)
          return response.arrayBuffer().then(() => "whole", () => "broken")
        })
        // Never a short body that looks whole.
        expect(broken).toBe("broken")
        yield* idle(lab)
        expect(lab.seen.reasons).toEqual(["stream: DeadlineExceeded"])
      }))

    it.effect("a defect is a 500 that says nothing about its insides", () =>
      Effect.gen(function* () {
        const lab = yield* reset
        const { status, body, headers } = yield* get(`${lab.url}/defect`)
        expect(status).toBe(500)
        expect(headers.get("content-type")).toBe("application/problem+json")
        expect(JSON.stringify(body)).not.toMatch(/secret|\.ts|at /)
        yield* idle(lab)
      }))

    it.effect("a finalizer that throws leaks nothing and fails only its own request", () =>
      Effect.gen(function* () {
        const lab = yield* reset
        const { status, body } = yield* get(`${lab.url}/finalizer/throws`)
        expect(status).toBe(500)
        expect(JSON.stringify(body)).not.toMatch(/secret/)
        expect((yield* get(`${lab.url}/fast`)).status).toBe(200)
        yield* idle(lab)
      }))

    it.effect("a finalizer that hangs does not hold up the answer, and stays visible", () =>
      Effect.gen(function* () {
        const lab = yield* reset
        const started = performance.now()
        const { status } = yield* get(`${lab.url}/finalizer/hangs`, {
          headers: { "request-timeout": "150" },
        })
        expect(status).toBe(504)
        expect(performance.now() - started).toBeLessThan(1500)
        expect(yield* lab.tree.size).toBe(1)
        yield* eventually(lab.tree.dump, (tasks) => tasks[0]?.state === "abandoned")
        const counts = yield* lab.tree.counts
        expect(counts.abandoned).toBe(1)
        yield* idle(lab)
      }))

    it.effect("malformed JSON, wrong types and unknown types of body are 4xx problems", () =>
      Effect.gen(function* () {
        const lab = yield* reset
        const malformed = yield* post(`${lab.url}/echo`, "{")
        expect(malformed.status).toBe(400)
        expect(malformed.body.errors[0].path).toEqual(["payload"])
        const wrong = yield* post(`${lab.url}/echo`, JSON.stringify({ name: 1, count: 1.5 }))
        expect(wrong.status).toBe(400)
        expect(wrong.body.errors[0].path).toEqual(["payload", "name"])
        const overflow = yield* post(`${lab.url}/echo`, `{"name":"a","count":1e400}`)
        expect(overflow.status).toBe(400)
        const text = yield* post(`${lab.url}/echo`, "hello", "text/plain")
        expect(text.status).toBe(415)
        expect(text.body.type).toBe("urn:weir:problem:unsupported-media-type")
      }))

    it.effect("NaN, infinity and overflow in a parameter are named in a 400", () =>
      Effect.gen(function* () {
        const lab = yield* reset
        for (const bad of ["NaN", "Infinity", "1e999", "abc", "-1", "61"]) {
          const { status, body } = yield* get(`${lab.url}/query/${bad}`)
          expect(status, bad).toBe(400)
          expect(body.errors[0].path, bad).toEqual(["params", "seconds"])
        }
      }))

    it.effect("a path that does not exist is 404, a method it lacks 405 with Allow", () =>
      Effect.gen(function* () {
        const lab = yield* reset
        const missing = yield* get(`${lab.url}/nope`)
        expect(missing.status).toBe(404)
        expect(missing.body.type).toBe("urn:weir:problem:not-found")
        const wrong = yield* get(`${lab.url}/echo`, { method: "DELETE" })
        expect(wrong.status).toBe(405)
        expect(wrong.headers.get("allow")).toBe("POST")
        expect(wrong.body.type).toBe("urn:weir:problem:method-not-allowed")
      }))

    it.effect("100 MB of body is refused before it is read", () =>
      Effect.gen(function* () {
        const lab = yield* reset
        const wire = yield* Wire.connect(lab.port)
        yield* wire.send(
          "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n" +
            `content-length: ${100 * 1024 * 1024}\r\n\r\n{`,
        )
        const answer = yield* wire.readUntil("payload-too-large")
        expect(answer).toMatch(/^HTTP\/1.1 413 /)
        yield* idle(lab)
      }))

    it.effect("100 MB of body without a length is refused at the limit", () =>
      Effect.gen(function* () {
        const lab = yield* reset
        const wire = yield* Wire.connect(lab.port)
        yield* wire.send(
          "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n" +
            "transfer-encoding: chunked\r\n\r\n",
        )
        const chunk = new TextEncoder().encode(`10000\r\n${"x".repeat(0x10000)}\r\n`)
        const flood = Effect.forEach(Array.from({ length: 1600 }), () => wire.send(chunk), {
          discard: true,
        })
        const answer = yield* Effect.raceFirst(
          wire.readUntil("payload-too-large"),
          Effect.andThen(flood, Effect.never),
        )
        expect(answer).toMatch(/^HTTP\/1.1 413 /)
        yield* idle(lab)
      }))

    it.effect("1 MB of headers is refused by the platform and starts no task", () =>
      Effect.gen(function* () {
        const lab = yield* reset
        const counts = yield* lab.tree.counts
        const answer = yield* Wire.exchange(
          lab.port,
          `GET /fast HTTP/1.1\r\nhost: x\r\nx-big: ${"x".repeat(1024 * 1024)}\r\n\r\n`,
        )
        expect(answer).toMatch(/^HTTP\/1.1 4(00|31) |^$/)
        expect(yield* lab.tree.counts).toEqual(counts)
        expect((yield* get(`${lab.url}/fast`)).status).toBe(200)
      }))

    it.effect("a slow sender of headers costs no task", () =>
      Effect.gen(function* () {
        const lab = yield* reset
        const counts = yield* lab.tree.counts
        const wire = yield* Wire.connect(lab.port)
        yield* wire.send("GET /fast HTTP/1.1\r\nhost: x\r\nx-slow: ")
        expect((yield* get(`${lab.url}/nope`)).status).toBe(404)
        expect(yield* lab.tree.counts).toEqual(counts)
        expect(yield* lab.tree.size).toBe(0)
      }))

    it.effect("a slow sender of a body has until the deadline", () =>
      Effect.gen(function* () {
        const lab = yield* reset
        const wire = yield* Wire.connect(lab.port)
        yield* wire.send(
          "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n" +
            'request-timeout: 200\r\ncontent-length: 1000\r\n\r\n{"na',
        )
        const answer = yield* wire.readUntil("urn:weir:problem")
        expect(answer).toMatch(/^HTTP\/1.1 504 /)
        yield* idle(lab)
      }))

    it.effect("pipelined requests are answered in order", () =>
      Effect.gen(function* () {
        const lab = yield* reset
        const wire = yield* Wire.connect(lab.port)
        const one = "GET /fast HTTP/1.1\r\nhost: x\r\n\r\n"
        yield* wire.send(
          `GET /query/0.1 HTTP/1.1\r\nhost: x\r\n\r\n${one}${one.replace("/fast", "/nope")}`,
        )
        const answer = yield* wire.readUntil("urn:weir:problem:not-found")
        expect(answer.match(/HTTP\/1.1 (\d+)/g)).toEqual([
          "HTTP/1.1 200",
          "HTTP/1.1 200",
          "HTTP/1.1 404",
        ])
        expect(answer.indexOf("slept")).toBeLessThan(answer.indexOf("fast"))
        yield* idle(lab)
      }))

    it.effect("a half-closed connection leaves nothing behind", () =>
      Effect.gen(function* () {
        const lab = yield* reset
        const wire = yield* Wire.connect(lab.port)
        yield* wire.send("GET /query/0.1 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        yield* wire.halfClose
        const answer = yield* wire.readUntil()
        expect(answer).toMatch(/^HTTP\/1.1 200 |^$/)
        yield* idle(lab)
      }))

    it.effect("garbage instead of HTTP starts no task", () =>
      Effect.gen(function* () {
        const lab = yield* reset
        const counts = yield* lab.tree.counts
        const answer = yield* Wire.exchange(lab.port, "\u0016\u0003\u0001 this is not HTTP\r\n\r\n")
        expect(answer).toMatch(/^HTTP\/1.1 400 |^$/)
        expect(yield* lab.tree.counts).toEqual(counts)
      }))
  })
})
