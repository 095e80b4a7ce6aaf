import { describe, expect, it } from "@effect/vitest"
import { VerificationFailed } from "../suite.ts"
import { Durations, Handled, Restarts } from "./shared.ts"

describe("Handled", () => {
  it("wakes the sender with the last message it expects, not before", async () => {
    const handled = new Handled()
    handled.expect(2)
    let woken = false
    const waiting = handled.all().then(() => woken = true)
    handled.hit()
    await Promise.resolve()
    expect([woken, handled.done]).toEqual([false, false])
    handled.hit()
    await waiting
    expect([woken, handled.done]).toEqual([true, true])
  })

  it("does not wait when all have been handled already", async () => {
    const handled = new Handled()
    handled.expect(1)
    handled.hit()
    await handled.all()
    expect(handled.done).toBe(true)
  })
})

describe("Durations", () => {
  it("gives the value below which a share lies, in µs", () => {
    const durations = new Durations()
    for (let i = 100; i > 0; i--) durations.add(i / 1000)
    expect([durations.at(0.5), durations.at(0.99), durations.size]).toEqual([51, 100, 100])
  })

  it("keeps the latest when there are more than fit", () => {
    const durations = new Durations()
    for (let i = 0; i < 1 << 18; i++) durations.add(1)
    for (let i = 0; i < 1 << 18; i++) durations.add(2)
    expect(durations.at(0)).toBe(2000)
  })
})

describe("Restarts", () => {
  const crashOnce = (restarts: Restarts): void => {
    restarts.crash()
    restarts.begin()
    restarts.message()
  }

  it("times each crash to the first message after it", () => {
    const restarts = new Restarts()
    restarts.begin()
    crashOnce(restarts)
    restarts.message()
    crashOnce(restarts)
    restarts.message()
    expect(restarts.taken.size).toBe(2)
    expect(restarts.figures(2, 2)["restart p50"]).toBeGreaterThan(0)
  })

  it("refuses figures when a message was lost", () => {
    const restarts = new Restarts()
    restarts.begin()
    crashOnce(restarts)
    expect(() => restarts.figures(1, 2)).toThrow(VerificationFailed)
  })

  it("refuses figures when the actor went on without a new incarnation", () => {
    const restarts = new Restarts()
    restarts.begin()
    restarts.crash()
    restarts.message()
    expect(() => restarts.figures(1, 1)).toThrow("incarnations: 1, and not 2")
  })
})
