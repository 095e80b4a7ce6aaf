import { describe, expect, it } from "@effect/vitest"
import { Criticality } from "@weir/runtime"

describe("Criticality", () => {
  it("ranks the classes from the most critical on, and takes critical for what nobody named", () => {
    expect(Criticality.classes.map(Criticality.rankOf)).toEqual([0, 1, 2, 3])
    expect([Criticality.usually, Criticality.rankOf(undefined)]).toEqual(["critical", 1])
  })

  it("gives away all places, and no more", () => {
    const sum = Criticality.classes.reduce((sum, it) => sum + Criticality.shareOf(it), 0)
    expect(sum).toBeCloseTo(1, 12)
  })

  it("takes the less critical of two, whichever comes first", () => {
    for (const [i, one] of Criticality.classes.entries()) {
      for (const [j, other] of Criticality.classes.entries()) {
        expect(Criticality.least(one, other)).toBe(Criticality.classes[Math.max(i, j)])
      }
      expect([Criticality.least(one, undefined), Criticality.least(undefined, one)])
        .toEqual([one, one])
    }
    expect(Criticality.least(undefined, undefined)).toBe(undefined)
  })

  it("knows the names of its classes", () => {
    expect(["critical", "sheddable-plus", "urgent", 1, undefined].map(Criticality.isCriticality))
      .toEqual([true, true, false, false, false])
  })
})
