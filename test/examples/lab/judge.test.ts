import { describe, expect, it } from "@effect/vitest"
import type { Row } from "../../../examples/lab/burst.ts"
import { judge, tolerance } from "../../../examples/lab/judge.ts"
import type { Way } from "../../../examples/lab/results.ts"
import { defaults, variants } from "../../../examples/lab/variants.ts"

const way: Way = {
  server: "embedded",
  version: "18.4",
  roundTripMs: 0.5,
  medianMs: 203,
  longestMs: 210,
}
const [unbounded, deadline, oneMore] = variants(defaults)
const calm = { baseMs: 200, stallMs: 3 }

/** A hundred answers in waves of ten, each of that many milliseconds. */
const waves = (ms: number, count = 100): ReadonlyArray<Row> =>
  Array.from({ length: 100 }, (_, n) => {
    const ended = (Math.floor(n / 10) + 1) * ms
    return {
      arrived: n / 10,
      started: ended - ms,
      stopped: ended,
      ended,
      outcome: n < count ? "ok" : "timed out",
      reason: undefined,
    }
  })

describe("the verdict on real time", () => {
  it("tolerates twice the worst that a single query lost, and 5 ms at least", () => {
    expect(tolerance(way, 200)).toBeCloseTo(0.1)
    expect(tolerance({ ...way, longestMs: 201 }, 200)).toBeCloseTo(0.05)
  })

  it.each([
    ["is within up to the tolerance", 219, calm, "within"],
    ["is slower above it", 225, calm, "slower"],
    ["says nothing when the event loop stood still", 225, { baseMs: 200, stallMs: 30 }, "stalled"],
    ["is impossible below the prediction", 199, calm, "impossible"],
  ])("%s", (_, ms, circumstances, kind) => {
    expect(judge(unbounded!, way, waves(ms), circumstances).kind).toBe(kind)
  })

  it("does not call a request too fast that began a little later than the burst", () => {
    const { kind, slower } = judge(unbounded!, way, waves(200), calm)
    expect([kind, slower]).toEqual(["within", 0])
  })

  it("expects as many answers as queries of the measured length allow", () => {
    const found = judge(oneMore!, way, waves(203, 40), calm)
    expect(found).toMatchObject({ kind: "within", expectedOk: 40 })
    expect(judge(oneMore!, way, waves(203, 30), calm).kind).toBe("stalled")
    // The last of a hundred began 9.9 ms after the first, and leaves that much later.
    expect(judge(oneMore!, way, waves(200, 60), calm).kind).toBe("impossible")
    expect(judge(deadline!, way, waves(200, 50), calm).kind).toBe("within")
    expect(judge(deadline!, way, waves(200, 51), calm).kind).toBe("impossible")
  })
})
