import { describe, expect, it } from "@effect/vitest"
import process from "node:process"
import v8 from "node:v8"
import vm from "node:vm"
import { weir } from "./ours.ts"
import { select } from "./scenarios.ts"
import { simulate } from "./simulate.ts"

v8.setFlagsFromString("--expose-gc")
const collect = vm.runInNewContext("gc") as () => void

describe("S16: ten minutes at ten times the capacity", () => {
  it("serves what the oracle does, in bounded memory and within its bound on the line", () => {
    const [s16] = select("S16")
    const heap: Array<number> = []
    const cpu = process.cpuUsage()
    const result = simulate(s16!, weir, {
      samples: false,
      onSecond: (second) => {
        if (second % 120 !== 0) return
        collect()
        heap.push(process.memoryUsage().heapUsed)
      },
    })
    const { system, user } = process.cpuUsage(cpu)
    expect(result.total.sent).toBeGreaterThan(295_000)
    expect(result.percent).toBeGreaterThanOrEqual(97)
    expect(result.total.late).toBe(0)
    expect(result.total.wastedShare).toBe(0)
    expect(result.line.longest).toBeLessThanOrEqual(result.line.bound)
    expect(heap.length).toBe(5)
    expect(heap.at(-1)! / heap[0]!, `heap ${heap.join(", ")}`).toBeLessThanOrEqual(1.02)
    // 1.5 s where this was written.
    expect((system + user) / 1e6).toBeLessThan(30)
  })
})
