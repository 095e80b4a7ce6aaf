import { afterEach, beforeEach, describe, expect, it, vi } from "@effect/vitest"
import { random } from "../support/random.ts"
import { Play } from "./conservation/play.ts"
import { generate, print, type Program, smaller } from "./conservation/program.ts"

const env = (name: string): number | undefined => {
  const value = Deno.env.get(name)
  return value === undefined ? undefined : Number(value)
}

/** One seed to play again, or how many to play. */
const only = env("WEIR_SEED")
const seeds = env("WEIR_SEEDS") ?? 2000

const start = (program: Program, seed: number): Play => new Play(program, random(seed ^ 0x5eed))

/** What is wrong, without the numbers: a smaller program must fail in the same way. */
const kindOf = (faults: ReadonlyArray<string>): string | undefined =>
  faults[0]?.replace(/\n[^]*/, "").replace(/^at \d+ ms: /, "").replace(/\d+/g, "n")
    .replace(/\b[ABC](\/[a-e])?(\/[xy])*\b/g, "actor")

/** The smallest program that it finds and that fails in the same way. */
const shrink = (program: Program, seed: number): Program => {
  const wanted = kindOf(start(program, seed).play())
  let best = program
  let budget = 3000
  for (let found = true; found;) {
    found = false
    for (const candidate of smaller(best)) {
      if (--budget < 0) return best
      if (kindOf(start(candidate, seed).play()) !== wanted) continue
      best = candidate
      found = true
      break
    }
  }
  return best
}

const report = (seed: number): string => {
  const small = shrink(generate(random(seed)), seed)
  const play = start(small, seed)
  return `Seed ${seed}; WEIR_SEED=${seed} plays only this one.\n\n` +
    `${play.play().join("\n")}\n\nThe program, made smaller:\n${print(small)}\n\n` +
    `What became of its messages:\n${play.ledger.print()}\n\nThe log:\n${play.world.log.join("\n")}`
}

describe("random programs of actors", () => {
  const bugs: Array<string> = []
  beforeEach(() => {
    // A callback that throws is logged where no service is known.
    vi.spyOn(console, "log").mockImplementation((...line) => {
      bugs.push(line.join(" "))
    })
  })
  afterEach(() => {
    vi.restoreAllMocks()
  })

  it("account for every message, answer every ask once, and leave nothing behind", () => {
    const seen = new Map<string, number>()
    const count = (what: string) => seen.set(what, (seen.get(what) ?? 0) + 1)
    for (let seed = only ?? 1; seed <= (only ?? seeds); seed++) {
      const play = start(generate(random(seed)), seed)
      const faults = play.play()
      if (faults.length > 0) expect.fail(report(seed))
      expect({ seed, bugs }).toEqual({ seed, bugs: [] })
      for (const sent of play.ledger.all) {
        count(play.ledger.stateOf(sent))
        count(`${sent.how} got ${sent.result}`)
      }
      if (play.world.tree.unsafe.abandonedCount > 0) count("abandoned")
    }
    if (only !== undefined || seeds < 2000) return
    // The programs were worth it.
    const rare = everything.filter((what) => (seen.get(what) ?? 0) < 5)
    expect(rare).toEqual([])
  }, 60_000 + seeds * 100)
})

/** What must have happened, and often. */
const everything = [
  ...["handled", "failed", "rejected", "expired", "cancelled", "dropped", "discarded"],
  ...["value", "Oops", "interrupted", "AskTimeout queued", "AskTimeout running", "ActorFailed"]
    .map((result) => `ask got ${result}`),
  ...["Stopped", "AskCycle"].map((result) => `ask got ${result}`),
  ...["Full", "Infeasible", "Residents", "Stash", "Dropped"]
    .map((reason) => `ask got MailboxFull ${reason}`),
  ...["value", "Stopped", "interrupted"].map((result) => `offer got ${result}`),
  ...["Offerers", "Residents", "OwnMailbox"].map((reason) => `offer got MailboxFull ${reason}`),
  ...["value", "Stopped", "MailboxFull Full"].map((result) => `tell got ${result}`),
  "abandoned",
]
