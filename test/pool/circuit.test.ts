import { describe, expect, it } from "@effect/vitest"
import { Circuit, type CircuitOptions, type Outcome, refused } from "../../src/pool/circuit.ts"
import { random } from "../support/random.ts"

const make = (options: Partial<CircuitOptions> = {}) =>
  new Circuit({
    window: { ms: 10_000 },
    minimumCalls: 4,
    failureRate: 0.5,
    slowAfterMs: 100,
    slowRate: 0.8,
    openMs: [1000, 2000, 4000],
    jitter: 0,
    probes: 3,
    probeMs: 5000,
    random: () => 0,
    ...options,
  })

/** One call that ends at once. */
const call = (circuit: Circuit, now: number, outcome: Outcome, elapsedMs = 1): boolean => {
  const token = circuit.enter(now)
  if (token === refused) return false
  circuit.settle(token, now, outcome, elapsedMs)
  return true
}

const times = (n: number, f: () => void) => {
  for (let i = 0; i < n; i++) f()
}

const broken = (options: Partial<CircuitOptions> = {}, now = 0) => {
  const circuit = make(options)
  times(4, () => call(circuit, now, "failure"))
  expect(circuit.phase(now)).toBe("open")
  return circuit
}

describe("a circuit", () => {
  describe("closed", () => {
    it("opens at its share of failures, not below its number of calls", () => {
      const circuit = make()
      call(circuit, 0, "success")
      times(2, () => call(circuit, 0, "failure"))
      expect(circuit.phase(0)).toBe("closed")
      call(circuit, 0, "failure")
      expect(circuit.phase(0)).toBe("open")
    })

    // Polly and gobreaker look after a failure only, resilience4j after each call.
    it("is not opened by a good call, be it that older good ones are forgotten or that it is enough", () => {
      const recovered = make()
      times(10, () => call(recovered, 0, "success"))
      times(8, () => call(recovered, 5000, "failure"))
      times(3, () => call(recovered, 12_000, "success"))
      expect([recovered.phase(12_000), recovered.rates(12_000).failure]).toEqual(["closed", 8 / 11])
      call(recovered, 12_000, "failure")
      expect(recovered.phase(12_000)).toBe("open")
      const few = make()
      times(3, () => call(few, 0, "failure"))
      call(few, 0, "success")
      expect(few.phase(0)).toBe("closed")
      call(few, 0, "failure")
      expect(few.phase(0)).toBe("open")
    })

    it("stays closed below its share", () => {
      const circuit = make()
      times(60, () => call(circuit, 0, "success"))
      times(50, () => call(circuit, 0, "failure"))
      expect(circuit.phase(0)).toBe("closed")
      times(10, () => call(circuit, 0, "failure"))
      expect(circuit.phase(0)).toBe("open")
    })

    it("forgets failures that have left its window", () => {
      const circuit = make()
      times(3, () => call(circuit, 0, "failure"))
      times(3, () => call(circuit, 20_000, "failure"))
      expect(circuit.phase(20_000)).toBe("closed")
    })

    it("opens at its share of slow calls, which succeeded", () => {
      const circuit = make()
      times(3, () => call(circuit, 0, "success", 101))
      call(circuit, 0, "success", 100)
      expect(circuit.phase(0)).toBe("closed")
      call(circuit, 0, "success", 500)
      expect(circuit.phase(0)).toBe("open")
    })

    it("does not count what says nothing", () => {
      const circuit = make()
      times(100, () => call(circuit, 0, "ignored", 1e6))
      expect([circuit.phase(0), circuit.rates(0).calls]).toEqual(["closed", 0])
    })

    it("counts calls instead of time, if asked to", () => {
      const circuit = make({ window: { calls: 4 } })
      call(circuit, 0, "failure")
      expect(circuit.rates(1e9).calls).toBe(1)
      times(4, () => call(circuit, 1e9, "success"))
      expect(circuit.rates(1e9)).toEqual({ calls: 4, failure: 0, slow: 0 })
    })
  })

  describe("open", () => {
    it("refuses until its time is up, and says when that is", () => {
      const circuit = broken()
      expect([call(circuit, 999, "success"), circuit.opensIn(999), circuit.refusals])
        .toEqual([false, 1, 1])
      expect(circuit.opensIn(1000)).toBe(0)
      expect(circuit.phase(1000)).toBe("half-open")
    })

    it("lasts longer each time, and begins anew after it was closed for as long", () => {
      const circuit = broken()
      call(circuit, 1000, "failure")
      call(circuit, 1000, "failure")
      expect([circuit.phase(1000), circuit.opensIn(1000)]).toEqual(["open", 2000])
      times(2, () => call(circuit, 3000, "failure"))
      expect(circuit.opensIn(3000)).toBe(4000)
      times(2, () => call(circuit, 7000, "failure"))
      expect(circuit.opensIn(7000)).toBe(4000)
      times(2, () => call(circuit, 11_000, "success"))
      expect(circuit.phase(11_000)).toBe("closed")
      // Closed for less than those four seconds: it goes on where it was.
      times(4, () => call(circuit, 14_000, "failure"))
      expect(circuit.opensIn(14_000)).toBe(4000)
      times(2, () => call(circuit, 18_000, "success"))
      times(4, () => call(circuit, 22_000, "failure"))
      expect(circuit.opensIn(22_000)).toBe(1000)
    })

    it("is shortened by its jitter, never lengthened", () => {
      for (const u of [0, 0.5, 0.999]) {
        const circuit = broken({ jitter: 0.2, random: () => u })
        expect(circuit.opensIn(0)).toBeCloseTo(1000 * (1 - 0.2 * u))
      }
    })
  })

  describe("half-open", () => {
    it("lets so many probes through, and no more until they have ended", () => {
      const circuit = broken()
      const tokens = [1, 2, 3, 4].map(() => circuit.enter(1000))
      expect(tokens.map((token) => token === refused)).toEqual([false, false, false, true])
      expect(circuit.opensIn(1000)).toBe(5000)
    })

    it("closes when the rest cannot change the answer, opens likewise", () => {
      const well = broken()
      times(2, () => call(well, 1000, "success"))
      expect(well.phase(1000)).toBe("closed")
      const ill = broken()
      times(2, () => call(ill, 1000, "failure"))
      expect(ill.phase(1000)).toBe("open")
    })

    // resilience4j #903
    it("is left in time when a probe never ends, without any other call", () => {
      const circuit = broken()
      circuit.enter(1000)
      expect([circuit.phase(5999), circuit.phase(6000)]).toEqual(["half-open", "open"])
      // The opening began when its time was up, not when somebody looked.
      expect(circuit.phase(8000)).toBe("half-open")
    })

    it("gives each probe a time of its own, also after an older one has ended", () => {
      const circuit = broken({ probeMs: 10_000, slowAfterMs: Infinity })
      const old = circuit.enter(1000)
      const young = circuit.enter(10_500)
      circuit.settle(old, 10_900, "success", 9900)
      expect([circuit.phase(11_000), circuit.phase(20_499)]).toEqual(["half-open", "half-open"])
      circuit.settle(young, 20_499, "success", 9999)
      expect(circuit.phase(20_499)).toBe("closed")
      // The older of those that are left decides, whichever ended.
      const three = broken({ probeMs: 10_000, slowAfterMs: Infinity })
      const [first, second] = [1000, 2000, 3000].map((now) => three.enter(now))
      three.settle(second!, 4000, "success", 2000)
      expect(three.phase(10_999)).toBe("half-open")
      three.settle(first!, 10_999, "ignored", 9999)
      expect(three.opensIn(10_999)).toBe(0)
      three.enter(10_999)
      expect(three.opensIn(10_999)).toBe(2001)
      expect([three.phase(12_999), three.phase(13_000)]).toEqual(["half-open", "open"])
    })

    it("ignores the probe that ends after its time", () => {
      const circuit = broken()
      const hung = circuit.enter(1000)
      expect(circuit.phase(6000)).toBe("open")
      circuit.settle(hung, 6001, "success", 5001)
      expect(circuit.phase(6001)).toBe("open")
    })

    it("gives the place of a cancelled probe back", () => {
      const circuit = broken()
      for (let i = 0; i < 20; i++) expect(call(circuit, 1000 + i, "ignored")).toBe(true)
      expect(circuit.phase(2000)).toBe("half-open")
      times(2, () => call(circuit, 2000, "success"))
      expect(circuit.phase(2000)).toBe("closed")
    })

    it("judges slow probes too", () => {
      const circuit = broken({ slowRate: 0.5 })
      times(2, () => call(circuit, 1000, "success", 1000))
      expect(circuit.phase(1000)).toBe("open")
    })
  })

  it("does not let begin what has waited since before it opened", () => {
    const circuit = make()
    const early = circuit.enter(0)
    expect(circuit.admits(early, 0)).toBe(true)
    times(4, () => call(circuit, 0, "failure"))
    expect([circuit.admits(early, 0), circuit.admits(early, 1000)]).toEqual([false, false])
    const probe = circuit.enter(1000)
    expect([circuit.admits(probe, 1000), circuit.refusals]).toEqual([true, 2])
    circuit.settle(probe, 1000, "success", 1)
    call(circuit, 1000, "success")
    expect([circuit.phase(1000), circuit.admits(early, 1000)]).toEqual(["closed", true])
  })

  it("ignores the outcomes of calls from before it opened", () => {
    const circuit = make()
    const early = Array.from({ length: 10 }, () => circuit.enter(0))
    for (const token of early.slice(0, 4)) circuit.settle(token, 0, "failure", 1)
    expect(circuit.phase(0)).toBe("open")
    // opossum #385: concurrent failures must neither prolong the opening nor cancel what ends it.
    for (const token of early.slice(4, 7)) circuit.settle(token, 500, "failure", 1)
    expect(circuit.opensIn(500)).toBe(500)
    expect(circuit.phase(1000)).toBe("half-open")
    for (const token of early.slice(7)) circuit.settle(token, 1000, "success", 1)
    expect(circuit.phase(1000)).toBe("half-open")
  })

  // opossum #385 and #119, resilience4j #903, as a property of any history.
  it("never stays open or half-open, and never lets more probes in than it may", () => {
    for (let seed = 1; seed <= 300; seed++) {
      const u = random(seed)
      const log: Array<string> = []
      const options = {
        jitter: u(),
        random: u,
        probes: 1 + Math.floor(u() * 4),
        minimumCalls: 1 + Math.floor(u() * 6),
        window: u() < 0.5 ? { ms: 500 + u() * 5000 } : { calls: 10 },
        slowAfterMs: 400,
        slowRate: 0.3 + 0.7 * u(),
        onTransition: (from: string, to: string, at: number) => {
          log.push(`${from} ${to}`)
          if (!(at <= now)) throw new Error(`seed ${seed}: a transition in the future`)
        },
      } as const
      let now = 0
      const circuit = make(options)
      const open: Array<
        { readonly token: number; readonly since: number; readonly after: number }
      > = []
      let opening = -1
      let probing = 0
      for (let i = 0; i < 400; i++) {
        now += Math.floor(u() < 0.05 ? u() * 8000 : u() * 200)
        if (u() < 0.55) {
          const phase = circuit.phase(now)
          const token = circuit.enter(now)
          if (phase === "open" && token !== refused) throw new Error(`seed ${seed}: ran while open`)
          if (phase === "closed" && token === refused) throw new Error(`seed ${seed}: refused`)
          if (token === refused) continue
          // The phase it began in: nothing happens between two transitions.
          open.push({ token, since: now, after: log.length })
          if (log.length !== opening) [opening, probing] = [log.length, 0]
          if (phase === "half-open" && ++probing > options.probes) {
            throw new Error(`seed ${seed}: ${probing} probes`)
          }
        } else if (open.length > 0 && u() < 0.8) {
          const [ended] = open.splice(Math.floor(u() * open.length), 1)
          const outcome = u() < 0.5 ? "failure" : u() < 0.8 ? "success" : "ignored"
          const probe = circuit.phase(now) === "half-open" && ended!.after === log.length
          if (probe && now - ended!.since >= 5000) throw new Error(`seed ${seed}: an overdue probe`)
          circuit.settle(ended!.token, now, outcome, now - ended!.since)
          if (probe && outcome === "ignored") probing--
        }
      }
      // Whatever hangs, after a probe's time and the longest opening a call gets through.
      now += 5000 + 4000
      circuit.phase(now)
      expect([seed, circuit.opensIn(now)]).toEqual([seed, 0])
      const allowed = [
        "closed open",
        "open half-open",
        "half-open open",
        "half-open closed",
      ]
      expect([seed, log.filter((step) => !allowed.includes(step))]).toEqual([seed, []])
      // Each transition starts where the one before it ended.
      const broken = log.slice(1).filter((step, i) => step.split(" ")[0] !== log[i]!.split(" ")[1])
      expect([seed, broken]).toEqual([seed, []])
    }
  })
})
