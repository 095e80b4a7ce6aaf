import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { active, keepAsking, tally } from "../service/process/support.ts"
import * as TestDatabase from "../support/database.ts"
import * as Process from "../support/process.ts"
import { dice, seed } from "./support.ts"

const rounds = 8

it.live(`a signal at any moment loses no answer (${rounds} rounds)`, () =>
  Effect.gen(function* () {
    const url = yield* TestDatabase.url
    const { int, moment, pick } = dice(2)
    for (let round = 0; round < rounds; round++) {
      yield* Effect.scoped(Effect.gen(function* () {
        const service = yield* Process.service(url)
        const answers = yield* keepAsking(service, `/query/0.0${int(5)}`, 1 + int(60))
        yield* moment(700)
        const signal = pick(["SIGINT", "SIGTERM"] as const)
        yield* service.signal(signal)
        expect(yield* service.exit).toBe(0)
        // Whoever asks now finds nobody; the last answers have arrived by then.
        yield* Process.eventually(
          Effect.sync(() => answers.at(-1)?.status ?? 0),
          (status) => status === 0,
        )
        const seen = tally(answers)
        const report = JSON.stringify({ seed, round, signal, seen, err: service.err() })
        const queries = service.out().split("\n").filter((line) => line === "ended: query").length
        expect(seen["200"] ?? 0, report).toBe(queries)
        expect(
          Object.keys(seen).filter((key) => !["0", "200", "503 refused"].includes(key)),
          report,
        ).toEqual([])
        expect(service.err(), report).toMatch(/Drained: \d+ in flight, 0 cancelled, 0 abandoned/)
        expect(yield* active(url), report).toBe(0)
      }))
    }
  }))

it.live(`two signals at any moment end it at once, its queries too (${rounds} rounds)`, () =>
  Effect.gen(function* () {
    const url = yield* TestDatabase.url
    const { moment, pick } = dice(3)
    for (let round = 0; round < rounds; round++) {
      yield* Effect.scoped(Effect.gen(function* () {
        const service = yield* Process.service(url)
        yield* keepAsking(service, "/query/5", 20)
        yield* moment(300)
        yield* service.signal(pick(["SIGINT", "SIGTERM"] as const))
        yield* moment(50)
        const second = pick(["SIGINT", "SIGTERM"] as const)
        // Within a second it would count as the same wish. By then it may have ended already.
        yield* Effect.sleep("1100 millis")
        yield* Effect.ignoreCause(service.signal(second))
        const code = yield* service.exit
        const report = JSON.stringify({ seed, round, second, code, err: service.err() })
        expect([0, second === "SIGINT" ? 130 : 143], report).toContain(code)
        yield* Process.eventually(active(url), (n) => n === 0, 2)
      }))
    }
  }))
