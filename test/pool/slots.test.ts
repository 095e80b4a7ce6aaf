import { describe, expect, it } from "@effect/vitest"
import { Refused, ServiceTime } from "@weir/runtime"
import { Schema } from "effect"
import type { Ticket } from "../../src/bounded/Bounded.ts"
import { Entry } from "../../src/pool/entry.ts"
import { type Options, Slots } from "../../src/pool/slots.ts"
import { random } from "../support/random.ts"

const make = (options: Partial<Options> & { capacity: number }) =>
  new Slots({ kind: "pool", name: "db", ...options })

/** Enters and insists on a slot or a place in line. */
const enter = (slots: Slots, now: number, deadline = Infinity, ticket?: Ticket): Entry => {
  const entered = slots.enter(now, deadline, ticket)
  if (entered instanceof Entry) return entered
  throw new Error(`refused: ${entered.reason}`)
}

const reserve = (slots: Slots, now: number, deadline = Infinity, service?: number): Ticket => {
  const ticket = slots.reserve({ now, deadline, service })
  if (Refused.isRefusal(ticket)) throw new Error(`refused: ${ticket.reason}`)
  return ticket
}

const reasonOf = (answer: unknown): string => Refused.isRefusal(answer) ? answer.reason : "ok"

describe("slots", () => {
  describe("the backlog of those who were refused", () => {
    const told = (slots: Slots, now: number, left: number): number => {
      const no = slots.reserve({ now, deadline: now + left, service: undefined })
      return Refused.isRefusal(no) ? no.backlogMs ?? 0 : NaN
    }

    it("does not grow by who asks for what cannot be done in any line", () => {
      const slots = make({ capacity: 1, queueCapacity: 10, expectedMs: 100 })
      for (let i = 0; i < 100; i++) expect(told(slots, 0, 50)).toBe(0)
      enter(slots, 0)
      for (let i = 0; i < 100; i++) expect(told(slots, 0, 50)).toBe(0)
      expect([1, 2, 3].map(() => told(slots, 0, 150))).toEqual([0, 200, 400])
    })

    it("does not grow by who comes to a pool that has closed", () => {
      const slots = make({ capacity: 1, expectedMs: 100 })
      slots.close(0, "ShuttingDown")
      for (let i = 0; i < 10; i++) expect(told(slots, 0, 500)).toBe(0)
    })
  })

  describe("the line", () => {
    it("hands a slot to the oldest waiter before any newcomer", () => {
      const slots = make({ capacity: 1, queueCapacity: 1 })
      const [a, b] = [enter(slots, 0), enter(slots, 0)]
      slots.leave(a, 1, "completed")
      // Two newcomers in the same turn: one waits, one is refused; B keeps what it was given.
      expect(b.state).toBe("running")
      const c = enter(slots, 1)
      expect([c.state, reasonOf(slots.enter(1, Infinity))]).toEqual(["waiting", "QueueFull"])
      expect(b.refusal).toBe(undefined)
    })

    it("frees the place of a cancelled waiter in the same turn", () => {
      const slots = make({ capacity: 1, queueCapacity: 1 })
      enter(slots, 0)
      const b = enter(slots, 0)
      expect(reasonOf(slots.enter(0, Infinity))).toBe("QueueFull")
      slots.abandon(b, 0)
      expect(slots.stats(0).waiting).toBe(0)
      expect(enter(slots, 0).state).toBe("waiting")
    })

    it("passes on a slot that was handed to a waiter who is gone", () => {
      const slots = make({ capacity: 1 })
      const [a, b, c] = [enter(slots, 0), enter(slots, 0), enter(slots, 0)]
      slots.leave(a, 10, "completed")
      slots.abandon(b, 10)
      expect([b.state, c.state]).toEqual(["ended", "running"])
      expect(slots.stats(10)).toMatchObject({ inUse: 1, waiting: 0 })
    })

    it("takes a slot back once, however often it is told", () => {
      const slots = make({ capacity: 2 })
      const [a, b] = [enter(slots, 0), enter(slots, 0)]
      for (let i = 0; i < 3; i++) slots.leave(a, 5, "completed")
      slots.abandon(a, 5)
      expect(slots.stats(5).inUse).toBe(1)
      slots.leave(b, 5, "completed")
      expect(slots.stats(5).inUse).toBe(0)
    })

    it("reports the oldest wait and the high water", () => {
      const slots = make({ capacity: 1 })
      enter(slots, 0)
      const waiter = enter(slots, 10)
      enter(slots, 30)
      expect(slots.stats(50)).toMatchObject({ oldestWaitMs: 40, highWater: 2, waiting: 2 })
      slots.abandon(waiter, 50)
      expect(slots.stats(50)).toMatchObject({ oldestWaitMs: 20, highWater: 2, waiting: 1 })
    })

    it("refuses its waiters and newcomers when it closes, and keeps running work", () => {
      const slots = make({ capacity: 1 })
      const [a, b] = [enter(slots, 0), enter(slots, 0)]
      const ticket = reserve(slots, 0)
      slots.close(5)
      expect([a.state, b.refusal?.reason]).toEqual(["running", "Closed"])
      expect(reasonOf(slots.enter(5, Infinity))).toBe("Closed")
      expect(reasonOf(slots.enter(5, Infinity, ticket))).toBe("Closed")
      expect(reasonOf(slots.reserve({ now: 5, deadline: Infinity, service: 1 }))).toBe("Closed")
      slots.leave(a, 6, "completed")
      expect(slots.stats(6)).toMatchObject({ inUse: 0, waiting: 0, refused: { Closed: 4 } })
    })

    it("fills new slots when it grows, and lets work finish when it shrinks", () => {
      const slots = make({ capacity: 1 })
      const entries = [enter(slots, 0), enter(slots, 0), enter(slots, 0)]
      slots.resize(3, 1)
      expect(entries.map((_) => _.state)).toEqual(["running", "running", "running"])
      slots.resize(1, 2)
      const waiter = enter(slots, 2)
      slots.leave(entries[0]!, 3, "completed")
      slots.leave(entries[1]!, 3, "completed")
      expect(waiter.state).toBe("waiting")
      slots.leave(entries[2]!, 3, "completed")
      expect(waiter.state).toBe("running")
    })
  })

  describe("tickets", () => {
    it("count as ahead of a newcomer", () => {
      const slots = make({ capacity: 1, expectedMs: 100 })
      reserve(slots, 0, 1000)
      expect(slots.predict(0)).toBe(100)
      expect(reasonOf(slots.reserve({ now: 0, deadline: 150, service: undefined })))
        .toBe("Infeasible")
    })

    it("are redeemed by one acquire, at the place in line of that acquire", () => {
      const slots = make({ capacity: 1 })
      const [first, second] = [reserve(slots, 0), reserve(slots, 0)]
      const b = enter(slots, 1, Infinity, second)
      const a = enter(slots, 2, Infinity, first)
      expect([b.state, a.state]).toEqual(["running", "waiting"])
      expect([first.open, second.open, slots.stats(2).tickets]).toEqual([false, false, 0])
      // A second acquire with a spent ticket is a newcomer like any other.
      expect(enter(slots, 3, Infinity, first).state).toBe("waiting")
      expect(slots.stats(3)).toMatchObject({ inUse: 1, waiting: 2, tickets: 0 })
    })

    it("are released once", () => {
      const slots = make({ capacity: 1 })
      const ticket = reserve(slots, 0)
      reserve(slots, 0)
      ticket.release()
      ticket.release()
      expect(slots.stats(0).tickets).toBe(1)
    })

    it("never let more in than capacity and queue hold together", () => {
      const slots = make({ capacity: 3, queueCapacity: 2 })
      const tickets = Array.from({ length: 5 }, () => reserve(slots, 0))
      expect(reasonOf(slots.reserve({ now: 0, deadline: Infinity, service: 1 }))).toBe("QueueFull")
      expect(reasonOf(slots.enter(0, Infinity))).toBe("QueueFull")
      for (const ticket of tickets) enter(slots, 0, Infinity, ticket)
      expect(slots.stats(0)).toMatchObject({ inUse: 3, waiting: 2, tickets: 0 })
    })

    it("keep their promise when the estimate worsens, unless it has become impossible", () => {
      const slots = make({ capacity: 1 })
      for (let i = 0; i < 32; i++) slots.service.observe(100)
      const running = enter(slots, 0, 1000)
      const [a, b] = [reserve(slots, 0, 500), reserve(slots, 0, 400)]
      // It hangs: a newcomer would be refused, the holder of a ticket may still wait.
      expect(reasonOf(slots.enter(250, 400))).toBe("Infeasible")
      const kept = enter(slots, 250, 500, a)
      expect(reasonOf(slots.enter(350, 400, b))).toBe("Late")
      slots.leave(running, 290, "cancelled")
      expect(kept.state).toBe("running")
    })
  })

  describe("deadlines", () => {
    it("refuses at the turn of a waiter who has too little time left", () => {
      const slots = make({ capacity: 1, expectedMs: 100 })
      const a = enter(slots, 0, 1000)
      const [b, c] = [enter(slots, 0, 250), enter(slots, 0, 1000)]
      slots.leave(a, 160, "cancelled")
      expect([b.refusal?.reason, c.state]).toEqual(["Late", "running"])
      expect(b.waited).toBe(160)
    })

    it("refuses at once what is already too late", () => {
      const slots = make({ capacity: 1 })
      expect(reasonOf(slots.enter(100, 100))).toBe("Infeasible")
      expect(slots.stats(100).inUse).toBe(0)
    })

    it("closes the door while the running work hangs, though nothing has completed yet", () => {
      const slots = make({ capacity: 1 })
      enter(slots, 0)
      expect(enter(slots, 300, 1000).state).toBe("waiting")
      expect(reasonOf(slots.enter(900, 1000))).toBe("Infeasible")
    })

    it("believes what its callers declare until it has samples of its own", () => {
      const slots = make({ capacity: 10 })
      const admitted = Array.from(
        { length: 100 },
        () => slots.reserve({ now: 0, deadline: 1100, service: 200 }),
      ).filter((answer) => !Refused.isRefusal(answer))
      expect(admitted.length).toBe(50)
    })

    it("asks at its turn only for the time in the slot, not for all that a request expects", () => {
      const slots = make({ capacity: 1 })
      const late = reserve(slots, 0, 500, 400)
      // 300 ms of other work are done; what the slot is needed for is not known yet.
      const first = enter(slots, 300, 500, late)
      slots.leave(first, 350, "completed")
      expect(slots.service.estimate).toBe(50)
      expect(enter(slots, 440, 500, reserve(slots, 0, 500, 400)).state).toBe("running")
    })

    it("lets a first burst of unknown work in up to the bound, and sweeps it at the first sample", () => {
      const slots = make({ capacity: 10, queueCapacity: 70 })
      const answers = Array.from({ length: 100 }, () => slots.enter(0, 1100))
      const entries = answers.filter((_) => _ instanceof Entry)
      expect(entries.length).toBe(80)
      expect(slots.stats(0).refused.QueueFull).toBe(20)
      slots.leave(entries[0]!, 200, "completed")
      // 10 done or about to be, 40 can still make it, 30 cannot.
      expect(slots.stats(200)).toMatchObject({ inUse: 10, waiting: 39, refused: { Late: 30 } })
    })

    it("probes once per second when an idle thing would refuse everything, and recovers", () => {
      const slots = make({ capacity: 4, expectedMs: 50 })
      for (let i = 0; i < 4; i++) slots.leave(enter(slots, 0), 5000, "completed")
      expect(reasonOf(slots.enter(5999, 6499))).toBe("Infeasible")
      const probe = enter(slots, 6000, 6500)
      expect(reasonOf(slots.enter(6000, 6500))).toBe("Infeasible")
      slots.leave(probe, 6500, "cancelled")
      expect(reasonOf(slots.enter(6500, 7000))).toBe("Infeasible")
      // A ticket may be the probe; it is not asked again when it is redeemed.
      const ticket = reserve(slots, 7000, 7500)
      expect(reasonOf(slots.enter(7000, 7500))).toBe("Infeasible")
      slots.leave(enter(slots, 7010, 7500, ticket), 7060, "completed")
      expect(slots.service.estimate).toBe(50)
      expect(enter(slots, 7060, 7560).state).toBe("running")
    })

    it("says when to come back", () => {
      const slots = make({ capacity: 1, expectedMs: 100 })
      for (let i = 0; i < 3; i++) enter(slots, 0, 1000)
      const refusal = slots.enter(40, 240)
      expect(refusal).toMatchObject({
        _tag: "Refusal",
        reason: "Infeasible",
        kind: "pool",
        resource: "db",
        inUse: 1,
        capacity: 1,
        waiting: 2,
        predictedWaitMs: 260,
        retryAfterMs: 260,
      })
    })

    it("keeps the order of ages for large pools", () => {
      const slots = make({ capacity: 1000, expectedMs: 2000 })
      for (let i = 0; i < 1000; i++) enter(slots, i)
      for (let i = 0; i < 1000; i++) {
        // The newcomer behind i others inherits the slot of the i-th oldest.
        expect(slots.predict(1000)).toBeCloseTo(1000 + i, 6)
        enter(slots, 1000)
      }
    })
  })

  describe("CoDel", () => {
    const standing = (deadline: number, shed = true) => {
      const slots = make({ capacity: 1, expectedMs: 10, shed })
      let running = enter(slots, 0, deadline)
      const line = Array.from({ length: 20 }, () => enter(slots, 0, deadline))
      // Ten times slower than was promised.
      for (let now = 100; running !== undefined; now += 100) {
        slots.leave(running, now, "completed")
        running = line.find((_) => _.state === "running")!
      }
      return slots.stats(0)
    }

    it("sheds work without a deadline that waits far longer than it was promised", () => {
      expect(standing(Infinity).refused.Shed).toBeGreaterThan(10)
    })

    it("sheds nothing unless asked to", () => {
      expect(standing(Infinity, false).refused.Shed).toBe(0)
    })

    it("never sheds work that has a deadline", () => {
      expect(standing(1_000_000).refused).toMatchObject({ Shed: 0, Late: 0 })
    })

    it("never sheds a long line that drains as promised", () => {
      const slots = make({ capacity: 1, expectedMs: 100, shed: true })
      let running = enter(slots, 0)
      const line = Array.from({ length: 60 }, () => enter(slots, 0))
      for (const [i, next] of line.entries()) {
        slots.leave(running, (i + 1) * 100, "completed")
        expect(next.state).toBe("running")
        running = next
      }
    })
  })

  describe("under random load", () => {
    it.prop(
      "leaks nothing, keeps its bounds and its order, and answers everybody once",
      { seed: Schema.Int },
      ({ seed }) => {
        const next = random(seed)
        const pick = (n: number) => Math.floor(next() * n)
        const capacity = 1 + pick(4)
        const queueCapacity = pick(8)
        const slots = make(
          next() < 0.5
            ? { capacity, queueCapacity }
            : { capacity, queueCapacity, expectedMs: 1 + pick(50) },
        )
        const live = new Set<Entry>()
        const tickets = new Set<Ticket>()
        const answers = new Map<Entry, number>()
        const arrivals: Array<Entry> = []
        const started: Array<Entry> = []
        let now = 0
        const check = () => {
          const stats = slots.stats(now)
          let running = 0
          let waiting = 0
          for (const entry of live) {
            if (entry.state === "running") running++
            else if (entry.state === "waiting") waiting++
            else live.delete(entry)
          }
          for (const ticket of tickets) if (!ticket.open) tickets.delete(ticket)
          expect(stats.inUse).toBe(running)
          expect(stats.tickets).toBe(tickets.size)
          expect(stats.waiting).toBe(waiting + tickets.size)
          expect(running).toBeLessThanOrEqual(capacity)
          expect(waiting).toBeLessThanOrEqual(queueCapacity)
          expect(running + stats.waiting).toBeLessThanOrEqual(capacity + queueCapacity)
          // Work conserving: nobody waits before a free slot.
          if (waiting > 0) expect(running).toBe(capacity)
          expect(stats.predictedWaitMs).toBeGreaterThanOrEqual(0)
        }
        const arrive = (ticket?: Ticket) => {
          const deadline = next() < 0.3 ? Infinity : now + pick(200)
          const entry = slots.enter(now, deadline, ticket)
          if (!(entry instanceof Entry)) return
          live.add(entry)
          arrivals.push(entry)
          answers.set(entry, entry.state === "running" ? 1 : 0)
          if (entry.state === "running") started.push(entry)
          entry.wake = () => {
            answers.set(entry, answers.get(entry)! + 1)
            if (entry.state === "running") started.push(entry)
          }
        }
        const some = <A>(set: ReadonlySet<A>): A | undefined => [...set][pick(set.size)]
        for (let step = 0; step < 200; step++) {
          now += pick(10)
          const kind = next()
          const entry = some(live)
          const ticket = some(tickets)
          if (kind < 0.35) arrive()
          else if (kind < 0.5) {
            const got = slots.reserve({ now, deadline: now + pick(300), service: undefined })
            if (!Refused.isRefusal(got)) tickets.add(got)
          } else if (kind < 0.6) {
            if (ticket !== undefined) arrive(ticket)
          } else if (kind < 0.65) ticket?.release()
          else if (entry === undefined) continue
          else if (kind < 0.85) slots.leave(entry, now, next() < 0.7 ? "completed" : "cancelled")
          else if (kind < 0.95) {
            if (entry.state === "waiting") answers.set(entry, 1)
            slots.abandon(entry, now)
          } else {
            slots.expire(entry, now)
          }
          check()
        }
        // Everybody leaves.
        for (const ticket of tickets) ticket.release()
        while (live.size > 0) {
          for (const entry of [...live]) slots.leave(entry, now, "completed")
          check()
        }
        expect(slots.stats(now)).toMatchObject({
          inUse: 0,
          waiting: 0,
          tickets: 0,
          oldestWaitMs: 0,
        })
        for (const count of answers.values()) expect(count).toBe(1)
        // First in, first out: those who started did so in the order of their arrival.
        const order = started.map((entry) => arrivals.indexOf(entry))
        expect(order).toEqual([...order].sort((a, b) => a - b))
      },
      { arbitrary: { runs: 100 } },
    )

    it("leaks nothing in 100 000 random cancellations", () => {
      const next = random(1)
      const slots = make({ capacity: 8, queueCapacity: 200, expectedMs: 20 })
      const live: Array<Entry> = []
      const tickets: Array<Ticket> = []
      let cancelled = 0
      for (let now = 0; cancelled < 100_000; now++) {
        for (let i = 0; i < 3; i++) {
          const got = slots.reserve({ now, deadline: now + 5000, service: undefined })
          if (!Refused.isRefusal(got)) tickets.push(got)
        }
        const ticket = tickets.splice(Math.floor(next() * tickets.length), 1)[0]
        if (ticket !== undefined && next() < 0.5) {
          ticket.release()
          cancelled++
        } else {
          const entry = slots.enter(now, Infinity, ticket)
          if (entry instanceof Entry) live.push(entry)
        }
        for (let i = 0; i < 2; i++) {
          const entry = live.splice(Math.floor(next() * live.length), 1)[0]
          if (entry === undefined) continue
          cancelled++
          if (entry.state === "running") slots.leave(entry, now, "cancelled")
          else slots.abandon(entry, now)
        }
        if (slots.stats(now).inUse > 8) throw new Error("more than capacity")
      }
      for (const ticket of tickets) ticket.release()
      for (const entry of live) slots.abandon(entry, 0)
      expect(slots.stats(0)).toMatchObject({ inUse: 0, waiting: 0, tickets: 0 })
    })
  })

  describe("the reserve", () => {
    /** Ten slots that know work which is spread by half its mean of 200 ms. */
    const spread = (options: Partial<Options> = {}) => {
      const slots = make({ capacity: 10, ...options })
      const next = random(8)
      let now = 0
      for (let i = 0; i < 400; i++) {
        const entry = enter(slots, now, now + 10_000)
        const normal = Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next())
        slots.leave(entry, now += 178.9 * Math.exp(0.4724 * normal), "completed")
      }
      return { slots, now }
    }

    /** How many are let in at once, with a second each. */
    const atOnce = (slots: Slots, now: number): number => {
      let count = 0
      while (!Refused.isRefusal(slots.enter(now, now + 1000))) count++
      return count
    }

    it("is none where all work takes equally long", () => {
      const counts = [0.5, 0.001, 1e-6].map((risk) => {
        const slots = make({ capacity: 10, risk })
        for (let i = 0; i < 400; i++) slots.leave(enter(slots, 200 * i), 200 * i + 200, "completed")
        return atOnce(slots, 100_000)
      })
      expect(counts).toEqual([50, 50, 50])
    })

    it("shortens the line the more, the less may be late", () => {
      const counts = [0.5, 0.1, 0.01, 0.001].map((risk) => {
        const { now, slots } = spread({ risk })
        return atOnce(slots, now)
      })
      expect(counts).toEqual([...counts].sort((a, b) => b - a))
      expect(counts[0]).toBeGreaterThan(35)
      expect(counts[3]).toBeLessThan(0.95 * counts[0]!)
      expect(counts[3]).toBeGreaterThan(11)
    })

    it("can be changed while work goes on", () => {
      const { now, slots } = spread({ risk: 0.5 })
      const full = atOnce(slots, now)
      const again = spread({ risk: 0.5 })
      again.slots.update({ risk: 0.0001 }, again.now)
      expect(atOnce(again.slots, again.now)).toBeLessThan(full)
    })

    it("never refuses work that need not wait and has the time that it is expected to take", () => {
      const { now, slots } = spread({ risk: 1e-9 })
      const { estimate } = slots.service
      for (let i = 0; i < 10; i++) {
        expect(reasonOf(slots.enter(now, now + estimate + 1))).toBe("ok")
      }
      expect(reasonOf(slots.enter(now, now + estimate + 1))).toBe("Infeasible")
    })

    it("is asked of those who wait behind others, and not of the first in line", () => {
      for (const capacity of [1, 2, 10]) {
        const { now, slots } = spread({ risk: 1e-6 })
        slots.update({ capacity }, now)
        for (let i = 0; i < capacity; i++) enter(slots, now)
        const barely = () => now + slots.predict(now) + slots.service.estimate + 1
        expect(reasonOf(slots.enter(now, barely()))).toBe("ok")
        expect(reasonOf(slots.enter(now, barely()))).toBe("Infeasible")
      }
    })

    it("is paid for by those who need not wait, and strict once that is used up", () => {
      const { now, slots } = spread()
      for (let i = 0; i < 11; i++) enter(slots, now)
      const risky = () => {
        // Just what the mean allows, and a little more.
        const deadline = now + slots.predict(now) + slots.service.tail(2)
        const entered = slots.enter(now, deadline)
        if (Refused.isRefusal(entered)) return "refused"
        slots.abandon(entered, now)
        return "let in"
      }
      const answers = Array.from({ length: 20 }, risky)
      expect(answers[0]).toBe("let in")
      expect(answers.at(-1)).toBe("refused")
      expect(answers.lastIndexOf("let in")).toBe(answers.indexOf("refused") - 1)
    })

    it("counts the upper quantile of the endpoint, and not of the pool", () => {
      const { now, slots } = spread()
      slots.update({ capacity: 1 }, now)
      enter(slots, now)
      enter(slots, now)
      const constant = ServiceTime.make()
      for (let i = 0; i < 400; i++) constant.observe(50)
      const left = slots.predict(now) + 3.5 * slots.service.deviation + 50
      const of = (service: number, expectation: ServiceTime.ServiceTime) =>
        reasonOf(slots.reserve({ now, deadline: now + left, service, expectation }))
      expect([of(50, constant), of(50, slots.service)]).toEqual(["ok", "Infeasible"])
    })
  })
})
