import { describe, expect, it } from "@effect/vitest"
import { retryAfter, retryAfterMs } from "../../src/edge/jitter.ts"

const draws = Array.from({ length: 1000 }, (_, i) => (i + 0.5) / 1000)

/** How often each value of the header is told. */
const header = (ms: number): Record<string, number> => {
  const counts: Record<string, number> = {}
  for (const u of draws) counts[retryAfter(ms, u)] = (counts[retryAfter(ms, u)] ?? 0) + 1
  return counts
}

describe("when to try again", () => {
  it("is spread over whole seconds too: rounded up, all would be told the same", () => {
    expect(header(1000)).toEqual({ 1: 500, 2: 500 })
    expect(header(900)).toEqual({ 1: 526, 2: 474 })
    expect(header(5000)).toEqual({ 5: 500, 6: 500 })
    expect(header(20_000)).toEqual({ 20: 200, 21: 200, 22: 200, 23: 200, 24: 200 })
    // There is no time to spread them over.
    expect(header(1)).toEqual({ 1: 999, 2: 1 })
  })

  it("is never earlier than was predicted, and in milliseconds within its window", () => {
    for (const ms of [1, 40, 250, 999, 1000, 1001, 4000, 7321.5, 30_000]) {
      const window = Math.max(0.2 * ms, Math.min(ms, 1000))
      for (const u of draws) {
        expect(Number(retryAfter(ms, u)) * 1000).toBeGreaterThanOrEqual(ms)
        expect(Math.abs(retryAfterMs(ms, u) - (ms + u * window))).toBeLessThanOrEqual(0.5)
      }
    }
  })

  it("is exact without chance", () => {
    expect([retryAfter(29_400, 0), retryAfterMs(29_400, 0)]).toEqual(["30", 29_400])
  })
})
