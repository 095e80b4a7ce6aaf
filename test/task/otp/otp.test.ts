import { beforeAll, describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import process from "node:process"
import { release, runOnOtp } from "./erlang.ts"
import { generate } from "./generate.ts"
import { handwritten } from "./handwritten.ts"
import type { Scenario } from "./scenario.ts"
import { runOnWeir } from "./weir.ts"

const otp = await release()
if (otp === undefined) {
  console.warn(
    "Skipped: Weir's supervisors were not compared with OTP's, because there is no `erl`. " +
      "Install it with: apt-get install erlang-base",
  )
}

/** Where the random scenarios begin: a new one for each run finds what no fixed one does. */
const first = Number(process.env["WEIR_OTP_SEED"] ?? 20_261_120)
const count = Number(process.env["WEIR_OTP_SCENARIOS"] ?? 600)

const random = Array.from({ length: count }, (_, i) => generate(first + i))

/** Both event logs of one scenario. */
interface Pair {
  readonly scenario: Scenario
  readonly otp: ReadonlyArray<string> | undefined
  readonly weir: ReadonlyArray<string>
}

const compare = async (all: ReadonlyArray<Scenario>): Promise<ReadonlyArray<Pair>> => {
  const theirs = runOnOtp(all)
  const weir: Array<ReadonlyArray<string>> = []
  for (const scenario of all) weir.push(await Effect.runPromise(runOnWeir(scenario)))
  const otp = await theirs
  return all.map((scenario, i) => ({ scenario, otp: otp.get(scenario.name), weir: weir[i]! }))
}

describe.skipIf(otp === undefined)(`Supervisor, compared with OTP ${otp}`, () => {
  let pairs: ReadonlyArray<Pair> = []

  // OTP waits in real time, all scenarios at once: some seconds, more on a busy machine.
  beforeAll(async () => {
    pairs = await compare([...handwritten, ...random])
  }, 120_000)

  it.each(handwritten.map(({ name }) => name))("does as OTP does: %s", (name) => {
    const pair = pairs.find(({ scenario }) => scenario.name === name)!
    expect(pair.otp?.length).toBeGreaterThan(1)
    expect(pair.weir).toEqual(pair.otp)
  })

  it(`does as OTP does in ${count} random scenarios, beginning with seed ${first}`, () => {
    const seeded = pairs.slice(handwritten.length)
    expect(seeded.length).toBe(count)
    for (const { scenario, otp, weir } of seeded) {
      const what = `${scenario.name}\n${JSON.stringify(scenario)}\n`
      expect(otp?.length, what).toBeGreaterThan(1)
      expect(weir, what).toEqual(otp)
    }
  })

  it("compares what matters: the random scenarios give up, restart groups, fail to start", () => {
    const seeded = pairs.slice(handwritten.length)
    const share = (is: (events: ReadonlyArray<string>) => boolean): number =>
      seeded.filter(({ otp }) => otp !== undefined && is(otp)).length / seeded.length
    const before = (events: ReadonlyArray<string>) => events.slice(0, events.indexOf("> stop"))
    expect(share((events) => before(events).includes("end shutdown"))).toBeGreaterThan(0.15)
    expect(share((events) => events.some((event) => event.startsWith("fail ")))).toBeGreaterThan(
      0.15,
    )
    expect(share((events) => events.some((event) => event.startsWith("ignore ")))).toBeGreaterThan(
      0.1,
    )
    expect(share((events) => events.includes("> wait"))).toBeGreaterThan(0.2)
    expect(share((events) => new Set(events).size < events.length - 3)).toBeGreaterThan(0.5)
  })
})
