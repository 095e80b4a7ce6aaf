import { describe, expect, it } from "@effect/vitest"
import { onSignal } from "../../../examples/lab/stop.ts"

/** What signals at these milliseconds make it do. */
const signals = (...times: ReadonlyArray<number>): ReadonlyArray<string> => {
  const done: Array<string> = []
  let now = 0
  const signal = onSignal({
    now: () => now,
    stop: () => done.push(`stop ${now}`),
    leave: () => done.push(`leave ${now}`),
  })
  for (const time of times) {
    now = time
    signal()
  }
  return done
}

describe("Ctrl+C in the lab", () => {
  it("stops once, though it arrives from the terminal and from deno task", () => {
    expect(signals(5, 5)).toEqual(["stop 5"])
    expect(signals(5, 40, 1005)).toEqual(["stop 5"])
  })

  it("leaves at once when pressed again after a second", () => {
    expect(signals(5, 5, 1006)).toEqual(["stop 5", "leave 1006"])
  })
})
