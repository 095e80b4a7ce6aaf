import { describe, expect, it } from "@effect/vitest"
import { random } from "../support/random.ts"
import { Timeline } from "./timeline.ts"

describe("Timeline", () => {
  it("lets events happen by time, those of one instant in the order in which they were planned", () => {
    for (let seed = 1; seed <= 50; seed++) {
      const next = random(seed)
      const time = new Timeline()
      const planned: Array<{ at: number; i: number }> = []
      const happened: Array<{ at: number; i: number }> = []
      for (let i = 0; i < 300; i++) {
        const event = { at: Math.floor(next() * 40), i }
        planned.push(event)
        time.plan(event.at, { fire: () => happened.push(event) })
      }
      time.run()
      expect(happened).toEqual(planned.sort((a, b) => a.at - b.at || a.i - b.i))
      expect(time.size).toBe(0)
    }
  })

  it("lets a limit pass only after everything else of its instant", () => {
    const time = new Timeline()
    const happened: Array<string> = []
    time.planLast(10, { fire: () => happened.push("limit") })
    time.plan(5, {
      fire: (now) => time.plan(now + 5, { fire: () => happened.push("work") }),
    })
    time.run()
    expect([happened, time.now]).toEqual([["work", "limit"], 10])
  })

  it("plans nothing before now", () => {
    const time = new Timeline()
    const happened: Array<number> = []
    time.plan(10, { fire: () => time.plan(3, { fire: (now) => happened.push(now) }) })
    time.run()
    expect(happened).toEqual([10])
  })
})
