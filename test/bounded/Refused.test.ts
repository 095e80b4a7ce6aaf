import { describe, expect, it } from "@effect/vitest"
import { Refused } from "@weir/runtime"

const facts = {
  _tag: "Refusal" as const,
  reason: "Overloaded" as const,
  kind: "event-loop",
  resource: "event-loop",
  inUse: 1,
  capacity: 2,
  waiting: 0,
  predictedWaitMs: 0,
  retryAfterMs: 250,
}

describe("the message of a refusal", () => {
  it("says what the process has too little of", () => {
    const said = (kind: string) => Refused.fromRefusal({ ...facts, kind }).message
    expect(said("event-loop")).toContain("the event loop is late")
    expect(said("memory")).toContain("memory is short")
    expect(said("admission")).toContain("no room")
  })

  it("names what has one word for its kind and its name once", () => {
    expect(Refused.fromRefusal(facts).message).toMatch(/^event-loop refused the work: /)
    const pool = Refused.fromRefusal({ ...facts, kind: "pool", resource: "database" })
    expect(pool.message).toMatch(/^pool "database" refused the work: /)
  })

  it("names the work beside the wait, which alone may be far below the deadline", () => {
    const infeasible = { ...facts, reason: "Infeasible" as const, kind: "bulkhead" }
    expect(Refused.fromRefusal({ ...infeasible, predictedWaitMs: 121.4 }).message).toContain(
      "the predicted wait of 121 ms and the predicted work together would not end before the deadline",
    )
  })
})
