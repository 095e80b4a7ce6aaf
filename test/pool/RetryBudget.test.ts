import { describe, expect, it } from "@effect/vitest"
import { RetryBudget } from "@weir/runtime"
import { random } from "../support/random.ts"

const drained = (budget: RetryBudget.RetryBudget, now: number): number => {
  let retries = 0
  while (budget.withdraw(now)) retries++
  return retries
}

describe("RetryBudget", () => {
  it("has three without any traffic, and again when their time is over", () => {
    const budget = RetryBudget.make()
    expect([drained(budget, 0), drained(budget, 8999), drained(budget, 10_000)]).toEqual([3, 0, 3])
  })

  // envoy #30205
  it("gives a thousand simultaneous failures a fifth, and three", () => {
    const budget = RetryBudget.make()
    for (let i = 0; i < 1000; i++) budget.deposit(0)
    expect(drained(budget, 0)).toBe(203)
  })

  it("forgets calls after their time", () => {
    const budget = RetryBudget.make({ minimum: 0 })
    for (let i = 0; i < 50; i++) budget.deposit(0)
    expect([budget.balance(9999), budget.balance(10_000)]).toEqual([10, 0])
  })

  it("never gives more than a fifth of the calls and three, in any ten seconds", () => {
    for (let seed = 1; seed <= 50; seed++) {
      const u = random(seed)
      const budget = RetryBudget.make()
      const calls: Array<number> = []
      const retries: Array<number> = []
      let now = 0
      for (let i = 0; i < 2000; i++) {
        now += u() < 0.01 ? u() * 20_000 : u() * 50
        if (u() < 0.6) {
          budget.deposit(now)
          calls.push(now)
        } else if (budget.withdraw(now)) {
          retries.push(now)
          // A tenth of the time is what is forgotten at once.
          const recent = (all: ReadonlyArray<number>, ms: number) =>
            all.filter((at) => at > now - ms).length
          const most = 0.2 * recent(calls, 10_000) + 3
          if (recent(retries, 9000) > most + 1e-9) throw new Error(`seed ${seed} at ${now}`)
        }
      }
      expect(retries.length).toBeGreaterThan(0)
    }
  })

  it("says what is wrong with its options", () => {
    expect(() => RetryBudget.make({ ratio: 2 })).toThrow("ratio is 2")
    expect(() => RetryBudget.make({ minimum: -1 })).toThrow("minimum is -1")
    expect(() => RetryBudget.make({ timeToLive: 0 })).toThrow("timeToLive is not a positive")
  })
})
