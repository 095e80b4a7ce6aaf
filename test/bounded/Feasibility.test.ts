import { describe, expect, it } from "@effect/vitest"
import { Feasibility } from "@weir/runtime"
import { Schema } from "effect"

const between = (minimum: number, maximum: number) =>
  Schema.Int.check(Schema.isBetween({ minimum, maximum }))

const line = (
  capacity: number,
  elapsed: ReadonlyArray<number>,
  ahead: number,
  service: number,
): Feasibility.Line => ({
  capacity,
  inUse: elapsed.length,
  ahead,
  service,
  elapsedAt: (position) => elapsed[position]!,
})

/** The same line played out: each one ahead takes the slot that frees up first. */
const simulate = ({ capacity, inUse, ahead, service, elapsedAt }: Feasibility.Line): number => {
  const freeAt = Array.from(
    { length: capacity },
    (_, i) => i < inUse ? service - elapsedAt(i) : 0,
  )
  for (let i = 0; i < ahead; i++) {
    const first = freeAt.indexOf(Math.min(...freeAt))
    freeAt[first] = freeAt[first]! + service
  }
  return Math.min(...freeAt)
}

describe("Feasibility", () => {
  it("admits exactly those of 100 that finish by the deadline", () => {
    const admitted = (deadline: number) => {
      let count = 0
      for (let i = 0; i < 100; i++) {
        const wait = Feasibility.predictWait(line(10, [], count, 200))
        if (Feasibility.decide(wait, 200, deadline)) count++
      }
      return count
    }
    expect([199, 200, 500, 1000, 1100, 3000].map(admitted)).toEqual([0, 10, 20, 50, 50, 100])
  })

  it("predicts no wait while a slot is left", () => {
    expect(Feasibility.predictWait(line(3, [50], 1, 200))).toBe(0)
    expect(Feasibility.predictWait(line(3, [50], 2, 200))).toBe(150)
  })

  it("predicts that overdue work needs as long again as it has overrun", () => {
    expect(Feasibility.predictWait(line(1, [500], 0, 200))).toBe(300)
    expect(Feasibility.predictWait(line(1, [500], 1, 200))).toBe(500)
  })

  it("waits for the work above a lowered capacity to end first", () => {
    expect(Feasibility.predictWait(line(1, [150, 100], 0, 200))).toBe(100)
    expect(Feasibility.predictWait(line(1, [150, 100], 1, 200))).toBe(300)
  })

  it("lets the line drain past work that keeps its slot for many service times", () => {
    // The first two have run for 5 s: whoever waits gets one of the other two slots.
    const whales = [5000, 5000, 150, 50]
    expect([0, 1, 2, 3].map((ahead) => Feasibility.predictWait(line(4, whales, ahead, 200))))
      .toEqual([50, 150, 250, 350])
    expect(Feasibility.predictWait(line(3, [5000], 2, 200))).toBe(200)
    // Nothing moves: what is left is that all of it may take as long again.
    expect(Feasibility.predictWait(line(2, [5000, 4000], 0, 200))).toBe(4800)
  })

  it("keeps the margin that was asked for", () => {
    expect(Feasibility.decide(800, 200, 1000)).toBe(true)
    expect(Feasibility.decide(800, 200, 1000, 0.1)).toBe(false)
    expect(Feasibility.decide(800, 200, 1100, 0.1)).toBe(true)
  })

  it.prop(
    "predicts what a played-out line does, for constant service times",
    {
      capacity: between(1, 12),
      ahead: between(0, 60),
      service: between(1, 500),
      ages: Schema.Array(between(0, 500)),
    },
    ({ ages, ahead, capacity, service }) => {
      const elapsed = ages.slice(0, capacity).map((age) => Math.min(age, service))
        .sort((a, b) => b - a)
      const it = line(capacity, elapsed, ahead, service)
      expect(Feasibility.predictWait(it)).toBe(simulate(it))
    },
  )
})
