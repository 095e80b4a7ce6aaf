/** @embedded-only: it is about the orphans of the embedded server. */
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { keepAsking, postmaster, tally } from "../service/process/support.ts"
import { site } from "../store/support/embedded.ts"
import * as Process from "../support/process.ts"
import { dice, seed } from "./support.ts"

const rounds = 10

it.live(`kill -9 at any moment, also of the start: the next start works (${rounds} rounds)`, () =>
  Effect.gen(function* () {
    const directory = yield* site
    const env = { WEIR_DATA_DIR: directory, PORT: "0" }
    const { int, moment } = dice(4)
    for (let round = 0; round < rounds; round++) {
      yield* Effect.scoped(Effect.gen(function* () {
        if (int(2) === 0) {
          const starting = yield* Process.start("service", env)
          yield* moment(1000)
          yield* starting.signal("SIGKILL")
          expect(yield* starting.exit).toBe(137)
        }
        const service = yield* Process.service(undefined, env)
        const report = JSON.stringify({ seed, round, err: service.err() })
        expect(tally([yield* Process.get(service, "/query/0")]), report).toEqual({ "200": 1 })
        yield* keepAsking(service, `/query/0.0${int(5)}`, 20)
        yield* moment(500)
        yield* service.signal("SIGKILL")
        expect(yield* service.exit, report).toBe(137)
      }))
    }
    const last = yield* Process.service(undefined, env)
    const server = yield* postmaster(directory)
    yield* last.signal("SIGTERM")
    expect(yield* last.exit).toBe(0)
    expect(yield* Process.accepts(server!.port)).toBe(false)
  }))
