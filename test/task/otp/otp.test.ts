import { describe, expect, it } from "@effect/vitest"
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
const pairs = (async () => {
  if (otp === undefined) return []
  const all: ReadonlyArray<Scenario> = [...handwritten, ...random]
  const theirs = runOnOtp(all)
  const compared: Array<{
    readonly scenario: Scenario
    readonly otp: ReadonlyArray<string> | undefined
    readonly weir: ReadonlyArray<string>
  }> = []
  for (const scenario of all) {
    const weir = await Effect.runPromise(runOnWeir(scenario))
    compared.push({ scenario, otp: undefined, weir })
  }
  const logs = await theirs
  return compared.map((pair) => ({ ...pair, otp: logs.get(pair.scenario.name) }))
})()

describe.skipIf(otp === undefined)(`Supervisor, compared with OTP ${otp}`, () => {
  it.each(handwritten.map(({ name }) => name))("does as OTP does: %s", async (name) => {
    const pair = (await pairs).find(({ scenario }) => scenario.name === name)!
    expect(pair.otp?.length).toBeGreaterThan(1)
    expect(pair.weir).toEqual(pair.otp)
  })

  it(`does as OTP does in ${count} random scenarios, beginning with seed ${first}`, async () => {
    const seeded = (await pairs).slice(handwritten.length)
    expect(seeded.length).toBe(count)
    for (const { scenario, otp, weir } of seeded) {
      const what = `${scenario.name}\n${JSON.stringify(scenario)}\n`
      expect(otp?.length, what).toBeGreaterThan(1)
      expect(weir, what).toEqual(otp)
    }
  })

  it("compares what matters: the random scenarios give up, restart groups, fail to start", async () => {
    const seeded = (await pairs).slice(handwritten.length)
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
