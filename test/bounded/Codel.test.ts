import { describe, expect, it } from "@effect/vitest"
import { Codel } from "@weir/runtime"
import { Schema } from "effect"

const wait = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1000 }))

describe("Codel", () => {
  it("scales target and interval with the service time", () => {
    expect([Codel.target(1, 10), Codel.target(200, 10)]).toEqual([5, 20])
    expect([Codel.interval(1), Codel.interval(200)]).toEqual([100, 400])
  })

  it("sheds a queue that stands for a whole interval, and stops when it drains", () => {
    const codel = Codel.make()
    const shed: Array<number> = []
    for (let now = 0; now <= 300; now += 10) {
      if (codel.dequeued(now, 60, 1, 1)) shed.push(now)
    }
    // The first interval only measures.
    expect(shed[0]).toBe(100)
    expect(codel.overloaded).toBe(true)
    codel.drained()
    expect(codel.dequeued(400, 60, 1, 1)).toBe(false)
    expect(codel.overloaded).toBe(false)
  })

  it("keeps who waited at most twice the target even while the queue stands", () => {
    const codel = Codel.make()
    for (let now = 0; now <= 200; now += 10) codel.dequeued(now, 60, 1, 1)
    expect(codel.dequeued(210, 10, 1, 1)).toBe(false)
    expect(codel.dequeued(220, 11, 1, 1)).toBe(true)
  })

  it.prop(
    "never sheds while the queue is empty at least once in each interval",
    { waits: Schema.Array(wait) },
    ({ waits }) => {
      const codel = Codel.make()
      waits.forEach((wait, i) => {
        expect(codel.dequeued(i * 50, wait, 1, 1)).toBe(false)
        codel.drained()
      })
    },
  )

  it.prop(
    "sheds nobody who waited at most twice the target",
    { waits: Schema.Array(wait) },
    ({ waits }) => {
      const codel = Codel.make()
      waits.forEach((wait, i) => {
        if (codel.dequeued(i * 20, wait, 200, 10)) expect(wait).toBeGreaterThan(40)
      })
    },
  )
})
