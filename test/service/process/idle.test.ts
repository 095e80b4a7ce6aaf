import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import * as TestDatabase from "../../support/database.ts"
import * as Process from "../../support/process.ts"
import * as Wire from "../../support/wire.ts"
import { begin, closeGate, tally } from "./support.ts"

/** SIGTERM, with much more grace than this may take. */
const stops = (service: Process.Service) =>
  Effect.gen(function* () {
    yield* service.signal("SIGTERM")
    yield* stopped(service)
  })

const stopped = (service: Process.Service) =>
  Effect.gen(function* () {
    yield* Process.eventually(Effect.sync(() => service.ended()), (ended) => ended, 8)
    expect(yield* service.exit).toBe(0)
    expect(service.err()).toMatch(/Drained: \d+ in flight, 0 cancelled, 0 abandoned/)
  })

const head = (path: string) => `GET ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\n`

describe("a drain does not wait for", () => {
  it.live("a connection that is kept alive and idle", () =>
    Effect.gen(function* () {
      const service = yield* Process.service(yield* TestDatabase.url)
      const wire = yield* Wire.connect(service.port)
      yield* wire.send(`${head("/fast")}\r\n`)
      yield* wire.readUntil("fast")
      yield* stops(service)
    }))

  it.live("a connection on which nothing was ever sent", () =>
    Effect.gen(function* () {
      const service = yield* Process.service(yield* TestDatabase.url)
      yield* Wire.connect(service.port)
      expect((yield* Process.get(service, "/fast")).status).toBe(200)
      yield* stops(service)
    }))

  it.live("a slow sender of headers", () =>
    Effect.gen(function* () {
      const service = yield* Process.service(yield* TestDatabase.url)
      const wire = yield* Wire.connect(service.port)
      yield* wire.send(`${head("/fast")}x-slow: `)
      expect((yield* Process.get(service, "/fast")).status).toBe(200)
      yield* stops(service)
    }))

  it.live("who follows the events of a task, once that has ended", () =>
    Effect.gen(function* () {
      const url = yield* TestDatabase.url
      const openGate = yield* closeGate(url)
      const service = yield* Process.service(url)
      const answers = yield* begin(service, 1, "/query/0")
      const { body } = yield* Process.eventually(
        Process.get(service, "/tasks"),
        ({ body }) => body.includes("fixture.query"),
      )
      const id = /"id":"([^"]+)"/.exec(body)?.[1]
      // One that reads and one that does not.
      const wires = yield* Effect.all([Wire.connect(service.port), Wire.connect(service.port)])
      for (const wire of wires) yield* wire.send(`${head(`/tasks/${id}/events`)}\r\n`)
      expect(yield* wires[0].readUntil("data:")).toMatch(/^HTTP\/1.1 200 /)
      yield* service.signal("SIGTERM")
      yield* Process.wrote(service, "err", "Draining")
      yield* openGate
      expect(tally(yield* Fiber.join(answers))).toEqual({ "200": 1 })
      yield* stopped(service)
    }))
})
