import { describe, expect, it } from "@effect/vitest"
import { progress } from "../../../examples/lab/progress.ts"

const lines = (visible: boolean): ReadonlyArray<string> => {
  const written: Array<string> = []
  let now = 0
  const line = progress({ visible, write: (text) => written.push(text), now: () => now })
  for (; now < 1000; now++) line.tell("real A", now, 1000)
  line.clear()
  return written
}

describe("the progress line", () => {
  it("is written ten times a second at most, and taken away at the end", () => {
    const written = lines(true)
    expect(written).toHaveLength(11)
    expect(written[5]).toBe("\r\x1b[2Klab  0.5 s  real A  500/1000  ▇▇▇▇▁▁▁▁")
    expect(written.at(-1)).toBe("\r\x1b[2K")
  })

  it("is not written where nobody watches", () => {
    expect(lines(false)).toEqual([])
  })
})
