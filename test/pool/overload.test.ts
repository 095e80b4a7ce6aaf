import { describe, expect, it } from "@effect/vitest"
import { Refused } from "@weir/runtime"
import type { Ticket } from "../../src/bounded/Bounded.ts"
import type { Entry } from "../../src/pool/entry.ts"
import { Slots } from "../../src/pool/slots.ts"
import { random } from "../support/random.ts"

/** So many seconds of Poisson arrivals per second, each with so many milliseconds of work. */
interface Phase {
  readonly seconds: number
  readonly rate: number
  readonly service: number
}

/**
 * Ten slots in virtual time, with a ticket at the door and up to 20 ms between door and acquire; work
 * is cancelled at its deadline of 1 s. Answers per second of arrival.
 */
const simulate = (phases: ReadonlyArray<Phase>, deadlineMs = 1000) => {
  const next = random(42)
  const slots = new Slots({ kind: "pool", name: "db", capacity: 10 })
  const events: Array<{ at: number; order: number; run: () => void }> = []
  let order = 0
  let now = 0
  const at = (time: number, run: () => void) => {
    const event = { at: time, order: order++, run }
    let low = 0
    let high = events.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (events[middle]!.at <= time) high = middle
      else low = middle + 1
    }
    events.splice(low, 0, event)
  }
  const seconds = Array.from(
    { length: phases.reduce((sum, phase) => sum + phase.seconds, 0) },
    () => ({ arrived: 0, ok: 0, refused: 0, late: 0, timedOut: 0 }),
  )
  const ends = phases.map((_, i) =>
    phases.slice(0, i + 1).reduce((sum, phase) => sum + phase.seconds * 1000, 0)
  )
  const current = () => phases[ends.findIndex((end) => now < end)] ?? phases.at(-1)!
  const arrive = () => {
    const row = seconds[Math.floor(now / 1000)]!
    const deadline = now + deadlineMs
    const run = (entry: Entry) => {
      const end = now + current().service
      at(Math.min(end, deadline), () => {
        slots.leave(entry, now, end <= deadline ? "completed" : "cancelled")
        row[end <= deadline ? "ok" : "timedOut"]++
      })
    }
    const acquire = (ticket: Ticket) => {
      const entry = slots.enter(now, deadline, ticket)
      if (Refused.isRefusal(entry)) row.late++
      else if (entry.state === "running") run(entry)
      else {
        entry.wake = () => entry.refusal === undefined ? run(entry) : row.late++
        at(deadline, () => {
          if (entry.state !== "waiting") return
          slots.abandon(entry, now)
          row.timedOut++
        })
      }
    }
    row.arrived++
    const ticket = slots.reserve({ now, deadline, service: undefined })
    if (Refused.isRefusal(ticket)) row.refused++
    else at(now + next() * 20, () => acquire(ticket))
  }
  phases.forEach((phase, i) => {
    let time = ends[i - 1] ?? 0
    while ((time -= Math.log(1 - next()) * 1000 / phase.rate) < ends[i]!) at(time, arrive)
  })
  let most = 0
  for (let event = events.pop(); event !== undefined; event = events.pop()) {
    now = event.at
    event.run()
    const { inUse, waiting } = slots.stats(now)
    most = Math.max(most, inUse)
    if (waiting > slots.queueCapacity + 10) throw new Error("the line is longer than its bound")
  }
  expect(slots.stats(now)).toMatchObject({ inUse: 0, waiting: 0, tickets: 0 })
  expect(most).toBeLessThanOrEqual(10)
  for (const { arrived, late, ok, refused, timedOut } of seconds) {
    expect(ok + refused + late + timedOut).toBe(arrived)
  }
  return seconds
}

describe("slots under overload", () => {
  it("serve all they can at ten times their capacity, and everything once that is over", () => {
    const seconds = simulate([
      { seconds: 3, rate: 40, service: 200 },
      { seconds: 6, rate: 500, service: 200 },
      { seconds: 4, rate: 40, service: 200 },
    ])
    for (const second of seconds.slice(3, 9)) expect(second.ok).toBeGreaterThanOrEqual(47)
    for (const second of seconds.slice(10)) expect(second.ok).toBe(second.arrived)
    for (const second of seconds) expect(second.timedOut).toBe(0)
  })

  it("follow a dependency that becomes half as fast within 1.2 s, and back at once", () => {
    const seconds = simulate([
      { seconds: 5, rate: 500, service: 200 },
      { seconds: 6, rate: 500, service: 400 },
      { seconds: 4, rate: 500, service: 200 },
    ])
    for (const second of seconds.slice(7, 10)) {
      expect(second.ok).toBeGreaterThanOrEqual(23)
      expect(second.timedOut).toBe(0)
    }
    for (const second of seconds.slice(11, 15)) expect(second.ok).toBeGreaterThanOrEqual(47)
  })

  it("recover within a second from an outage in which all work ran into its deadline", () => {
    for (const rate of [40, 500]) {
      const seconds = simulate([
        { seconds: 3, rate, service: 200 },
        { seconds: 6, rate, service: 1_000_000 },
        { seconds: 4, rate, service: 200 },
      ])
      for (const second of seconds.slice(10)) {
        expect(second.ok).toBeGreaterThanOrEqual(Math.min(second.arrived, 47))
        expect(second.timedOut).toBe(0)
      }
      // While it lasts the door lets in no more than what could run.
      for (const second of seconds.slice(4, 9)) expect(second.timedOut).toBeLessThanOrEqual(12)
    }
  })
})
