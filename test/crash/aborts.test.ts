import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { active, saturation, tally } from "../service/process/support.ts"
import * as TestDatabase from "../support/database.ts"
import * as Process from "../support/process.ts"
import { parse } from "../support/prometheus.ts"
import { type Dice, dice, seed } from "./support.ts"

const total = 10_000

/** One request of any kind, whose client leaves at a random moment, or does not. */
const shoot = (service: Process.Service, { int, pick }: Dice) => {
  const headers: Record<string, string> = { "content-type": "application/json" }
  if (int(4) === 0) headers["request-timeout"] = String(1 + int(60))
  const path = pick([
    ...["/query/0", "/query/0.01", "/query/0.02", int(5) === 0 ? "/query/1" : "/query/0.005"],
    ...["/order", "/order", "/stream", "/wait", "/fast"],
  ])
  // Some leave before anything was sent, some would have been served or were.
  const signal = AbortSignal.timeout(int(pick([20, 100, 1000])))
  const body = JSON.stringify({ seconds: String(int(20) / 1000), note: "x".repeat(int(5000)) })
  return Process.get(service, path, {
    headers,
    signal,
    ...(path === "/order" ? { method: "POST", body } : {}),
  })
}

const metrics = (service: Process.Service) =>
  Effect.map(Process.get(service, "/metrics"), ({ body }) => {
    const families = parse(body)
    return (name: string) => families.find((family) => family.name === name)?.series ?? []
  })

const sum = (series: ReadonlyArray<{ readonly value: number }>) =>
  series.reduce((sum, { value }) => sum + value, 0)

it.live(
  `${total} requests aborted at random moments all end, each of them counted once`,
  () =>
    Effect.gen(function* () {
      const url = yield* TestDatabase.url
      const service = yield* Process.service(url, { FIXTURE_COUNT: "1" })
      const play = dice(1)
      const answers = yield* Effect.forEach(
        Array.from({ length: total }),
        () => Effect.suspend(() => shoot(service, play)),
        { concurrency: 100 },
      )

      // Nothing is left: no task, no slot, no ticket, no query.
      yield* Process.eventually(
        Effect.map(
          saturation(service),
          (all) => all.map(({ name, inUse, waiting }) => ({ name, inUse, waiting })),
        ),
        (all) => all.every(({ inUse, waiting }) => inUse === 0 && waiting === 0),
      )
      yield* Process.eventually(
        Effect.map(metrics(service), (read) => sum(read("weir_tasks_live"))),
        (n) => n === 0,
      )
      yield* Process.eventually(active(url), (n) => n === 0)

      const read = yield* metrics(service)
      const ended = read("weir_requests_total")
      const by = (outcome: string) =>
        sum(ended.filter(({ labels }) => labels["outcome"] === outcome))
      const report = JSON.stringify({
        seed,
        answers: tally(answers),
        ended: Object.fromEntries(
          ended.map(({ labels, value }) => [
            `${labels["endpoint"]} ${labels["outcome"]} ${labels["reason"]}`,
            value,
          ]),
        ),
      })
      expect(sum(read("weir_requests_in_flight")), report).toBe(0)
      // Every way to end has been taken, and none for want of a reason.
      for (const outcome of ["completed", "refused", "cancelled"]) {
        expect(by(outcome), report).toBeGreaterThan(0)
      }
      const reasons = new Set(
        ended.filter(({ labels, value }) => labels["outcome"] === "cancelled" && value > 0)
          .map(({ labels }) => labels["reason"]),
      )
      expect(reasons, report).toEqual(new Set(["ClientAbort", "DeadlineExceeded"]))
      expect(by("failed"), report).toBe(0)
      // A client cannot have seen what did not happen.
      const seen = tally(answers)
      expect(by("completed"), report).toBeGreaterThanOrEqual(seen["200"] ?? 0)
      expect(by("refused"), report).toBeGreaterThanOrEqual(seen["503 refused"] ?? 0)
      expect(Object.keys(seen).sort(), report).toEqual(
        ["0", "200", "503 refused", "504 deadline-exceeded"],
      )

      // As good as new.
      const again = yield* Effect.all(
        Array.from({ length: 20 }, () => Process.get(service, "/query/0.01")),
        { concurrency: "unbounded" },
      )
      expect(tally(again)).toEqual({ "200": 20 })
      yield* service.signal("SIGTERM")
      expect(yield* service.exit).toBe(0)
      expect(service.err()).toContain("Drained: 0 in flight, 0 cancelled, 0 abandoned")
      const reached = Number(/reached: (\d+)/.exec(service.out())?.[1])
      expect(by("completed") + by("refused") + by("cancelled") + 20, report).toBe(reached)
    }),
  180_000,
)
