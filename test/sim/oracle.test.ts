import { describe, expect, it } from "@effect/vitest"
import { random } from "../support/random.ts"
import { bound, Fleet, type Job } from "./oracle.ts"
import type { Scenario } from "./scenario.ts"
import { Speed } from "./speed.ts"

/** The most that can be served, by trying every order in which the slots could take up the jobs. */
const most = (jobs: ReadonlyArray<Job>, capacity: number, speed: Speed): number => {
  let best = 0
  const search = (free: ReadonlyArray<number>, left: ReadonlyArray<Job>, served: number) => {
    best = Math.max(best, served)
    if (served + left.length <= best) return
    left.forEach((job, i) => {
      const first = free.indexOf(Math.min(...free))
      const end = speed.end(speed.begin(Math.max(free[first]!, job.release), job.work), job.work)
      if (end > job.deadline + 1e-9) return
      search(free.with(first, end), left.toSpliced(i, 1), served + 1)
    })
  }
  search(Array.from({ length: capacity }, () => 0), jobs, 0)
  return best
}

/** Up to seven jobs that come within a few service times of each other, in the order in which they come. */
const some = (
  next: () => number,
  work: () => number,
  deadlineMs: number,
): ReadonlyArray<Job> =>
  Array.from({ length: 1 + Math.floor(next() * 7) }, () => Math.round(next() * 400))
    .sort((a, b) => a - b)
    .map((release) => ({ release, work: work(), deadline: release + deadlineMs }))

const greedy = (jobs: ReadonlyArray<Job>, capacity: number, speed: Speed): number => {
  const fleet = new Fleet(capacity, speed)
  return jobs.filter(({ deadline, release, work }) => fleet.serves(release, work, deadline)).length
}

const slowing = (first: Partial<Scenario["phases"][number]>): Speed =>
  Speed.of({
    id: "",
    title: "",
    catches: "",
    pool: { capacity: 1, serviceMs: 100 },
    deadlineMs: 0,
    phases: [
      { name: "as ever", seconds: 0.15 },
      { name: "other", seconds: 0.25, ...first },
      { name: "as ever", seconds: 10 },
    ],
  })

describe("the oracle, against every possible schedule of small instances", () => {
  it("is exact for equal work", () => {
    for (let seed = 1; seed <= 400; seed++) {
      const next = random(seed)
      const capacity = 1 + Math.floor(next() * 3)
      const jobs = some(next, () => 100, 100 + Math.floor(next() * 200))
      expect([seed, greedy(jobs, capacity, Speed.steady)])
        .toEqual([seed, most(jobs, capacity, Speed.steady)])
    }
  })

  it("is exact for equal work while the pool becomes slower, stalls, hangs or refuses", () => {
    const speeds = [
      slowing({ serviceMs: 200 }),
      slowing({ fault: "stall" }),
      slowing({ fault: "hang" }),
      slowing({ fault: "refuse" }),
    ]
    for (let seed = 1; seed <= 400; seed++) {
      const next = random(seed)
      const capacity = 1 + Math.floor(next() * 2)
      const jobs = some(next, () => 100, 100 + Math.floor(next() * 400))
      const speed = speeds[seed % speeds.length]!
      expect([seed, greedy(jobs, capacity, speed)]).toEqual([seed, most(jobs, capacity, speed)])
    }
  })

  it("never says less than what is possible for unequal work, and is exact on one slot", () => {
    for (let seed = 1; seed <= 400; seed++) {
      const next = random(seed)
      const capacity = 1 + Math.floor(next() * 3)
      const deadlineMs = 100 + Math.floor(next() * 200)
      const jobs = some(next, () => 10 + Math.round(next() * 150), deadlineMs)
      const possible = most(jobs, capacity, Speed.steady)
      const said = bound(jobs, capacity).size
      expect(said, `seed ${seed}`).toBeGreaterThanOrEqual(possible)
      if (capacity === 1) expect([seed, said]).toEqual([seed, possible])
    }
  })

  it("serves (T + D - S) * c / S in a phase of T under constant overload", () => {
    const fleet = new Fleet(10, Speed.steady)
    let served = 0
    for (let i = 0; i < 5000; i++) if (fleet.serves(i * 2, 200, i * 2 + 1000)) served++
    // 10 s at 500/s: (10 + 1 - 0.2) * 10 / 0.2
    expect(served).toBe(540)
  })
})
