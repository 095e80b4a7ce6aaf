import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { dice } from "../crash/support.ts"
import { saturation } from "../service/process/support.ts"
import * as TestDatabase from "../support/database.ts"
import * as Process from "../support/process.ts"
import { parse } from "../support/prometheus.ts"

const rounds = 6
const perRound = 10_000

const memory = (service: Process.Service) =>
  Effect.map(
    Process.get(service, "/metrics"),
    ({ body }) =>
      parse(body).find(({ name }) => name === "weir_process_resident_memory_bytes")!
        .series[0]!.value,
  )

it.live(
  `${rounds * perRound} requests beyond capacity leave memory and queues as they were`,
  () =>
    Effect.gen(function* () {
      const url = yield* TestDatabase.url
      const service = yield* Process.service(url, {})
      const { int, pick } = dice(3)
      const shot = Effect.suspend(() =>
        Process.get(service, pick(["/query/0", "/query/0.005", "/fast", "/stream", "/nope"]), {
          headers: int(3) === 0 ? { "request-timeout": String(5 + int(100)) } : {},
          signal: AbortSignal.timeout(50 + int(2000)),
        })
      )
      const resident: Array<number> = []
      for (let round = 0; round < rounds; round++) {
        yield* Effect.forEach(Array.from({ length: perRound }), () => shot, {
          concurrency: 200,
          discard: true,
        })
        const bounded = yield* Process.eventually(
          saturation(service),
          (all) => all.every(({ inUse, waiting }) => inUse === 0 && waiting === 0),
        )
        for (const { highWater, queueCapacity, capacity } of bounded) {
          expect(highWater).toBeLessThanOrEqual(queueCapacity + capacity)
        }
        resident.push(yield* memory(service))
        yield* Effect.logInfo(
          `round ${round + 1} of ${rounds}: ${Math.round(resident.at(-1)! / 1e6)} MB resident`,
        )
      }
      // The first rounds warm up: compiled code, pools, the heap's own reserve. A leak goes on.
      const [before, after] = [Math.max(...resident.slice(1, 3)), Math.max(...resident.slice(-2))]
      expect(after, JSON.stringify(resident)).toBeLessThan(before * 1.25)
      yield* service.signal("SIGTERM")
      expect(yield* service.exit).toBe(0)
    }),
  300_000,
)
