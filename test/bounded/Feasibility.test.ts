import { describe, expect, it } from "@effect/vitest"
import { Feasibility, ServiceTime } from "@weir/runtime"
import { Schema } from "effect"
import { shares } from "../../src/bounded/rank.ts"
import { random } from "../support/random.ts"

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

  it("does so too where times vary, and the other slots are only promised", () => {
    const whale = { ...line(4, [3_600_000], 3, 200), deviation: 100 }
    expect(Feasibility.predictWait(whale)).toBeLessThanOrEqual(200)
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

  it("reckons with three standard deviations more than expected, by who overtakes", () => {
    expect([0, 1, 10].map((mine) => Feasibility.overtaken(mine, 10, 0, "class"))).toEqual([0, 0, 0])
    // One for each own start: 10, and 3 * sqrt(10 * 4 * 1.5), 3 * sqrt(10 * 2), 3 * sqrt(10).
    expect(Feasibility.overtaken(10, 20, 20, "class")).toBe(34)
    expect(Feasibility.overtaken(10, 20, 20, "tenant")).toBe(24)
    expect(Feasibility.overtaken(10, 20, 20, "share")).toBe(20)
    // A tenant that comes seldom goes first.
    expect(Feasibility.overtaken(1, 1, 16, "tenant")).toBe(16 + 3 * 8)
  })

  it("is exceeded by less than one in a hundred lines that are overtaken at random", () => {
    // Each start is one of a more critical class if one has come meanwhile: one comes in half of the slots.
    const next = random(5)
    let more = 0
    for (let run = 0; run < 5000; run++) {
      let [own, others, waiting] = [0, 0, 0]
      while (own < 12) {
        for (
          let p = Math.exp(-0.5), u = next(), k = 1;
          u > p;
          p += Math.exp(-0.5) * 0.5 ** k / fact(k++)
        ) {
          waiting++
        }
        if (waiting > 0) {
          waiting--
          others++
        } else own++
      }
      if (others > Feasibility.overtaken(12, 20, 20, "class")) more++
    }
    expect(more).toBeGreaterThan(0)
    expect(more).toBeLessThan(50)
  })
})

const fact = (k: number): number => k < 2 ? 1 : k * fact(k - 1)

/** Samples of work that is spread by `cv` around that mean, as a lognormal variable. */
const lognormal = (next: () => number, mean: number, cv: number): number => {
  const variance = Math.log(1 + cv * cv)
  const normal = Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next())
  return mean * Math.exp(Math.sqrt(variance) * normal - variance / 2)
}

const learned = (sample: () => number, samples = 600): ServiceTime.ServiceTime => {
  const time = ServiceTime.make()
  for (let i = 0; i < samples; i++) time.observe(sample())
  return time
}

describe("Feasibility of work that varies", () => {
  it("turns a chance into standard deviations", () => {
    const table = [[0.5, 0], [0.9, 0], [0.1, 1.2816], [0.01, 2.3263], [0.001, 3.0902], [
      1e-6,
      4.7534,
    ]]
    for (const [risk, sigmas] of table) {
      expect(Feasibility.sigmas(risk!)).toBeCloseTo(sigmas!, 2)
    }
  })

  it("predicts waits of busy slots to within what it says of their deviation", () => {
    for (const cv of [0.1, 0.2, 0.5, 1]) {
      for (const k of [1, 3, 10, 25]) {
        const next = random(k)
        const work = () => lognormal(next, 200, cv)
        const ends = Array.from({ length: 10 }, work)
        const begun = ends.map(() => 0)
        let [sum, squares, runs] = [0, 0, 0]
        const start = () => {
          const slot = ends.indexOf(Math.min(...ends))
          begun[slot] = ends[slot]!
          return ends[slot]! += work()
        }
        for (let i = 0; i < 2000; i++) {
          start()
          if (i < 50 || i % 5 > 0) continue
          const now = begun.reduce((a, b) => Math.max(a, b))
          const ages = begun.map((since) => now - since).sort((a, b) => b - a)
          const wait = Feasibility.predictWait({
            ...line(10, ages, k - 1, 200),
            deviation: 200 * cv,
          })
          const rest = [...ends]
          let at = 0
          for (let j = 0; j < k; j++) {
            const first = rest.indexOf(Math.min(...rest))
            at = rest[first]!
            rest[first] = at + work()
          }
          const error = at - now - wait
          ;[sum, squares, runs] = [sum + error, squares + error * error, runs + 1]
        }
        const said = Feasibility.waitDeviation(k, 10, 200, 200 * cv)
        const what = `cv ${cv}, k ${k}: off by ${Math.sqrt(squares / runs)}, said ${said}`
        expect(Math.sqrt(squares / runs), what).toBeLessThan(1.35 * said)
        expect(Math.abs(sum / runs), what).toBeLessThan(said)
      }
    }
  })

  it("closes the door by itself when nothing moves, however much work varies", () => {
    const wait = (ms: number) =>
      Feasibility.predictWait({
        ...line(4, [ms + 30, ms + 20, ms + 10, ms], 0, 200),
        deviation: 150,
      })
    expect(wait(10)).toBeLessThan(120)
    expect(wait(1000)).toBeGreaterThan(700)
    expect(wait(5000)).toBeGreaterThan(4000)
  })

  it("keeps no reserve for constant times, nor for work that need not wait", () => {
    const constant = learned(() => 200)
    expect(Feasibility.waitDeviation(40, 10, constant.mean, constant.deviation)).toBe(0)
    expect(Feasibility.likely(800, 0, 200, constant, 1000, 3.09)).toBe(true)
    expect(Feasibility.likely(800, 0, 200, constant, 999, 3.09)).toBe(false)
    const next = random(3)
    const spread = learned(() => lognormal(next, 200, 0.5))
    expect(Feasibility.likely(0, 0, spread.estimate, spread, spread.estimate, 3.09)).toBe(true)
    expect(Feasibility.likely(0, 0, spread.estimate, spread, spread.estimate - 1, 3.09)).toBe(false)
    const wait = 1000 - spread.estimate
    expect(Feasibility.likely(wait, 0, spread.estimate, spread, 1000, 3.09)).toBe(false)
    expect(Feasibility.likely(wait, 0, spread.estimate, spread, 1000, 0)).toBe(true)
  })

  it("leaves room for the upper quantile of work whose time is spread by half", () => {
    let [late, sum] = [0, 0]
    for (let seed = 1; seed <= 20; seed++) {
      const next = random(seed)
      const time = learned(() => lognormal(next, 200, 0.5))
      let wait = 0
      while (
        Feasibility.likely(
          wait,
          Feasibility.waitDeviation(wait / 20, 10, time.mean, time.deviation),
          time.estimate,
          time,
          1000,
          Feasibility.sigmas(0.001),
        )
      ) wait += 5
      // The p99.9 is 770.
      sum += wait
      for (let i = 0; i < 5000; i++) if (wait + lognormal(next, 200, 0.5) > 1000) late++
    }
    expect(late / 100_000).toBeLessThan(0.002)
    expect(sum / 20).toBeGreaterThan(150)
  })

  it("accepts twice the risk of an idle pool where that is more than it may be", () => {
    const next = random(1)
    const time = learned(() => -200 * Math.log(1 - next()), 5000)
    const fits = (wait: number) => Feasibility.likely(wait, 0, time.estimate, time, 1000, 3.09)
    // One in 150 takes longer than a second anyway; after 139 ms it would be two.
    expect([fits(30), fits(300)]).toEqual([true, false])
  })

  it.prop(
    "never lets in what could not even just make it, and no more the longer the wait",
    {
      wait: between(0, 900),
      more: between(0, 300),
      deviation: between(0, 100),
      own: between(0, 600),
      left: between(-10, 1500),
      tenths: between(0, 40),
    },
    ({ deviation, left, more, own, tenths, wait }) => {
      const likely = (wait: number) =>
        Feasibility.likely(wait, deviation, own, sample, left, tenths / 10)
      if (likely(wait)) expect(left > 0 && Feasibility.decide(wait, own, left)).toBe(true)
      if (wait > 0 && likely(wait + more)) expect(likely(wait)).toBe(true)
    },
  )
})

const sample = (() => {
  const next = random(9)
  return learned(() => lognormal(next, 200, 0.5))
})()
