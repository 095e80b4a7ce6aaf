/**
 * S4 and S5 with our service as the client of somebody else's: `main` is a dependency behind the real
 * `Dependency` with its breaker, its budget of retries, its throttle and its limit.
 */
import { describe, expect, it } from "@effect/vitest"
import type { Call } from "./call.ts"
import type { PhaseFigures, Result } from "./ledger.ts"
import { weirRemote } from "./ours.ts"
import { Remote } from "./remote.ts"
import type { Scenario } from "./scenario.ts"
import { scenarios } from "./scenarios.ts"
import { simulate } from "./simulate.ts"

const seeds = [1, 2, 3, 4, 5]

const scenarioOf = (id: string): Scenario => scenarios.find((it) => it.id === id)!

interface Run {
  readonly result: Result
  readonly remote: Remote
  readonly calls: ReadonlyArray<Call>
  readonly what: string
}

const runs = (scenario: Scenario, remoteOf = () => new Remote()): ReadonlyArray<Run> =>
  seeds.map((seed) => {
    const remote = remoteOf()
    const calls: Array<Call> = []
    const onAnswer = (call: Call) => void calls.push(call)
    const result = simulate(scenario, weirRemote(remote), { seed, onAnswer })
    return { result, remote, calls, what: `${scenario.id}, seed ${seed}` }
  })

const phaseOf = ({ result }: Run, name: string): PhaseFigures =>
  result.phases.find((phase) => phase.name === name)!

// In each of these scenarios.
const outage = { from: 10_000, to: 20_000 }

/** What was sent to the dependency while it was out of order. */
const sentTo = ({ remote }: Run) => {
  const sent = remote.sent.filter(({ at }) => at >= outage.from && at < outage.to)
  return { all: sent.length, again: sent.filter(({ first }) => !first).length }
}

/** From the end of the outage until the breaker tries again; 0 when it did not open. */
const probeAfter = ({ remote }: Run): number => {
  const probe = remote.transitions.find(({ at, to }) => to === "half-open" && at >= outage.to)
  return probe === undefined ? 0 : probe.at - outage.to
}

const closedAtTheEnd = ({ remote }: Run): boolean =>
  remote.transitions.length === 0 || remote.transitions.at(-1)!.to === "closed"

describe("S4 at a dependency", () => {
  it.each(["S4/hang", "S4/refuse", "S4/errors"])(
    "%s: all is well two seconds after the first probe that could succeed",
    (id) => {
      for (const run of runs(scenarioOf(id))) {
        const { ok, recoveryMs, sent } = phaseOf(run, "after")
        expect(recoveryMs, run.what).toBeLessThanOrEqual(probeAfter(run) + 2000)
        // An opening grows from 1 s by two to 8 s while an outage of 10 s lasts.
        expect(probeAfter(run), run.what).toBeLessThanOrEqual(8000)
        expect(ok, run.what).toBeGreaterThanOrEqual(0.98 * (sent - 50 * recoveryMs / 1000))
        expect([closedAtTheEnd(run), run.result.leaked], run.what).toEqual([true, 0])
      }
    },
  )

  it("sends less than it is asked for while all fails, retries included", () => {
    for (const run of [...runs(scenarioOf("S4/refuse")), ...runs(scenarioOf("S4/hang"))]) {
      const { all, again } = sentTo(run)
      const { operations } = phaseOf(run, "outage")
      expect(all, run.what).toBeGreaterThan(10)
      expect(all / operations, run.what).toBeLessThanOrEqual(1.1)
      // The budget counts the calls of ten seconds, so it holds those before the outage too.
      expect(again, run.what).toBeLessThanOrEqual(3 + 0.2 * 2 * operations)
    }
  })

  it("retries a fifth of the calls at most while half of them fail, and more succeed for it", () => {
    const [with20, without] = [undefined, false as const].map((retry) =>
      runs(scenarioOf("S4/errors"), () => new Remote(retry === undefined ? {} : { retry }))
        .reduce((sum, run) => {
          const { ok, operations } = phaseOf(run, "outage")
          const { all, again } = sentTo(run)
          expect(all / operations, run.what).toBeLessThanOrEqual(1.2)
          return { ok: sum.ok + ok, again: sum.again + again }
        }, { ok: 0, again: 0 })
    )
    expect(without!.again).toBe(0)
    expect(with20!.again).toBeGreaterThan(100)
    expect(with20!.ok).toBeGreaterThan(without!.ok)
  })

  it("lets in little that hangs, and takes each call back when its time is up", () => {
    for (const run of runs(scenarioOf("S4/hang"))) {
      const { admitted, heldMs } = phaseOf(run, "outage")
      expect(admitted, run.what).toBeLessThanOrEqual(60)
      // Of 100 s that ten servers have in this time.
      expect(heldMs, run.what).toBeLessThanOrEqual(25_000)
    }
  })

  it("with a timeout: hands the slots on, and finds its way back although its limit has shrunk", () => {
    for (const run of runs(scenarioOf("S4/hang"), () => new Remote({ timeout: 400 }))) {
      const { heldMs } = phaseOf(run, "outage")
      const { all } = sentTo(run)
      expect(heldMs, run.what).toBeLessThanOrEqual(400 * all)
      expect(all / phaseOf(run, "outage").operations, run.what).toBeLessThanOrEqual(1.1)
      // Calls that ran out of time count as too much, and the limit doubles until it is nearly what it was.
      const { recoveryMs } = phaseOf(run, "after")
      expect(recoveryMs, run.what).toBeLessThanOrEqual(probeAfter(run) + 3000)
    }
  })
})

describe("S5 at a dependency", () => {
  it.each(["S5/fixed", "S5/jitter"])("%s: does not add to what its clients do", (id) => {
    for (const run of runs(scenarioOf(id))) {
      const { operations, sent } = phaseOf(run, "outage")
      const { all, again } = sentTo(run)
      // The clients send three times as much. It gets less than without them.
      expect(sent / operations, run.what).toBeGreaterThan(2.5)
      expect(all / operations, run.what).toBeLessThanOrEqual(1.1)
      expect(again, run.what).toBeLessThanOrEqual(3 + 0.2 * (operations + sent))
      const { recoveryMs } = phaseOf(run, "after")
      expect(recoveryMs, run.what).toBeLessThanOrEqual(probeAfter(run) + 2000)
      expect([closedAtTheEnd(run), run.result.leaked], run.what).toEqual([true, 0])
    }
  })

  it("S5/retry-after: serves those who come back, when each has been told to come", () => {
    for (const run of runs(scenarioOf("S5/retry-after"))) {
      expect(sentTo(run).all / phaseOf(run, "outage").operations, run.what)
        .toBeLessThanOrEqual(1.1)
      // More than can be served at once: they come one after the other, for longer than the outage lasted.
      // Told all the same, they came together, and gave up: 66 to 70 %.
      const { operations, operationsOk } = run.result.total
      expect(operationsOk / operations, run.what).toBeGreaterThanOrEqual(0.75)
      expect([closedAtTheEnd(run), run.result.leaked], run.what).toEqual([true, 0])
    }
  })
})

describe("a pool in front of a dependency", () => {
  const behind = (id: string): Scenario => ({
    ...scenarioOf(id),
    pools: { before: { capacity: 10, serviceMs: 20 } },
    routes: { main: { pools: ["before", "main"] } },
    // Multiples would be of the first pool.
    phases: scenarioOf(id).phases.map((phase) => ({ ...phase, rate: 40 })),
  })

  it.each(["S4/refuse", "S4/errors", "S5/jitter"])(
    "%s: spends none of its time while the breaker is open",
    (id) => {
      let whileOpen = 0
      for (const run of runs(behind(id))) {
        const { remote: { transitions }, calls, what } = run
        transitions.forEach(({ at, to }, i) => {
          if (to !== "open") return
          const end = transitions[i + 1]?.at ?? Infinity
          const sent = calls.filter(({ sentAt }) => sentAt >= at && sentAt < end)
          whileOpen += sent.length
          expect(sent.filter(({ heldMs, outcome }) => outcome !== "refused" || heldMs > 0), what)
            .toEqual([])
        })
      }
      expect(whileOpen).toBeGreaterThan(50)
    },
  )

  it("S4/hang: spends little of its time on what then hangs", () => {
    for (const run of runs(behind("S4/hang"))) {
      // 20 ms each, of 100 s.
      const lost = run.calls.filter((call) => call.step > 0 && call.outcome !== "ok")
      expect(lost.length, run.what).toBeLessThanOrEqual(60)
      expect(phaseOf(run, "after").recoveryMs, run.what).toBeLessThanOrEqual(probeAfter(run) + 2000)
    }
  })
})

describe("refusals of our own", () => {
  it.each([["at the door", true], ["in its line", false]] as const)(
    "%s open no breaker and move no throttle, at 20 times the capacity",
    (_, declared) => {
      for (const id of ["S1", "S2"]) {
        for (const run of runs(scenarioOf(id), () => new Remote({}, declared))) {
          const refused = Object.values(declared ? run.result.total.refused : run.remote.refused)
          expect(refused.reduce((sum, n) => sum + n, 0), run.what).toBeGreaterThan(4000)
          expect(run.remote.transitions, run.what).toEqual([])
          expect(run.remote.refused["Throttled"], run.what).toBeUndefined()
          expect(sentTo(run).again, run.what).toBe(0)
          // Its limit tries more than it keeps; what the door promises does not depend on that.
          expect(run.result.percent, run.what).toBeGreaterThanOrEqual(98)
          expect(run.result.leaked, run.what).toBe(0)
        }
      }
    },
  )
})
