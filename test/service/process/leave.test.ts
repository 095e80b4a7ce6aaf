import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import * as TestDatabase from "../../support/database.ts"
import * as Process from "../../support/process.ts"
import { valueOf } from "../../support/prometheus.ts"
import * as Wire from "../../support/wire.ts"
import { live } from "./support.ts"

const cancelled = (service: Process.Service, endpoint: string, reason: string) =>
  Effect.map(Process.get(service, "/metrics"), ({ body }) => {
    const labels = { endpoint: `fixture.${endpoint}`, outcome: "cancelled", reason }
    return valueOf(body, "weir_requests_total", labels) ?? 0
  })

describe("a client that is in the way", () => {
  it.live("leaves while it sends its body: counts as ClientAbort, not as a failure", () =>
    Effect.gen(function* () {
      const service = yield* Process.service(yield* TestDatabase.url)
      for (
        const framing of ["content-length: 100\r\n\r\n", "transfer-encoding: chunked\r\n\r\n5\r\n"]
      ) {
        const before = yield* cancelled(service, "order", "ClientAbort")
        const wire = yield* Wire.connect(service.port)
        yield* wire.send(
          `POST /order HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n${framing}{"no`,
        )
        yield* Process.eventually(live(service), (n) => n === 1)
        yield* wire.close
        yield* Process.eventually(live(service), (n) => n === 0)
        expect(yield* cancelled(service, "order", "ClientAbort")).toBe(before + 1)
      }
    }))

  it.live("does not read its answer: the deadline breaks the transfer and ends the task", () =>
    Effect.gen(function* () {
      const service = yield* Process.service(yield* TestDatabase.url)
      const wire = yield* Wire.connect(service.port)
      yield* wire.send("GET /stream HTTP/1.1\r\nhost: x\r\nrequest-timeout: 300\r\n\r\n")
      yield* Process.eventually(live(service), (n) => n === 1)
      yield* Process.eventually(live(service), (n) => n === 0)
      expect(yield* cancelled(service, "stream", "DeadlineExceeded")).toBe(1)
      // No end of the chunks: nobody takes it for the whole.
      expect(yield* wire.readUntil()).not.toContain("\r\n0\r\n\r\n")
    }))

  it.live("does not read its answer and leaves: the task ends with ClientAbort", () =>
    Effect.gen(function* () {
      const service = yield* Process.service(yield* TestDatabase.url)
      const wire = yield* Wire.connect(service.port)
      yield* wire.send("GET /stream HTTP/1.1\r\nhost: x\r\n\r\n")
      yield* Process.eventually(live(service), (n) => n === 1)
      yield* wire.close
      yield* Process.eventually(live(service), (n) => n === 0)
      expect(yield* cancelled(service, "stream", "ClientAbort")).toBe(1)
    }))
})
