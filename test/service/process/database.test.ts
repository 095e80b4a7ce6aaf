/** @embedded-only: it stops the server. */
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Server from "../../../src/store/server.ts"
import { foreign, site } from "../../store/support/embedded.ts"
import * as Process from "../../support/process.ts"
import { keepAsking, tally } from "./support.ts"

it.live(
  "a database that is stopped and started again in mid-load costs 503s, and nothing else",
  () =>
    Effect.gen(function* () {
      const { again, server, url } = yield* foreign(yield* site)
      const service = yield* Process.service(url)
      const answers = yield* keepAsking(service, "/query/0.01", 20)
      const ready = Effect.map(Process.get(service, "/health/ready"), ({ status }) => status)
      const served = Effect.gen(function* () {
        const before = answers.length
        yield* Process.eventually(
          Effect.sync(() => answers.slice(before).filter(({ status }) => status === 200).length),
          (n) => n > 50,
        )
      })

      yield* served
      expect(yield* ready).toBe(200)
      yield* Server.stop(server, "immediate")
      const before = answers.length
      yield* Process.eventually(
        Effect.sync(() => tally(answers.slice(before))),
        (seen) => (seen["503 database-unavailable"] ?? 0) > 50,
      )
      yield* Process.eventually(ready, (status) => status === 503)
      yield* again
      yield* served
      yield* Process.eventually(ready, (status) => status === 200)

      const seen = tally(answers)
      const allowed = ["200", "503 database-unavailable", "503 refused"]
      expect(Object.keys(seen).filter((key) => !allowed.includes(key)), JSON.stringify(seen))
        .toEqual([])
      expect(service.ended()).toBe(false)
      expect(service.err()).not.toMatch(/Unhandled|uncaught|\bbug\b/i)
      yield* service.signal("SIGTERM")
      expect(yield* service.exit).toBe(0)
    }),
  120_000,
)
