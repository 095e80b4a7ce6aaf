import { describe, expect, it } from "@effect/vitest"
import { Schema } from "effect"
import { Spread } from "../../src/bounded/spread.ts"
import { random } from "../support/random.ts"

const fill = (sample: () => number, samples = 2000): Spread => {
  const spread = new Spread()
  for (let i = 0; i < samples; i++) spread.add(sample(), 1)
  return spread
}

/** Standard normal variables. */
const normals = (seed: number) => {
  const next = random(seed)
  return () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next())
}

describe("Spread", () => {
  it("is none for constant times, and for those that are all within 3 %", () => {
    const next = random(1)
    for (const sample of [() => 1, () => 0.97 + 0.06 * next()]) {
      const spread = fill(sample)
      expect([0, 1, 3.09, 6].map((z) => spread.quantile(z))).toEqual([1, 1, 1, 1])
    }
    expect([fill(() => 1).deviation, fill(() => 1).mean]).toEqual([0, 1])
  })

  it("says nothing before it has seen sixteen", () => {
    const times = [1, 2, 3, 4]
    let at = 0
    const spread = fill(() => times[at++ % 4]!, 15)
    expect([spread.deviation, spread.mean, spread.quantile(3), spread.rarity(2)])
      .toEqual([0, 1, 1, Infinity])
    spread.add(4, 1)
    expect(spread.quantile(3)).toBeGreaterThan(3)
  })

  it("finds the p99.9 of lognormal times to within a fifth", () => {
    for (const sigma of [0.1, 0.2, 0.47, 0.83]) {
      let sum = 0
      for (let seed = 1; seed <= 20; seed++) {
        const normal = normals(seed)
        sum += Math.log(fill(() => Math.exp(sigma * normal())).quantile(3.09))
      }
      expect(sum / 20 / (3.09 * sigma), `sigma ${sigma}`).toBeGreaterThan(0.85)
      expect(sum / 20 / (3.09 * sigma), `sigma ${sigma}`).toBeLessThan(1.15)
    }
  })

  it("goes little beyond the longest that it has seen", () => {
    const next = random(4)
    // One in fifty takes twenty times as long: the line through p90 and p99 would go to hundreds.
    const spread = fill(() => next() < 0.02 ? 20 : 1)
    expect(spread.quantile(3.09)).toBeGreaterThan(18)
    expect(spread.quantile(3.09)).toBeLessThan(23)
  })

  it("lets no single sample count for much in the deviation", () => {
    const spread = fill(() => 1, 500)
    spread.add(1000, 1)
    expect(spread.deviation).toBeLessThan(0.2)
  })

  it("forgets what is long ago", () => {
    const normal = normals(2)
    const spread = fill(() => Math.exp(normal()))
    for (let i = 0; i < 5000; i++) spread.add(1, 1)
    expect(spread.quantile(3.09)).toBeLessThan(1.05)
    expect(spread.deviation).toBeLessThan(0.02)
  })

  it.prop(
    "never falls with the standard deviations, and `rarity` undoes `quantile`",
    { times: Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2000 }))) },
    ({ times }) => {
      const spread = new Spread()
      for (const ms of times) spread.add(ms, 100)
      let before = 1
      for (let z = 0; z <= 4; z += 0.25) {
        const ratio = spread.quantile(z)
        expect(ratio).toBeGreaterThanOrEqual(before)
        before = ratio
        const back = spread.quantile(spread.rarity(ratio))
        if (spread.rarity(ratio) < Infinity) expect(back).toBeCloseTo(ratio, 6)
      }
    },
  )
})
