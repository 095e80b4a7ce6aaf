import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { site } from "../../store/support/embedded.ts"
import * as TestDatabase from "../../support/database.ts"
import * as Process from "../../support/process.ts"
import { active, begin, busy, postmaster, tally } from "./support.ts"

describe("kill -9 of the service", () => {
  it.live("ends its queries on the server within 2 s, and the next start works", () =>
    Effect.gen(function* () {
      const url = yield* TestDatabase.url
      const first = yield* Process.service(url)
      const answers = yield* begin(first, 10, "/query/60")
      yield* Process.eventually(active(url), (n) => n === 10)
      yield* first.signal("SIGKILL")
      expect(yield* first.exit).toBe(137)
      expect(tally(yield* Fiber.join(answers))).toEqual({ "0": 10 })
      // The server looks after its clients twice a second.
      yield* Process.eventually(active(url), (n) => n === 0, 2)

      const second = yield* Process.service(url)
      expect((yield* Process.get(second, "/query/0")).status).toBe(200)
      expect(yield* busy(second)).toBe(0)
    }))

  it.live.skipIf(TestDatabase.external)(
    "leaves the embedded server running, which the next start adopts and its end stops",
    () =>
      Effect.gen(function* () {
        const directory = yield* site
        const env = { WEIR_DATA_DIR: directory }
        const first = yield* Process.service(undefined, env)
        const server = yield* postmaster(directory)
        const answers = yield* begin(first, 10, "/query/60")
        yield* Process.eventually(busy(first), (n) => n === 10)
        yield* first.signal("SIGKILL")
        yield* Fiber.join(answers)
        expect(yield* postmaster(directory)).toEqual(server)
        expect(yield* Process.accepts(server!.port)).toBe(true)

        const second = yield* Process.service(undefined, env)
        expect(yield* postmaster(directory)).toEqual(server)
        expect((yield* Process.get(second, "/query/0")).status).toBe(200)
        yield* second.signal("SIGTERM")
        expect(yield* second.exit).toBe(0)
        expect(yield* Process.accepts(server!.port)).toBe(false)
        expect(yield* postmaster(directory)).toBeUndefined()
      }),
  )
})
