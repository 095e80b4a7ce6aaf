import { describe, expect, it } from "@effect/vitest"
import { outcomes, type Part, type Result } from "../../load/job.ts"
import { schedule } from "../../load/schedule.ts"
import { feasibility, Infeasible } from "../peers/overload/feasibility.js"
import { makePool } from "../peers/overload/pool.js"
import {
  ceiling,
  contradiction,
  jobOf,
  names,
  phasesOf,
  type PoolSeen,
  recoverySeconds,
  sampleOf,
} from "./shape.ts"

const none = { count: 0, p50: 0, p90: 0, p99: 0, p999: 0, max: 0 }

const part = (phase: number, calls: number, good: number, refused: number): Part => {
  const counts = Object.fromEntries(outcomes.map((name) => [name, 0])) as Record<string, number>
  return {
    ...phasesOf(6)[phase]!,
    stream: "clients",
    phase: phasesOf(6)[phase]!.name,
    fromMs: [0, 3000, 9000, 17_000][phase]!,
    calls,
    good,
    attempts: calls,
    outcomes: { ...counts, good, refused, timeout: calls - good - refused } as Part["outcomes"],
    latency: none,
    refusal: { ...none, count: refused, p50: 0.2, p99: 2 },
    refusals: {},
    statuses: {},
    histogram: "",
  }
}

const result = (...parts: ReadonlyArray<Part>): Result => ({
  ...{ at: "", seed: 1, arrivals: "poisson", seconds: 24, parts, windowMs: 1000, series: [] },
  arrived: Array.from({ length: 230 }, () => ({ calls: 4, good: 4 })),
  ...{ lateness: none, valid: true, connections: { opened: 1, most: 1 } },
  ...{ problem: null, controlsFailed: 0 },
})

const pool: PoolSeen = {
  ...{ started: 947, completed: 947, running: 0, mostRunning: 10, waiting: 0, mostWaiting: 0 },
}
const perfect = result(
  part(0, 120, 120, 0),
  part(1, 3000, 340, 2660),
  part(2, 320, 320, 0),
  part(3, 3000, 165, 2835),
)

describe("the run of the suite overload", () => {
  it("has the phases of the evidence: 3, 6, 8 and 6 s, of which the last has slow queries", () => {
    expect(phasesOf(6).map(({ seconds, rate }) => [seconds, rate]))
      .toEqual([[3, 40], [6, 500], [8, 40], [6, 500]])
    expect(jobOf(1, 2, 6, 1).controls).toEqual([{ atMs: 17_000, path: "/query?ms=400", port: 2 }])
  })

  it("gives the same arrivals to everybody in a round", () => {
    expect([...schedule(jobOf(1, 2, 6, 3)).atMs]).toEqual([...schedule(jobOf(7, 8, 6, 3)).atMs])
  })

  it("takes the ceiling from Little's law, the tail included", () => {
    expect([ceiling(6, 200), ceiling(6, 400)]).toEqual([340, 165])
  })
})

describe("what is read from a run", () => {
  it("is 100 % of the ceiling, nothing late and nothing wasted for a perfect one", () => {
    const sample = sampleOf(perfect, { ...pool, started: 945 })
    expect(sample).toMatchObject({
      [names.fast]: 100,
      [names.slow]: 100,
      [names.late]: 0,
      [names.wasted]: 0,
      [names.after]: 100,
      [names.recovery]: 0,
      [names.refusal99]: 2,
    })
  })

  it("counts what was admitted and not answered in time, and queries that ran for nobody", () => {
    const bad = result(
      part(0, 120, 120, 0),
      part(1, 3000, 40, 0),
      part(2, 320, 0, 0),
      part(3, 3000, 0, 0),
    )
    const sample = sampleOf(bad, { ...pool, started: 1600, completed: 1600 })
    expect(sample[names.late]).toBeCloseTo(99.33, 2)
    expect(sample[names.wasted]).toBe(90)
    expect(sample[names.after]).toBe(0)
    expect(sample[names.refusal99]).toBeNaN()
  })

  it("waits for a whole good second", () => {
    const windows = (bad: number) =>
      Array.from({ length: 80 }, (_, i) => ({ calls: 4, good: i < bad ? 3 : 4 }))
    expect(recoverySeconds(windows(0), 1000, 0, 8)).toBe(0)
    expect(recoverySeconds(windows(13), 1000, 0, 8)).toBeCloseTo(1.3)
    expect(recoverySeconds(windows(75), 1000, 0, 8)).toBe(8)
  })

  it("is not believed when it contradicts itself", () => {
    const outcome = (name: "wrong" | "unsent" | "unreachable") => {
      const first = perfect.parts[0]!
      const wrong = { ...first, outcomes: { ...first.outcomes, good: 119, [name]: 1 } }
      return contradiction({ ...perfect, parts: [wrong, ...perfect.parts.slice(1)] }, pool)
    }
    expect(contradiction(perfect, pool)).toBeUndefined()
    expect(contradiction(perfect, { ...pool, completed: 900 }))
      .toBe("945 good answers, but 900 queries completed")
    expect(contradiction(perfect, { ...pool, mostRunning: 11 })).toBe("11 queries ran at once")
    expect(contradiction({ ...perfect, controlsFailed: 1, problem: "why" }, pool)).toBe("why")
    expect(outcome("wrong")).toBe("wrong answers")
    expect(outcome("unsent")).toBe("1 requests found no connection")
    expect(outcome("unreachable")).toBe("1 requests reached nobody")
  })
})

describe("the pool that all subjects share", () => {
  it("runs ten queries at once, first in first out, each once", async () => {
    const shared = makePool(2)
    const order: Array<number> = []
    await Promise.all([1, 2, 3, 4].map(async () => order.push((await shared.query()).query)))
    expect(order).toEqual([1, 2, 3, 4])
  })

  it("is guarded well by the thirty lines: what cannot end in time is refused at once", async () => {
    const guard = feasibility({ slots: 1, deadlineMs: 1000 })
    const steps: Array<() => void> = []
    const work = () => new Promise<string>((done) => steps.push(() => done("done")))
    const first = guard(work)
    await new Promise((resolve) => setTimeout(resolve, 300))
    steps.shift()!()
    expect(await first).toBe("done")
    // 300 ms each: three fit into a second, the fourth does not.
    const others = [guard(work), guard(work), guard(work)]
    await expect(guard(work)).rejects.toBeInstanceOf(Infeasible)
    for (const other of others) {
      await expect.poll(() => steps.length).toBe(1)
      steps.shift()!()
      expect(await other).toBe("done")
    }
  })
})
