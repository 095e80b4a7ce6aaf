import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Redacted } from "effect"
import * as TestDatabase from "../../support/database.ts"
import * as Process from "../../support/process.ts"
import { begin, busy, closeGate, tally } from "./support.ts"

describe("a supervisor that gives up", () => {
  it.live("ends the service: what is in flight is answered, one sentence, exit code 1", () =>
    Effect.gen(function* () {
      const url = yield* TestDatabase.url
      const openGate = yield* closeGate(url)
      const service = yield* Process.service(url, { FIXTURE_GIVES_UP: "later" })
      const answers = yield* begin(service, 5, "/query/0.05")
      yield* Process.eventually(busy(service), (n) => n === 5)
      expect(yield* Process.get(service, "/fast")).toMatchObject({ status: 200 })

      yield* Process.eventually(Process.accepts(service.port), (open) => !open)
      expect(service.ended()).toBe(false)
      expect(service.out()).toBe("idle: ParentEnded\n")
      yield* openGate
      expect(tally(yield* Fiber.join(answers))).toEqual({ "200": 5 })
      expect(yield* service.exit).toBe(1)
      expect(service.out().trim().split("\n")).toEqual([
        "idle: ParentEnded",
        ...Array.from({ length: 5 }, () => "ended: query"),
        "closed: handlers",
        "closed: resources",
        "closed: database",
      ])
      expect(service.err().match(/Restart \d follows now/g)).toEqual([
        "Restart 1 follows now",
        "Restart 2 follows now",
        "Restart 3 follows now",
      ])
      expect(service.err().trim().split("\n").at(-1)).toBe(
        'Stopped: supervisor "background" gave up: child "poller" failed 4 times within 5 s ' +
          "(no disk). Mend what fails, or allow more restarts.",
      )
    }))

  it.live("ends a service that is still starting as well", () =>
    Effect.gen(function* () {
      const process = yield* Process.start("service", {
        PORT: "0",
        DATABASE_URL: Redacted.value(yield* TestDatabase.url),
        FIXTURE_GIVES_UP: "now",
      })
      expect(yield* process.exit).toBe(1)
      expect(process.err().trim().split("\n").at(-1)).toMatch(
        /^Stopped: supervisor "background" gave up: child "poller" failed 4 times within 5 s/,
      )
      expect(process.out()).toContain("closed: resources\nclosed: database\n")
    }))
})
