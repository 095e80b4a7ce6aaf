import { describe, expect, it } from "@effect/vitest"
import { Schema } from "effect"
import { median, significant, summarize } from "./stats.ts"

describe("median", () => {
  it("is the middle value, whatever the order", () => {
    expect(median([9, 1, 5])).toBe(5)
  })

  it("is the mean of the two middle values of an even count", () => {
    expect(median([4, 1, 3, 2])).toBe(2.5)
  })

  it("is a number also of the largest numbers", () => {
    expect(median([Number.MAX_VALUE, Number.MAX_VALUE])).toBe(Number.MAX_VALUE)
    expect(median([-Number.MAX_VALUE, Number.MAX_VALUE])).toBe(0)
    expect(median([Number.MIN_VALUE, Number.MIN_VALUE])).toBe(Number.MIN_VALUE)
  })

  it("is NaN without values", () => {
    expect(median([])).toBeNaN()
  })

  it.prop(
    "lies between the smallest and the largest value",
    [Schema.NonEmptyArray(Schema.Finite)],
    ([values]) => {
      const { median, min, max } = summarize(values)
      expect(median).toBeGreaterThanOrEqual(min)
      expect(median).toBeLessThanOrEqual(max)
    },
  )
})

describe("significant", () => {
  it("keeps three digits of a large and of a small number", () => {
    expect([significant(59_843), significant(14.449), significant(0.012345)])
      .toEqual([59_800, 14.4, 0.0123])
  })

  it("keeps NaN", () => {
    expect(significant(NaN)).toBeNaN()
  })
})
