/** @embedded-only: it is about the orphans of the embedded server. */
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { join } from "node:path"
import { keepAsking, postmaster, tally } from "../service/process/support.ts"
import { folder, site } from "../store/support/embedded.ts"
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

it.live(`a signal while it starts leaves no server behind (${rounds} rounds)`, () =>
  Effect.gen(function* () {
    const { int, moment, pick } = dice(6)
    for (let round = 0; round < rounds; round++) {
      yield* Effect.scoped(Effect.gen(function* () {
        // Half of them have to create their database first.
        const directory = int(2) === 0 ? yield* site : join(yield* folder, "postgres")
        const env = { WEIR_DATA_DIR: directory, PORT: "0" }
        const starting = yield* Process.start("service", env)
        yield* moment(2500)
        yield* starting.signal(pick(["SIGINT", "SIGTERM"] as const))
        const code = yield* starting.exit
        const report = JSON.stringify({ seed, round, code, err: starting.err() })
        // Before the program has said how it wants them, signals just end it.
        expect([0, 130, 143], report).toContain(code)
        expect(starting.err(), report).not.toMatch(/Cannot|Stopped|Error| at /)
        const server = yield* postmaster(directory)
        const runs = server !== undefined && (yield* Process.accepts(server.port))
        expect(runs, report).toBe(false)
        const service = yield* Process.service(undefined, env)
        expect(tally([yield* Process.get(service, "/query/0")]), report).toEqual({ "200": 1 })
        yield* service.signal("SIGTERM")
        expect(yield* service.exit, report).toBe(0)
      }))
    }
  }))
