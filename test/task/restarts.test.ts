import { describe, expect, it } from "@effect/vitest"
import { Cause, Context, Effect, Logger, Random, Schedule } from "effect"
import { restart, RestartBudget, Restarts } from "../../src/task/restarts.ts"
import { random } from "./support.ts"

/** The definition, without the window that slides. */
const naive = (failures: ReadonlyArray<number>, intensity: number, period: number) =>
  failures.map((now, i) =>
    failures.slice(0, i + 1).filter((at) => at >= now - period).length > intensity
      ? "exhausted"
      : "restart"
  )

const delays = (restarts: Restarts, at: ReadonlyArray<number>) =>
  at.map((now) => {
    const decision = restarts.crashed(now)
    return decision._tag === "Restart" ? decision.delayMs : "exhausted"
  })

describe("RestartBudget", () => {
  it("decides as its definition does, for 2 000 seeds, and holds no more than it must", () => {
    for (let seed = 0; seed < 2000; seed++) {
      const draw = random(seed)
      const intensity = draw(6)
      const period = 1 + draw(40)
      let now = 0
      const failures = Array.from({ length: draw(60) }, () => now += draw(2) * draw(period))
      const budget = new RestartBudget(intensity, period)
      const decided = failures.map((at) => budget.record(at))
      expect(decided, `seed ${seed}`).toEqual(naive(failures, intensity, period))
      const held = (budget as unknown as { readonly failures: ReadonlyArray<number> }).failures
      expect(held.length, `seed ${seed}`).toBeLessThanOrEqual(intensity + 1)
    }
  })

  it("frees exactly the failures that are older than the period", () => {
    const budget = new RestartBudget(2, 1000)
    expect([0, 400, 1000].map((at) => budget.record(at)))
      .toEqual(["restart", "restart", "exhausted"])
    expect(budget.record(1401)).toBe("restart")
    expect(budget.record(1402)).toBe("exhausted")
  })

  it("never restarts with an intensity of 0, and always with Infinity", () => {
    expect(new RestartBudget(0, 1000).record(0)).toBe("exhausted")
    const budget = new RestartBudget(Infinity, 1000)
    expect(Array.from({ length: 1000 }, () => budget.record(0))).not.toContain("exhausted")
  })
})

describe("Restarts", () => {
  it("restarts three times within five seconds, and says so when it gives up", () => {
    const restarts = new Restarts(restart())
    expect([0, 1, 2].map((now) => restarts.crashed(now))).toEqual([
      { _tag: "Restart", attempt: 1, delayMs: 0 },
      { _tag: "Restart", attempt: 2, delayMs: 0 },
      { _tag: "Restart", attempt: 3, delayMs: 0 },
    ])
    expect(restarts.crashed(5000)).toEqual({ _tag: "Exhausted", restarts: 3, withinMs: 5000 })
  })

  it("waits as the schedule says, and begins anew after a quiet period", () => {
    const policy = restart({ intensity: Infinity, backoff: Schedule.exponential("100 millis") })
    // Restarted at 200, it fails 4 999 ms later; restarted at 5 399, it fails 5 000 ms later.
    expect(delays(new Restarts(policy), [100, 5199, 10399])).toEqual([100, 200, 100])
  })

  it("counts the quiet from the end of a wait that was longer than the period", () => {
    const policy = restart({ period: "1 second", backoff: Schedule.exponential("1 minute") })
    const restarts = new Restarts(policy)
    // Due at 60 000; quiet means a minute of running.
    expect(delays(restarts, [0, 119_999])).toEqual([60_000, 120_000])
    expect(delays(restarts, [239_999 + 120_000])).toEqual([60_000])
  })

  it("begins anew after resetAfter, where that is given", () => {
    const policy = restart({
      intensity: Infinity,
      backoff: Schedule.exponential("10 millis"),
      resetAfter: "1 second",
    })
    expect(delays(new Restarts(policy), [0, 1009, 2029])).toEqual([10, 20, 10])
  })

  it("does not let a quiet of the back-off take back a counted failure", () => {
    const policy = restart({ intensity: 2, period: "1 hour", resetAfter: "1 second" })
    expect(delays(new Restarts(policy), [0, 60_000, 120_000])).toEqual([0, 0, "exhausted"])
  })

  it("gives up where the schedule ends", () => {
    const restarts = new Restarts(restart({ backoff: Schedule.recurs(2) }))
    expect([10, 20].map((now) => restarts.crashed(now)._tag)).toEqual(["Restart", "Restart"])
    expect(restarts.crashed(40)).toEqual({ _tag: "Exhausted", restarts: 2, withinMs: 30 })
  })

  it("steps the schedule with the cause of the failure", () => {
    const retriable = Schedule.forever.pipe(
      Schedule.while(({ input }: { readonly input: Cause.Cause<unknown> }) =>
        Effect.succeed(!Cause.hasDies(input))
      ),
    ) as Schedule.Schedule<unknown, Cause.Cause<unknown>>
    const restarts = new Restarts(restart({ backoff: retriable }))
    expect(restarts.crashed(0, Cause.fail("later"))._tag).toBe("Restart")
    expect(restarts.crashed(0, Cause.die("bug"))._tag).toBe("Exhausted")
  })

  it("draws the jitter from the context", () => {
    const policy = restart({ backoff: Schedule.jittered(Schedule.spaced("1 second")) })
    const run = Effect.map(
      Effect.context<never>(),
      (context) => delays(new Restarts(policy, context), [0, 1]),
    )
    const seeded = () => Effect.runSync(run.pipe(Random.withSeed("weir")))
    expect(seeded()).toEqual(seeded())
    expect(seeded()).not.toEqual([1000, 1000])
  })

  it("does not restart with a schedule that is broken, and says so", () => {
    const logged: Array<unknown> = []
    const logger = Logger.make(({ message }) => void logged.push(message))
    const context = Context.make(Logger.CurrentLoggers, new Set([logger]))
    const broken = Schedule.tap(Schedule.forever, () => Effect.die("boom"))
    const slow = Schedule.tap(Schedule.forever, () => Effect.never)
    expect(new Restarts(restart({ backoff: broken }), context).crashed(0)._tag).toBe("Exhausted")
    expect(new Restarts(restart({ backoff: slow }), context).crashed(0)._tag).toBe("Exhausted")
    expect(String(logged)).toContain("Bug: the back-off schedule failed.")
    expect(String(logged)).toContain("The back-off schedule suspended")
  })

  it("shares one budget where it is told to", () => {
    const policy = restart({ intensity: 1 })
    const budget = new RestartBudget(policy.intensity, policy.periodMs)
    const [a, b] = [1, 2].map(() => new Restarts(policy, undefined, budget))
    expect([a!.crashed(0)._tag, b!.crashed(0)._tag]).toEqual(["Restart", "Exhausted"])
  })
})

describe("restart", () => {
  it("refuses options that are out of their range", () => {
    expect(() => restart({ intensity: -1 })).toThrow(
      "intensity is -1. Use an integer of at least 0",
    )
    expect(() => restart({ intensity: 1.5 })).toThrow("intensity is 1.5")
    expect(() => restart({ intensity: NaN })).toThrow("intensity is NaN")
    expect(() => restart({ period: 0 })).toThrow("period is not a positive duration")
  })
})
