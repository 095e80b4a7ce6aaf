import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import * as TestDatabase from "../../support/database.ts"
import * as Process from "../../support/process.ts"
import { active, begin, busy, closeGate, live, sessions, tally } from "./support.ts"

const lines = (process: Process.Process) => process.out().trim().split("\n")

describe("SIGTERM with 50 requests in flight", () => {
  it.live("turns readiness off at once, answers all 50, closes every layer in order, exits 0", () =>
    Effect.gen(function* () {
      const url = yield* TestDatabase.url
      const openGate = yield* closeGate(url)
      const service = yield* Process.service(url, { FIXTURE_READINESS_DELAY_MS: "1000" })
      expect((yield* Process.get(service, "/health/ready")).status).toBe(200)
      const answers = yield* begin(service, 50, "/query/0.2")
      yield* Process.eventually(busy(service), (n) => n === 50)

      yield* service.signal("SIGTERM")
      // The very first answer after the announcement; who looks at balancers sees it too.
      yield* Process.wrote(service, "err", "Draining")
      const ready = yield* Process.get(service, "/health/ready")
      expect(ready).toMatchObject({ status: 503, problem: "not-ready" })
      expect(yield* Process.get(service, "/health/live")).toMatchObject({ status: 200 })
      // Until balancers have noticed, who comes is still served.
      expect(yield* Process.get(service, "/fast")).toMatchObject({ status: 200 })

      yield* Process.eventually(Process.accepts(service.port), (open) => !open)
      expect(service.ended()).toBe(false)
      expect(service.out()).toBe("")
      yield* openGate
      expect(tally(yield* Fiber.join(answers))).toEqual({ "200": 50 })
      expect(yield* service.exit).toBe(0)
      expect(lines(service)).toEqual([
        ...Array.from({ length: 50 }, () => "ended: query"),
        "closed: handlers",
        "closed: resources",
        "closed: database",
      ])
      expect(service.err()).toContain("Drained: 50 in flight, 0 cancelled, 0 abandoned")
    }))
})

describe("SIGINT during load", () => {
  it.live("answers what it has accepted, refuses connections, exits 0", () =>
    Effect.gen(function* () {
      const url = yield* TestDatabase.url
      const openGate = yield* closeGate(url)
      const service = yield* Process.service(url)
      const answers = yield* begin(service, 20, "/query/0.05")
      yield* Process.eventually(busy(service), (n) => n === 20)
      yield* service.signal("SIGINT")
      yield* Process.eventually(Process.accepts(service.port), (open) => !open)
      yield* openGate
      expect(tally(yield* Fiber.join(answers))).toEqual({ "200": 20 })
      expect(yield* service.exit).toBe(0)
    }))

  it.live("one Ctrl+C that arrives twice, from the terminal and from npx, drains", () =>
    Effect.gen(function* () {
      const url = yield* TestDatabase.url
      const service = yield* Process.service(url)
      const answers = yield* begin(service, 2, "/query/0.5")
      yield* Process.eventually(busy(service), (n) => n === 2)
      yield* service.signal("SIGINT")
      yield* service.signal("SIGINT")
      expect(tally(yield* Fiber.join(answers))).toEqual({ "200": 2 })
      expect(yield* service.exit).toBe(0)
    }))

  const cases = [
    { first: "SIGINT", second: "SIGINT", code: 130 },
    { first: "SIGTERM", second: "SIGTERM", code: 143 },
    { first: "SIGTERM", second: "SIGINT", code: 130 },
    { first: "SIGINT", second: "SIGTERM", code: 143 },
  ] as const
  it.live.each(cases)(
    "$first, then $second a second later: exits at once with $code",
    (signals) =>
      Effect.gen(function* () {
        const url = yield* TestDatabase.url
        const service = yield* Process.service(url)
        const answers = yield* begin(service, 3, "/query/60")
        yield* Process.eventually(busy(service), (n) => n === 3)
        yield* service.signal(signals.first)
        yield* Process.wrote(service, "err", "Draining")
        // What comes within a second is the same wish, said twice.
        yield* Effect.sleep("1100 millis")
        yield* service.signal(signals.second)
        expect(yield* service.exit).toBe(signals.code)
        expect(service.out()).toBe("")
        expect(tally(yield* Fiber.join(answers))).toEqual({ "0": 3 })
        // Its queries end on the server too.
        yield* Process.eventually(active(url), (n) => n === 0)
      }),
  )
})

describe("a drain whose time is up", () => {
  it.live("cancels what still runs with Shutdown, answers it 503, reports it, exits 0", () =>
    Effect.gen(function* () {
      const url = yield* TestDatabase.url
      const service = yield* Process.service(url, { FIXTURE_GRACE_MS: "300" })
      const queries = yield* begin(service, 2, "/query/10")
      const waits = yield* begin(service, 1, "/wait")
      yield* Process.eventually(busy(service), (n) => n === 2)
      yield* service.signal("SIGTERM")
      expect(tally(yield* Fiber.join(queries))).toEqual({ "503 shutting-down": 2 })
      expect(tally(yield* Fiber.join(waits))).toEqual({ "503 shutting-down": 1 })
      expect(yield* service.exit).toBe(0)
      expect(lines(service).slice(0, -3).sort()).toEqual([
        "ended: query",
        "ended: query",
        "query: Shutdown",
        "query: Shutdown",
        "wait: Shutdown",
      ])
      expect(lines(service).slice(-3)).toEqual([
        "closed: handlers",
        "closed: resources",
        "closed: database",
      ])
      expect(service.err()).toMatch(/cancelling 3 tasks: fixture\.query × 2, fixture\.wait/)
      expect(service.err()).toContain("Drained: 3 in flight, 3 cancelled, 0 abandoned")
      expect(yield* active(url)).toBe(0)
    }))

  it.live("leaves a request behind whose cleanup hangs, names it, and still exits 0", () =>
    Effect.gen(function* () {
      const url = yield* TestDatabase.url
      const service = yield* Process.service(url, {
        FIXTURE_GRACE_MS: "200",
        FIXTURE_CLEANUP_MS: "300",
      })
      const answers = yield* begin(service, 1, "/stuck")
      yield* Process.eventually(live(service), (n) => n === 1)
      yield* service.signal("SIGTERM")
      expect(tally(yield* Fiber.join(answers))).toEqual({ "503 shutting-down": 1 })
      expect(yield* service.exit).toBe(0)
      expect(service.err()).toContain("1 did not clean up in time: fixture.stuck")
      expect(service.err()).toContain("Drained: 1 in flight, 1 cancelled, 1 abandoned")
      expect(lines(service)).toEqual(["closed: handlers", "closed: resources", "closed: database"])
    }))

  it.live("ends also when a request that hangs keeps its connection to the database", () =>
    Effect.gen(function* () {
      const url = yield* TestDatabase.url
      const service = yield* Process.service(url, {
        FIXTURE_GRACE_MS: "200",
        FIXTURE_CLEANUP_MS: "300",
        FIXTURE_CLOSE_MS: "500",
      })
      const answers = yield* begin(service, 1, "/stuck/connection")
      yield* Process.eventually(busy(service), (n) => n === 1)
      yield* service.signal("SIGTERM")
      expect(tally(yield* Fiber.join(answers))).toEqual({ "503 shutting-down": 1 })
      expect(yield* service.exit).toBe(1)
      expect(service.err()).toContain("1 did not clean up in time: fixture.stuckWithConnection")
      expect(service.err()).toContain("Stopped: The resources did not close within 500ms")
      yield* Process.eventually(sessions(url), (n) => n === 0)
    }))

  it.live("ends also when a layer does not close, and says so", () =>
    Effect.gen(function* () {
      const url = yield* TestDatabase.url
      const service = yield* Process.service(url, {
        FIXTURE_CLOSE_MS: "300",
        FIXTURE_HANGS: "1",
      })
      yield* service.signal("SIGTERM")
      expect(yield* service.exit).toBe(1)
      expect(lines(service)).toEqual(["closed: handlers", "closing: hangs"])
      expect(service.err().trim().split("\n").at(-1)).toBe(
        "Stopped: The resources did not close within 300ms and were left behind. Look for a " +
          "finalizer that waits without a timeout.",
      )
    }))
})

it.live("SIGTERM before it listens ends the start", () =>
  Effect.gen(function* () {
    // Accepts connections and never says a word, like a server that hangs.
    const silent = yield* Effect.acquireRelease(
      Effect.sync(() => Deno.listen({ hostname: "127.0.0.1", port: 0 })),
      (listener) => Effect.sync(() => listener.close()),
    )
    const process = yield* Process.start("service", {
      PORT: "0",
      DATABASE_URL: `postgres://nobody@127.0.0.1:${silent.addr.port}/none`,
    })
    using connection = yield* Effect.promise(() => silent.accept())
    yield* process.signal("SIGTERM")
    expect(yield* process.exit).toBe(0)
    expect(process.err()).toBe("")
    expect(connection.localAddr.transport).toBe("tcp")
  }))
