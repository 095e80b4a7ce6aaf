import { describe, expect, it } from "@effect/vitest"
import type { Raw } from "./engine.ts"
import type { Job } from "./job.ts"
import { Records } from "./records.ts"
import { invalid } from "./report.ts"
import { schedule } from "./schedule.ts"
import { histogram, percentiles, record, summarize } from "./summary.ts"

describe("the histogram", () => {
  it("has percentiles within a tenth of a per cent", () => {
    const of = histogram()
    for (let i = 1; i <= 10_000; i++) record(of, i / 10)
    const found = percentiles(of)
    expect(found.count).toBe(10_000)
    for (const [name, ms] of [["p50", 500], ["p90", 900], ["p99", 990], ["p999", 999]] as const) {
      expect(Math.abs(found[name] / ms - 1), name).toBeLessThan(0.001)
    }
  })

  it("is 0 everywhere when it is empty, and takes anything up to an hour", () => {
    expect(percentiles(histogram())).toEqual({ count: 0, p50: 0, p90: 0, p99: 0, p999: 0, max: 0 })
    const of = histogram()
    record(of, -1)
    record(of, 1e12)
    expect(percentiles(of).count).toBe(2)
  })
})

/** Runs a schedule against nobody: every attempt begins so much late and ends as told. */
const raw = (job: Job, lateMs: number, end: (records: Records, row: number) => void): Raw => {
  const plan = schedule(job)
  const records = new Records()
  for (let call = 0; call < plan.length; call++) {
    const at = plan.atMs[call]!
    end(records, records.add(call, 0, plan.stream[call]!, plan.phase[call]!, at, at + lateMs))
  }
  return { schedule: plan, records, opened: 1, most: 1, problem: null, controlsFailed: 0 }
}

const job = (phases: Job["streams"][number]["phases"]): Job => ({
  port: 1,
  seed: 1,
  arrivals: "constant",
  streams: [{ name: "a", path: "/", deadlineMs: 1000, phases }],
})

describe("a summary", () => {
  const steady = job([{ seconds: 2, rate: 10 }, { seconds: 1, rate: 10 }])
  const good = (records: Records, row: number) =>
    records.end(row, "good", records.intendedMs[row]! + 100, 200)

  it("counts calls, ends and reasons by phase, and puts each into its window", () => {
    const result = summarize(
      steady,
      raw(
        steady,
        0,
        (records, row) =>
          row % 2 === 0
            ? good(records, row)
            : records.end(row, "refused", records.intendedMs[row]! + 1, 503, "QueueFull"),
      ),
      "",
    )
    expect(result.parts.map(({ calls, good }) => [calls, good])).toEqual([[20, 10], [10, 5]])
    expect(result.parts[0]!.refusals).toEqual({ QueueFull: 10 })
    const [{ latency, refusal }] = result.parts as [(typeof result.parts)[number]]
    expect([latency.count, refusal.count]).toEqual([10, 10])
    expect(Math.abs(latency.p50 / 100 - 1)).toBeLessThan(0.001)
    expect(Math.abs(refusal.p50 - 1)).toBeLessThan(0.001)
    expect(result.series.map(({ offered }) => offered).slice(0, 3)).toEqual([10, 10, 10])
    expect(result.arrived.length).toBe(30)
    expect(result.arrived.reduce((sum, { good }) => sum + good, 0)).toBe(15)
  })

  it("is not valid when the generator was late, but for bursts, which are late by nature", () => {
    const valid = (phases: Job["streams"][number]["phases"], lateMs: number) =>
      summarize(job(phases), raw(job(phases), lateMs, good), "").valid
    const calm = [{ seconds: 2, rate: 10 }]
    expect([valid(calm, 0.5), valid(calm, 2.5)]).toEqual([true, false])
    expect(valid([{ seconds: 1, atOnce: 100 }], 20)).toBe(true)
    expect(valid([{ seconds: 1, atOnce: 100, rate: 100 }], 20)).toBe(false)
  })

  it("is not valid when a request found no connection", () => {
    const once = (records: Records, row: number) =>
      row === 3 ? records.end(row, "unsent", records.intendedMs[row]!) : good(records, row)
    expect(summarize(steady, raw(steady, 0, once), "").valid).toBe(false)
  })

  it("says of a late run that it means nothing, or that it was accepted all the same", () => {
    const late = summarize(steady, raw(steady, 50, good), "")
    expect(invalid(late)).toMatch(/^Not valid: .* or accept it with --allow-late\.$/)
    expect(invalid(late, true)).toMatch(/^Accepted with --allow-late: /)
    expect(invalid(summarize(steady, raw(steady, 0, good), ""), true)).toBe(undefined)
  })
})

describe("the records", () => {
  it("end once, grow, and keep at most 64 reasons", () => {
    const records = new Records()
    for (let i = 0; i < 10_000; i++) {
      const row = records.add(i, 0, 0, 0, i, i)
      expect(records.end(row, "refused", i + 1, 503, `reason ${i}`)).toBe(true)
      expect(records.end(row, "good", i + 2)).toBe(false)
    }
    expect(records.length).toBe(10_000)
    expect(records.outcomeOf(9999)).toBe("refused")
    expect(records.reasons.length).toBe(64)
    expect(records.reasons[records.reason[9999]!]).toBe("other")
    expect([...records.csv(["a"])].length).toBe(10_001)
  })
})
