import { describe, expect, it } from "@effect/vitest"
import { perRound, rotate, runRounds, type Subject, valuesOf, VerificationFailed } from "./suite.ts"

const subject = (id: string, log: Array<string>, measure = (): number => 1): Subject => ({
  id,
  name: id,
  start: () => {
    log.push(`start ${id}`)
    return Promise.resolve({
      warm: (seconds) => Promise.resolve(void log.push(`warm ${id} ${seconds}`)),
      measure: async (seconds) => {
        log.push(`measure ${id} ${seconds}`)
        return { cost: await measure() }
      },
      stop: () => Promise.resolve(void log.push(`stop ${id}`)),
    })
  },
})

const options = { seconds: 2, progress: () => {}, signal: new AbortController().signal }

describe("runRounds", () => {
  it("measures all subjects in each round, each time beginning with the next one", async () => {
    const log: Array<string> = []
    const rounds = await runRounds([subject("a", log), subject("b", log)], {
      ...options,
      rounds: 2,
    })
    expect(log).toEqual([
      ...["start a", "start b"],
      ...["warm a 0.5", "measure a 2", "warm b 0.5", "measure b 2"],
      ...["warm b 0.5", "measure b 2", "warm a 0.5", "measure a 2"],
      ...["stop a", "stop b"],
    ])
    expect(valuesOf(rounds, "a", "cost")).toEqual([1, 1])
  })

  it("stops every started subject when a verification fails", async () => {
    const log: Array<string> = []
    const wrong = subject("b", log, () => {
      throw new VerificationFailed("b: wrong")
    })
    await expect(runRounds([subject("a", log), wrong], { ...options, rounds: 1 }))
      .rejects.toThrow("b: wrong")
    expect(log.filter((line) => line.startsWith("stop"))).toEqual(["stop a", "stop b"])
  })

  it("measures several side by side when told to, and each of them once", async () => {
    const log: Array<string> = []
    let open = () => {}
    const both = new Promise<void>((resolve) => open = resolve)
    let inside = 0
    const meet = async (): Promise<number> => {
      if (++inside === 2) open()
      await both
      return 1
    }
    const subjects = ["a", "b", "c"].map((id) => ({
      ...subject(id, log),
      start: async () => ({
        ...await subject(id, log).start(),
        measure: async () => ({ cost: await meet() }),
      }),
    }))
    const rounds = await runRounds(subjects, { ...options, rounds: 1, lanes: 2 })
    expect([...rounds[0]!.keys()].sort()).toEqual(["a", "b", "c"])
  })

  it("lets the other lane end, and nothing else begin, when one fails", async () => {
    const log: Array<string> = []
    let release = () => {}
    const gate = new Promise<number>((resolve) => release = () => resolve(1))
    const wrong = subject("a", log, () => {
      setTimeout(release, 0)
      throw new VerificationFailed("a: wrong")
    })
    const slow: Subject = {
      ...subject("b", log),
      start: async () => ({
        ...await subject("b", log).start(),
        measure: async () => {
          await gate
          log.push("measured b")
          return { cost: 1 }
        },
      }),
    }
    await expect(runRounds([wrong, slow, subject("c", log)], { ...options, rounds: 1, lanes: 2 }))
      .rejects.toThrow("a: wrong")
    expect(log.indexOf("measured b")).toBeLessThan(log.indexOf("stop a"))
    expect(log).not.toContain("measure c 2")
  })

  it("stops what has started when it is aborted", async () => {
    const log: Array<string> = []
    const abort = new AbortController()
    const last = subject("b", log, () => {
      abort.abort(new Error("ended"))
      return 1
    })
    await expect(runRounds([last], { ...options, rounds: 9, signal: abort.signal }))
      .rejects.toThrow("ended")
    expect(log).toEqual(["start b", "warm b 0.5", "measure b 2", "stop b"])
  })
})

describe("rotate", () => {
  it("keeps the order and begins further on", () => {
    expect(rotate(["a", "b", "c"], 4)).toEqual(["b", "c", "a"])
    expect(rotate([], 3)).toEqual([])
  })
})

describe("perRound", () => {
  const rounds = [[10, 40], [100, 100], [20, 30]]
    .map(([a, b]) => new Map([["a", { cost: a! }], ["b", { cost: b! }]]))

  it("divides within a round before it takes the median (the medians give 2)", () => {
    expect(perRound(rounds, "cost", (read) => read("b") / read("a"))).toBe(1.5)
  })

  it("reads another metric by its name", () => {
    const samples = [new Map([["a", { cost: 10, rate: 3 }]])]
    expect(perRound(samples, "cost", (read) => read("a", "rate"))).toBe(3)
  })

  it("is NaN when a subject was not run", () => {
    expect(perRound(rounds, "cost", (read) => read("c") / read("a"))).toBeNaN()
  })
})
