import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import * as TestLab from "../support/lab.ts"

/** The canonical burst: pool of 10, 200 ms per query, 100 requests in one turn. */
const burst = (url: string, method: "GET" | "POST", timeoutMs: number) =>
  Effect.promise(async () => {
    const start = performance.now()
    const answers = await Promise.all(Array.from({ length: 100 }, async () => {
      const response = await fetch(`${url}/sleep`, {
        method,
        headers: { "request-timeout": String(timeoutMs), "content-type": "application/json" },
        ...(method === "POST" ? { body: JSON.stringify({ note: "x".repeat(2000) }) } : {}),
      })
      const at = performance.now() - start
      return { status: response.status, at, headers: response.headers, body: await response.json() }
    }))
    return answers
  })

/** Opens the pool's ten connections, so that the burst measures queries and not handshakes. */
const warmUp = (url: string) =>
  Effect.promise(async () => {
    for (let wave = 0; wave < 3; wave++) {
      const answers = await Promise.all(Array.from({ length: 10 }, () => fetch(`${url}/sleep`)))
      for (const answer of answers) await answer.body?.cancel()
    }
  })

// The exact run is `golden_virtual.test.ts`. Here real queries take real time, and a machine that
// stalls for some 20 ms during a wave makes them longer than the burst can bear.
const again = { retry: 2 } as const

const cases = [
  { method: "GET" as const, timeoutMs: 1100, served: 50 },
  { method: "POST" as const, timeoutMs: 1100, served: 50 },
  { method: "GET" as const, timeoutMs: 500, served: 20 },
  { method: "POST" as const, timeoutMs: 500, served: 20 },
]

describe("100 requests at once on a pool of 10 whose queries take 200 ms", () => {
  it.live.each(cases)(
    "$method with $timeoutMs ms: $served are served, the rest are refused at the door",
    ({ method, timeoutMs, served }) =>
      Effect.gen(function* () {
        const lab = yield* TestLab.Lab
        yield* warmUp(lab.url)
        const before = lab.seen.queries
        const answers = yield* burst(lab.url, method, timeoutMs)
        const ok = answers.filter((answer) => answer.status === 200)
        const refused = answers.filter((answer) => answer.status === 503)
        expect(ok.length + refused.length, statuses(answers)).toBe(100)
        expect(Math.abs(ok.length - served), statuses(answers)).toBeLessThanOrEqual(2)
        expect(lab.seen.queries - before).toBe(ok.length)
        // Refused at the door: before the first wave could have ended.
        expect(Math.max(...refused.map((answer) => answer.at))).toBeLessThan(
          Math.min(...ok.map((answer) => answer.at)),
        )
        for (const { body, headers } of refused) {
          expect(body).toMatchObject({
            type: "urn:weir:problem:refused",
            status: 503,
            reason: "Infeasible",
            kind: "pool",
            resource: "database",
            capacity: 10,
          })
          expect(body.waiting).toBeGreaterThan(0)
          expect(body.predictedWaitMs).toBeGreaterThan(timeoutMs - 450)
          expect(Number(headers.get("retry-after"))).toBeGreaterThanOrEqual(1)
        }
        expect(yield* lab.tree.size).toBe(0)
      }).pipe(Effect.provide(TestLab.layer({ expected: "200 millis" }))),
    again,
  )

  it.live(
    "a first burst with nothing known is bounded by the queue and refused at dequeue",
    () =>
      Effect.gen(function* () {
        const lab = yield* TestLab.Lab
        const answers = yield* burst(lab.url, "GET", 1100)
        const ok = answers.filter((answer) => answer.status === 200).length
        const refused = answers.filter((answer) => answer.status === 503).length
        expect(ok + refused, statuses(answers)).toBe(100)
        // The first wave also opens the connections, so what it teaches is more than 200 ms.
        expect(ok, statuses(answers)).toBeGreaterThanOrEqual(10)
        expect(ok, statuses(answers)).toBeLessThanOrEqual(52)
        expect(answers.filter(({ body }) => body.reason === "Late").length).toBe(refused)
        expect(lab.saturation.get("database")!.stats(0).highWater).toBeLessThanOrEqual(160)
      }).pipe(Effect.provide(TestLab.layer())),
    again,
  )
})

const statuses = (answers: ReadonlyArray<{ readonly status: number }>): string =>
  JSON.stringify(
    Object.groupBy(answers.map((answer) => answer.status), String),
    (_, value) => Array.isArray(value) ? value.length : value,
  )
