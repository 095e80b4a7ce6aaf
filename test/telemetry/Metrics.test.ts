import { describe, expect, it } from "@effect/vitest"
import { Effect, Metric, Schema } from "effect"
import { readFile } from "node:fs/promises"
import denoJson from "../../deno.json" with { type: "json" }
import * as Refused from "../../src/bounded/Refused.ts"
import type * as Bounded from "../../src/bounded/Bounded.ts"
import type * as CancelReason from "../../src/task/CancelReason.ts"
import type { TaskCounts } from "../../src/task/TaskTree.ts"
import { version } from "../../src/internal/version.ts"
import { reasons, table } from "../../src/telemetry/definitions.ts"
import * as Metrics from "../../src/telemetry/Metrics.ts"
import { text } from "../../src/telemetry/prometheus.ts"
import { parse, valueOf } from "../support/prometheus.ts"
import { root } from "../support/tree.ts"

const rendered = (metrics: Metrics.Metrics): Promise<string> =>
  Effect.runPromise(Metrics.render.pipe(
    Effect.provideService(Metrics.Metrics, metrics),
    Effect.provideService(Metric.MetricRegistry, new Map()),
  ))

const refusedNone = Object.fromEntries(Refused.reasons.map((reason) => [reason, 0])) as Record<
  Refused.Reason,
  number
>

const pool = (name: string, over: Partial<Bounded.Stats> = {}): Bounded.Stats => ({
  kind: "pool",
  name,
  capacity: 10,
  inUse: 3,
  waiting: 2,
  queueCapacity: 100,
  highWater: 7,
  oldestWaitMs: 1500,
  predictedWaitMs: 250,
  refused: refusedNone,
  ...over,
})

describe("Metrics", () => {
  it("counts every request under exactly one outcome and reason", async () => {
    const metrics = Metrics.makeUnsafe()
    const look = metrics.endpoint("stock.look", "GET")
    for (let i = 0; i < 6; i++) look.started()
    look.completed(12, 200)
    look.completed(1, 404)
    look.failed(3, 500)
    look.refused("QueueFull")
    look.cancelled("ClientAbort", 40)
    for (let i = 0; i < 5; i++) look.ended()
    const page = await rendered(metrics)
    const count = (outcome: string, reason: string) =>
      valueOf(page, "weir_requests_total", {
        endpoint: "stock.look",
        method: "GET",
        outcome,
        reason,
      })
    expect(count("completed", "2xx")).toBe(1)
    expect(count("completed", "4xx")).toBe(1)
    expect(count("failed", "5xx")).toBe(1)
    expect(count("refused", "QueueFull")).toBe(1)
    expect(count("cancelled", "ClientAbort")).toBe(1)
    expect(valueOf(page, "weir_requests_total")).toBe(5)
    expect(valueOf(page, "weir_requests_in_flight")).toBe(1)
    expect(valueOf(page, "weir_request_duration_seconds_count")).toBe(4)
    expect(valueOf(page, "weir_request_duration_seconds_sum")).toBeCloseTo(0.056)
  })

  it("puts a duration into the first bucket that is not smaller", async () => {
    const metrics = Metrics.makeUnsafe()
    const look = metrics.endpoint("look")
    for (const ms of [0, 1, 1.01, 30_000, 30_001, -5, NaN]) look.completed(ms, 200)
    const page = await rendered(metrics)
    const below = (le: string) => valueOf(page, "weir_request_duration_seconds_bucket", { le })
    expect(below("0.001")).toBe(4)
    expect(below("0.0025")).toBe(5)
    expect(below("30")).toBe(6)
    expect(below("+Inf")).toBe(7)
    expect(valueOf(page, "weir_request_duration_seconds_sum")).toBeCloseTo(60.00301 + 0.001)
  })

  it("gives the same counters for the same endpoint, and others for another method", () => {
    const metrics = Metrics.makeUnsafe()
    expect(metrics.endpoint("look", "GET")).toBe(metrics.endpoint("look", "GET"))
    expect(metrics.endpoint("look", "GET")).not.toBe(metrics.endpoint("look", "POST"))
  })

  it("counts unknown reasons and statuses without growing the number of series", async () => {
    const metrics = Metrics.makeUnsafe()
    const look = metrics.endpoint("look")
    for (let i = 0; i < 100; i++) {
      look.refused(`reason ${i}`)
      look.cancelled(`reason ${i}`, 1)
    }
    look.completed(1, 0)
    look.completed(1, 999)
    look.completed(1, NaN)
    const page = await rendered(metrics)
    expect(valueOf(page, "weir_requests_total", { outcome: "refused", reason: "other" })).toBe(100)
    expect(valueOf(page, "weir_requests_total", { outcome: "cancelled", reason: "other" }))
      .toBe(100)
    expect(valueOf(page, "weir_requests_total", { outcome: "completed", reason: "5xx" })).toBe(3)
    expect(valueOf(page, "weir_requests_total")).toBe(203)
  })

  it("counts endpoints and pools beyond the bound under other", async () => {
    const metrics = Metrics.makeUnsafe()
    for (let i = 0; i < 1010; i++) {
      metrics.endpoint(`/products/${i}`, "GET").completed(1, 200)
      metrics.poolWait(`pool ${i}`).observe(1)
    }
    const page = await rendered(metrics)
    expect(valueOf(page, "weir_requests_total")).toBe(1010)
    expect(valueOf(page, "weir_requests_total", { endpoint: "other" })).toBe(10)
    expect(valueOf(page, "weir_pool_wait_seconds_count", { name: "other" })).toBe(10)
  })

  it("knows every refusal reason and every cancel reason", () => {
    const tags: Record<CancelReason.CancelReason["_tag"], true> = {
      ClientAbort: true,
      DeadlineExceeded: true,
      ParentEnded: true,
      SiblingFailed: true,
      Shutdown: true,
      LeaseLost: true,
      Requested: true,
    }
    expect(reasons.refused).toEqual(expect.arrayContaining([...Refused.reasons]))
    expect(reasons.cancelled).toEqual(expect.arrayContaining(Object.keys(tags)))
  })

  it("shows tasks and bounded things of its sources until they are removed", async () => {
    const metrics = Metrics.makeUnsafe()
    const counts: TaskCounts = {
      started: { request: 5, task: 1 },
      ended: { request: { completed: 2, failed: 0, cancelled: 1, refused: 0 } },
      abandoned: 1,
    }
    const remove = metrics.addSourceUnsafe(() => ({
      tasks: counts,
      bounded: [pool("database", { refused: { ...refusedNone, QueueFull: 4 } })],
    }))
    const page = await rendered(metrics)
    expect(valueOf(page, "weir_tasks_live", { kind: "request" })).toBe(2)
    expect(valueOf(page, "weir_tasks_live", { kind: "task" })).toBe(1)
    expect(valueOf(page, "weir_tasks_total", { kind: "request", outcome: "cancelled" })).toBe(1)
    expect(valueOf(page, "weir_cleanup_abandoned_total")).toBe(1)
    const database = { kind: "pool", name: "database" }
    expect(valueOf(page, "weir_bounded_capacity", database)).toBe(10)
    expect(valueOf(page, "weir_bounded_in_use", database)).toBe(3)
    expect(valueOf(page, "weir_bounded_waiting", database)).toBe(2)
    expect(valueOf(page, "weir_bounded_queue_capacity", database)).toBe(100)
    expect(valueOf(page, "weir_bounded_high_water", database)).toBe(7)
    expect(valueOf(page, "weir_bounded_oldest_wait_seconds", database)).toBe(1.5)
    expect(valueOf(page, "weir_bounded_predicted_wait_seconds", database)).toBe(0.25)
    expect(valueOf(page, "weir_bounded_refused_total", { ...database, reason: "QueueFull" }))
      .toBe(4)
    remove()
    expect(valueOf(await rendered(metrics), "weir_tasks_live")).toBeUndefined()
  })

  it("adds up equal names of two sources, and what is beyond the bound", async () => {
    const metrics = Metrics.makeUnsafe()
    metrics.addSourceUnsafe(() => ({ bounded: [pool("database"), pool("mail")] }))
    metrics.addSourceUnsafe(() => ({ bounded: [pool("database", { highWater: 9 })] }))
    const page = await rendered(metrics)
    expect(valueOf(page, "weir_bounded_capacity", { name: "database" })).toBe(20)
    expect(valueOf(page, "weir_bounded_high_water", { name: "database" })).toBe(9)
    metrics.addSourceUnsafe(() => ({
      bounded: Array.from({ length: 1010 }, (_, i) => pool(`mailbox ${i}`)),
    }))
    const full = await rendered(metrics)
    expect(valueOf(full, "weir_bounded_capacity")).toBe(10_130)
    expect(valueOf(full, "weir_bounded_capacity", { name: "other" })).toBe(120)
  })

  it.effect("removes a source when its scope closes", () =>
    Effect.gen(function* () {
      const metrics = Metrics.makeUnsafe()
      yield* Metrics.source((now) => ({ bounded: [pool("database", { oldestWaitMs: now })] })).pipe(
        Effect.andThen(Effect.sync(() =>
          expect(text(metrics.read(3000))).toContain(
            `weir_bounded_oldest_wait_seconds{kind="pool",name="database"} 3\n`,
          )
        )),
        Effect.scoped,
        Effect.provideService(Metrics.Metrics, metrics),
      )
      expect(text(metrics.read(0))).not.toContain("weir_bounded")
    }))

  it("says what runs", async () => {
    const page = await rendered(Metrics.makeUnsafe())
    expect(valueOf(page, "weir_build_info", { version, runtime: `deno ${Deno.version.deno}` }))
      .toBe(1)
    expect(valueOf(page, "weir_process_resident_memory_bytes")).toBeGreaterThan(10_000_000)
    expect(valueOf(page, "weir_process_uptime_seconds")).toBeGreaterThan(0)
    expect(version).toBe(denoJson.version)
  })

  it.effect("shows the application's own metrics too, never under a name of Weir's", () =>
    Effect.gen(function* () {
      yield* Metric.update(Metric.counter("orders_total", { description: "Orders" }), 3)
      yield* Metric.update(Metric.counter("weir_requests_total"), 1)
      const metrics = yield* Metrics.Metrics
      metrics.endpoint("look").completed(1, 200)
      const page = yield* Metrics.render
      expect(valueOf(page, "orders_total")).toBe(3)
      expect(valueOf(page, "app_weir_requests_total")).toBe(1)
      expect(valueOf(page, "weir_requests_total")).toBe(1)
    }).pipe(
      Effect.provideService(Metrics.Metrics, Metrics.makeUnsafe()),
      Effect.provideService(Metric.MetricRegistry, new Map()),
    ))

  it.prop(
    "gives text that a strict reader reads back, whatever the names are",
    { drawn: Schema.Array(Schema.String), values: Schema.Array(Schema.Number) },
    ({ drawn, values }) => {
      const names = [...new Set(["\r", 'a"b', "a\\b", "a\nb", "", ...drawn])]
      const metrics = Metrics.makeUnsafe()
      for (const name of names) {
        const endpoint = metrics.endpoint(name, "GET")
        for (const value of values) endpoint.completed(value, 200)
        metrics.poolWait(name).observe(1)
      }
      metrics.addSourceUnsafe(() => ({ bounded: names.map((name) => pool(name)) }))
      const families = parse(text(metrics.read(0)))
      const requests = families.find(({ name }) => name === "weir_requests_total")?.series ?? []
      expect(requests.map(({ labels }) => labels["endpoint"] ?? "")).toEqual(names)
      expect(requests.every(({ value }) => value === values.length)).toBe(true)
    },
  )
})

describe("the table of metrics", () => {
  it("follows the naming rules of Prometheus", () => {
    for (const { name, type, unit, labels } of table) {
      expect(name).toMatch(/^weir_[a-z_]+$/)
      expect(name.endsWith("_total")).toBe(type === "counter")
      expect(name.endsWith("_seconds")).toBe(unit === "s")
      expect(name.endsWith("_bytes")).toBe(unit === "By")
      for (const label of labels) expect(label).toMatch(/^[a-z]+$/)
    }
    expect(new Set(table.map(({ name }) => name)).size).toBe(table.length)
  })

  it("is the one in docs/telemetry.md", async () => {
    const page = await readFile(`${root}/docs/telemetry.md`, "utf8")
    const rows = [
      ...page.matchAll(/^\| `(weir_\w+)` +\| (.+?) +\| (.+?) +\| (.*?) *\| (.+?) +\|$/gm),
    ]
      .map(([, name, type, unit, labels, help]) => [name, type, unit, labels, help])
    expect(rows).toEqual(table.map(({ name, type, unit, labels, help }) => [
      name,
      type,
      unit === "1" ? "1" : `\`${unit}\``,
      labels.map((label) => `\`${label}\``).join(", "),
      help,
    ]))
  })
})
