import { describe, expect, it } from "@effect/vitest"
import { Backlog } from "../../src/pool/backlog.ts"

describe("the backlog of those who were refused", () => {
  it("has one come after the other, in half of what there is", () => {
    const backlog = new Backlog()
    expect([1, 2, 3, 4].map(() => backlog.next(5000, 20))).toEqual([0, 40, 80, 120])
    // Time passes, and who was told has come.
    expect([backlog.next(5100, 20), backlog.next(5100, 20), backlog.next(9000, 20)])
      .toEqual([60, 100, 0])
  })

  it("knows nothing while nothing is known of the work", () => {
    const backlog = new Backlog()
    expect([1, 2, 3].map(() => backlog.next(0, 0))).toEqual([0, 0, 0])
  })

  it("fills a minute evenly, however many there are", () => {
    const backlog = new Backlog()
    const told = Array.from({ length: 12_000 }, () => backlog.next(0, 20))
    expect(Math.max(...told)).toBeLessThanOrEqual(60_000)
    const seconds = Map.groupBy(told, (ms) => Math.floor(ms / 1000))
    for (let second = 0; second < 60; second++) {
      expect([second, Math.abs(seconds.get(second)!.length - 200) <= 10]).toEqual([second, true])
    }
  })
})
