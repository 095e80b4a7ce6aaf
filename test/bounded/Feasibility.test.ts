import { describe, expect, it } from "@effect/vitest"
import { Feasibility } from "@weir/runtime"
import { Schema } from "effect"
import { shares } from "../../src/bounded/rank.ts"

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

const queued = Schema.Tuple([between(0, 50), between(0, 50), between(0, 50), between(0, 50)])
const rank = between(0, 3)

/** The same played out: below its share first, then the more critical; one slot at a time. */
const served = (own: number, all: ReadonlyArray<number>, rank: number): number => {
  const left = [...all]
  left[rank] = own + 1
  const had = [0, 0, 0, 0]
  for (let count = 0;; count++) {
    const waiting = [0, 1, 2, 3].filter((i) => left[i]! > 0)
    const below = waiting.find((i) => had[i]! < shares[i]! * (count + 1) - 1e-9)
    const next = below ?? waiting[0]!
    had[next]!++
    if (--left[next]! === 0 && next === rank) return count
  }
}

describe("Feasibility.ahead", () => {
  it("is its own class in a line of one class", () => {
    for (const own of [0, 1, 7, 40]) {
      for (let i = 0; i < 4; i++) {
        const all = [0, 0, 0, 0]
        all[i] = own
        expect(Feasibility.ahead(own, all, i)).toBe(own)
      }
    }
  })

  it("counts what is more critical, and the shares of what is less", () => {
    expect(Feasibility.ahead(10, [5, 10, 0, 0], 1)).toBe(15)
    // 10 of its own are 90 % of what is served meanwhile: sheddable gets the tenth.
    expect(Feasibility.ahead(9, [0, 9, 0, 50], 1)).toBe(10)
    expect(Feasibility.ahead(9, [0, 9, 1, 0], 1)).toBe(10)
  })

  it("never counts more than the share of its own class lets pass", () => {
    expect(Feasibility.ahead(0, [0, 1000, 0, 0], 3)).toBe(9)
    expect(Feasibility.ahead(0, [1000, 0, 0, 0], 1)).toBe(1)
  })

  it.prop("lies between its own class and all that waits", { own: between(0, 50), queued, rank }, ({
    own,
    queued,
    rank,
  }) => {
    const all = queued.map((n, i) => i === rank ? own : n)
    const ahead = Feasibility.ahead(own, all, rank)
    expect(Number.isInteger(ahead)).toBe(true)
    expect(ahead).toBeGreaterThanOrEqual(own)
    expect(ahead).toBeLessThanOrEqual(all.reduce((a, b) => a + b, 0))
  })

  it.prop("grows with everything that waits", { own: between(0, 50), queued, rank, more: rank }, ({
    more,
    own,
    queued,
    rank,
  }) => {
    const all = queued.map((n, i) => i === rank ? own : n)
    const mine = more === rank ? own + 1 : own
    const then = all.map((n, i) => i === more ? n + 1 : n)
    expect(Feasibility.ahead(mine, then, rank)).toBeGreaterThanOrEqual(
      Feasibility.ahead(own, all, rank),
    )
  })

  it.prop(
    "predicts what a line played out by the same rule does, to within one turn of the smallest class",
    { own: between(0, 50), queued, rank },
    ({ own, queued, rank }) => {
      const all = queued.map((n, i) => i === rank ? own : n)
      expect(Math.abs(Feasibility.ahead(own, all, rank) - served(own, all, rank)))
        .toBeLessThanOrEqual(1 / Math.min(...shares))
    },
  )
})

describe("Feasibility.turns and overtaken", () => {
  it("lets another tenant have one turn for each of one's own, and the one before it", () => {
    expect([Feasibility.turns(0, 40), Feasibility.turns(3, 40), Feasibility.turns(40, 3)])
      .toEqual([1, 4, 3])
  })

  it("reckons with three standard deviations more than expected", () => {
    expect([0, 1, 9, 100].map(Feasibility.overtaken)).toEqual([0, 4, 18, 130])
  })
})
