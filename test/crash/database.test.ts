/** @embedded-only: it stops the server. */
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { keepAsking, live, tally } from "../service/process/support.ts"
import * as Server from "../../src/store/server.ts"
import { foreign, site } from "../store/support/embedded.ts"
import * as Process from "../support/process.ts"
import { dice, seed } from "./support.ts"

const rounds = 6

it.live(`the database stops and starts again and again, under load (${rounds} rounds)`, () =>
  Effect.gen(function* () {
    const { again, server, url } = yield* foreign(yield* site)
    const service = yield* Process.service(url)
    const { moment, pick } = dice(5)
    yield* Effect.scoped(Effect.gen(function* () {
      const paths = ["/query/0", "/query/0.02", "/query/0.3", "/fast"]
      const logs = yield* Effect.forEach(paths, (path) => keepAsking(service, path, 8))
      for (let round = 0; round < rounds; round++) {
        yield* moment(500)
        yield* Server.stop(server, pick(["immediate", "fast"] as const))
        yield* moment(500)
        yield* again
        for (const log of logs) {
          const before = log.length
          yield* Process.eventually(
            Effect.sync(() => log.slice(before).filter(({ status }) => status === 200).length),
            (n) => n >= 8,
          )
        }
      }
      const seen = tally(logs.flat())
      const report = JSON.stringify({ seed, seen, err: service.err() })
      const allowed = ["200", "503 database-unavailable", "503 refused"]
      expect(Object.keys(seen).filter((key) => !allowed.includes(key)), report).toEqual([])
      expect(tally(logs[3]!), report).toEqual({ "200": logs[3]!.length })
      expect(service.ended(), report).toBe(false)
    }))
    yield* Process.eventually(live(service), (n) => n === 0)
    yield* service.signal("SIGTERM")
    expect(yield* service.exit).toBe(0)
  }))
