import { describe, expect, it } from "@effect/vitest"
import { Caller, Refused } from "@weir/runtime"
import { Schema } from "effect"
import type { Ticket } from "../../src/bounded/Bounded.ts"
import { shares } from "../../src/bounded/rank.ts"
import { Entry } from "../../src/pool/entry.ts"
import { Queues } from "../../src/pool/queues.ts"
import { type Options, Slots } from "../../src/pool/slots.ts"
import { random } from "../support/random.ts"
import { jain, play } from "./simulation.ts"

const tenant = (name: string): number =>
  Caller.tenantOf({ id: name, tenant: name, criticality: undefined })

const make = (options: Partial<Options> & { capacity: number }) =>
  new Slots({ kind: "pool", name: "db", ...options })

const enter = (slots: Slots, now: number, rank: number, who = 0, deadline = Infinity): Entry => {
  const entered = slots.enter(now, deadline, undefined, rank, who)
  if (entered instanceof Entry) return entered
  throw new Error(`refused: ${entered.reason}`)
}

const reserve = (slots: Slots, now: number, criticality: number, who = 0): Ticket | string => {
  const ticket = slots.reserve({
    now,
    deadline: Infinity,
    service: undefined,
    criticality,
    tenant: who,
  })
  return Refused.isRefusal(ticket) ? ticket.reason : ticket
}

const reasonOf = (answer: unknown): string => Refused.isRefusal(answer) ? answer.reason : "ok"

/** Slots that are always busy, with work of these classes always waiting: how often each is served. */
const serve = (capacity: number, backlog: ReadonlyArray<number>, rounds: number) => {
  const slots = make({ capacity, queueCapacity: 1000, expectedMs: 100 })
  const served = [0, 0, 0, 0]
  const running: Array<Entry> = []
  const arrive = (now: number, rank: number) => {
    const entry = enter(slots, now, rank)
    if (entry.state === "running") running.push(entry)
    else {
      entry.wake = () => {
        served[rank]!++
        running.push(entry)
        arrive(now, rank)
      }
    }
  }
  for (let i = 0; i < capacity; i++) arrive(0, backlog.at(-1)!)
  for (let i = 0; i < 3; i++) for (const rank of backlog) arrive(0, rank)
  for (let now = 100; now <= rounds * 100; now += 100) {
    for (const entry of running.splice(0)) {
      for (const rank of backlog) if (slots.stats(now).waiting < 20) arrive(now, rank)
      slots.leave(entry, now, "completed")
    }
  }
  const sum = served.reduce((a, b) => a + b, 0)
  return served.map((n) => n / sum)
}

describe("classes", () => {
  it("serve a class below its share before classes above theirs", () => {
    const slots = make({ capacity: 10, expectedMs: 100 })
    const low = Array.from({ length: 30 }, () => enter(slots, 0, 3))
    const high = Array.from({ length: 8 }, () => enter(slots, 0, 1))
    for (let i = 0; i < 10; i++) slots.leave(low[i]!, 100, "completed")
    // Eight critical ones, though thirty came before them; sheddable has its one slot, and what is left.
    expect(high.every(({ state }) => state === "running")).toBe(true)
    expect(low.filter(({ state }) => state === "running")).toHaveLength(2)
  })

  it.each([1, 2, 3, 4, 10, 50])(
    "get their shares of %s slots while all of them wait",
    (capacity) => {
      const got = serve(capacity, [0, 1, 2, 3], 4000 / capacity + 200)
      for (const [rank, share] of shares.entries()) expect(got[rank]).toBeCloseTo(share, 1)
    },
  )

  it.each([1, 4, 10])(
    "lend what is idle of %s slots to the most critical that waits",
    (capacity) => {
      const [, critical, , sheddable] = serve(capacity, [1, 3], 4000 / capacity + 200)
      expect(critical).toBeCloseTo(0.9, 1)
      expect(sheddable).toBeCloseTo(0.1, 1)
      expect(serve(capacity, [0, 2], 4000 / capacity + 200)[0]).toBeCloseTo(0.8, 1)
    },
  )

  it("use everything when they are alone", () => {
    for (const rank of [0, 1, 2, 3]) expect(serve(10, [rank], 50)[rank]).toBe(1)
  })

  it("wait first in, first out, whichever class it is, while there is one", () => {
    for (const rank of [0, 1, 2, 3]) {
      const slots = make({ capacity: 1 })
      const entries = Array.from({ length: 5 }, () => enter(slots, 0, rank, 7))
      for (const [i, entry] of entries.entries()) {
        expect(entry.state).toBe("running")
        slots.leave(entry, i + 1, "completed")
      }
    }
  })

  it("predict only the work that goes before a newcomer", () => {
    const slots = make({ capacity: 1, expectedMs: 100 })
    for (let i = 0; i < 11; i++) enter(slots, 0, 3)
    // Ten sheddable ones wait: a critical one goes before all of them but the share that they have.
    expect(reasonOf(slots.enter(0, 200, undefined, 1))).toBe("ok")
    expect(reasonOf(slots.enter(0, 200, undefined, 3))).toBe("Infeasible")
    expect(reasonOf(slots.enter(0, 1100, undefined, 3))).toBe("Infeasible")
  })

  describe("in a full line", () => {
    const full = () => {
      const slots = make({ capacity: 1, queueCapacity: 9 })
      const low = Array.from({ length: 10 }, () => enter(slots, 0, 3))
      return { slots, low }
    }

    it("displace the youngest of the class that has most beyond its share, and wake it at once", () => {
      const { low, slots } = full()
      let woken = 0
      low[9]!.wake = () => woken++
      const critical = enter(slots, 5, 1)
      expect([critical.state, low[9]!.state, low[9]!.refusal?.reason, woken])
        .toEqual(["waiting", "ended", "Displaced", 1])
      expect(slots.stats(5)).toMatchObject({ waiting: 9, refused: { Displaced: 1, QueueFull: 0 } })
    })

    it("do not displace a class that is no more than its share, nor a more critical one", () => {
      const slots = make({ capacity: 1, queueCapacity: 9 })
      for (let i = 0; i < 9; i++) enter(slots, 0, 1)
      enter(slots, 0, 3)
      expect(reasonOf(slots.enter(1, Infinity, undefined, 1))).toBe("QueueFull")
      expect(reasonOf(slots.enter(1, Infinity, undefined, 3))).toBe("QueueFull")
      // Of ten places critical has nine, three more than its share; sheddable has just its own.
      expect(reasonOf(slots.enter(1, Infinity, undefined, 0))).toBe("ok")
      expect(slots.stats(1).refused.Displaced).toBe(1)
    })

    it("displace nobody for work that could not finish in time anyway", () => {
      const slots = make({ capacity: 1, queueCapacity: 9, expectedMs: 100 })
      for (let i = 0; i < 10; i++) enter(slots, 0, 3)
      expect(reasonOf(slots.enter(0, 50, undefined, 1))).toBe("Infeasible")
      expect(slots.stats(0)).toMatchObject({ waiting: 9, refused: { Displaced: 0 } })
    })

    it("take the ticket of who has not redeemed it yet; its acquire is then a newcomer's", () => {
      const slots = make({ capacity: 1, queueCapacity: 2 })
      const tickets = [0, 1, 2].map((now) => reserve(slots, now, 3) as Ticket)
      expect(typeof reserve(slots, 3, 1)).toBe("object")
      expect(tickets.map((it) => it.open)).toEqual([true, true, false])
      expect(slots.stats(3)).toMatchObject({ tickets: 3, refused: { Displaced: 1 } })
      expect(reasonOf(slots.enter(4, Infinity, tickets[2], 3))).toBe("QueueFull")
      tickets[0]!.release()
      expect(reasonOf(slots.enter(5, Infinity, tickets[2], 3))).toBe("ok")
    })

    it("give a place to a tenant that has fewer than the one with most", () => {
      const slots = make({ capacity: 1, queueCapacity: 9 })
      const noisy = Array.from({ length: 10 }, () => enter(slots, 0, 1, tenant("noisy")))
      const other = enter(slots, 1, 1, tenant("other"))
      expect([other.state, noisy[9]!.refusal?.reason]).toEqual(["waiting", "Displaced"])
      expect(reasonOf(slots.enter(2, Infinity, undefined, 1, tenant("noisy")))).toBe("QueueFull")
    })
  })
})

describe("tenants of one class", () => {
  it("take turns", () => {
    const slots = make({ capacity: 1 })
    const names = ["a", "a", "a", "a", "b", "b", "c"]
    const entries = names.map((name) => enter(slots, 0, 1, tenant(name)))
    const order: Array<string> = []
    for (let now = 1; now <= names.length; now++) {
      const running = entries.findIndex(({ state }) => state === "running")
      order.push(names[running]!)
      slots.leave(entries[running]!, now, "completed")
    }
    expect(order.slice(0, 4).sort()).toEqual(["a", "a", "b", "c"])
    expect(order.slice(4).sort()).toEqual(["a", "a", "b"])
  })

  it("keep the order of their own work", () => {
    const slots = make({ capacity: 1 })
    const entries = Array.from({ length: 30 }, (_, i) => enter(slots, i, 1, tenant(`t${i % 3}`)))
    const started: Array<number> = []
    for (let now = 100; started.length < 30; now++) {
      const running = entries.findIndex(({ state }) => state === "running")
      started.push(running)
      slots.leave(entries[running]!, now, "completed")
    }
    for (const rest of [0, 1, 2]) {
      const own = started.filter((i) => i % 3 === rest)
      expect(own).toEqual([...own].sort((a, b) => a - b))
    }
  })

  it("whose work is long do not come to hold all slots", () => {
    const slots = make({ capacity: 4, expectedMs: 100 })
    const first = Array.from({ length: 4 }, () => enter(slots, 0, 1, tenant("x")))
    const whale = Array.from({ length: 6 }, () => enter(slots, 0, 1, tenant("whale")))
    const quick = Array.from({ length: 6 }, () => enter(slots, 0, 1, tenant("quick")))
    const running = (all: ReadonlyArray<Entry>) => all.filter((it) => it.state === "running")
    for (const it of first) slots.leave(it, 100, "completed")
    expect([running(whale).length, running(quick).length]).toEqual([2, 2])
    // Turn by turn the whale would get one of these, and then one of the next, until it had all four.
    for (const it of running(quick)) slots.leave(it, 110, "completed")
    expect([running(whale).length, running(quick).length]).toEqual([2, 2])
    for (const it of running(quick)) slots.leave(it, 120, "completed")
    expect([running(whale).length, running(quick).length]).toEqual([2, 2])
  })

  it("have a queue of their own each, up to some dozens", () => {
    for (let seed = 0; seed < 50; seed++) {
      const queues = new Queues()
      const taken = new Set<unknown>()
      for (let i = 0; i < 21; i++) {
        const queue = queues.for(tenant(`s${seed}-t${i}`))
        taken.add(queue)
        queues.ticket(queue, 1)
      }
      expect(taken.size).toBeGreaterThanOrEqual(20)
    }
  })

  it("share queues when there are more tenants than queues, and never wait for one", () => {
    const queues = new Queues()
    for (let i = 0; i < 1000; i++) queues.ticket(queues.for(tenant(`t${i}`)), 1)
    expect(queues.active).toHaveLength(64)
    const sizes = queues.active.map(({ queued }) => queued)
    expect(Math.max(...sizes)).toBeLessThan(3 * 1000 / 64)
  })
})

describe("scenarios", () => {
  const names = Array.from({ length: 20 }, (_, i) => `t${i}`)

  it.each([1, 2, 3])(
    "S8, seed %s: critical work is served while low-priority load is 12 ×",
    (seed) => {
      const { of, all } = play({
        streams: [
          { name: "critical", rank: 1, rate: 8, deadlineMs: 1000, decodeMs: 20 },
          { name: "low", rank: 3, rate: 12 * 32, from: 5, deadlineMs: 1000, decodeMs: 20 },
        ],
        seconds: 35,
        service: () => 200,
        seed,
      })
      const critical = of("critical")
      expect(critical.ok / critical.arrived).toBeGreaterThanOrEqual(0.999)
      // The slots are never idle for the sake of the few: 50 a second from second 5 on, and 40 before.
      expect(all("ok")).toBeGreaterThan(0.97 * (30 * 50 + 8 * 5))
      const low = of("low")
      expect(low.timedOut).toBe(0)
      expect(low.late / (low.arrived - low.refused)).toBeLessThan(0.04)
    },
  )

  it.each([1, 2, 3])(
    "S8, seed %s: also while critical work alone takes 84 % of the slots",
    (seed) => {
      const { of, all } = play({
        streams: [
          { name: "critical", rank: 1, rate: 42, deadlineMs: 1000, decodeMs: 20 },
          { name: "low", rank: 3, rate: 400, from: 5, deadlineMs: 1000, decodeMs: 20 },
        ],
        seconds: 35,
        service: () => 200,
        seed,
      })
      const critical = of("critical")
      expect(critical.ok / critical.arrived).toBeGreaterThanOrEqual(0.999)
      expect(all("ok")).toBeGreaterThan(0.97 * (30 * 50 + 42 * 5))
    },
  )

  it.each([1, 2, 3])("S9, seed %s: a tenant at 10 × costs 20 others nothing", (seed) => {
    for (const deadlineMs of [1000, undefined]) {
      const { of } = play({
        streams: [...names, "noisy"].map((name) => ({
          name,
          tenant: tenant(name),
          rate: name === "noisy" ? 20 : 2,
          decodeMs: 20,
          ...(deadlineMs === undefined ? {} : { deadlineMs }),
        })),
        seconds: 60,
        service: () => 200,
        seed,
      })
      const arrived = names.reduce((sum, name) => sum + of(name).arrived, 0)
      const ok = names.reduce((sum, name) => sum + of(name).ok, 0)
      expect(1 - ok / arrived).toBeLessThanOrEqual(0.01)
      expect(jain(names.map((name) => of(name).ok / of(name).arrived))).toBeGreaterThanOrEqual(0.99)
      // What they leave is the noisy one's.
      expect(of("noisy").ok).toBeGreaterThan(400)
    }
  })

  it("S9: in one line for all, without tenants, the others would lose", () => {
    const { of } = play({
      streams: [...names, "noisy"].map((name) => ({
        name,
        rate: name === "noisy" ? 20 : 2,
        deadlineMs: 1000,
      })),
      seconds: 60,
      service: () => 200,
      seed: 1,
    })
    const arrived = names.reduce((sum, name) => sum + of(name).arrived, 0)
    expect(1 - names.reduce((sum, name) => sum + of(name).ok, 0) / arrived).toBeGreaterThan(0.1)
  })
})

describe("adaptive LIFO", () => {
  const standing = (lifo: boolean, slow: number) => {
    const slots = make({ capacity: 1, expectedMs: 10, lifo })
    let running = enter(slots, 0, 1)
    const line = Array.from({ length: 20 }, () => enter(slots, 0, 1))
    const order: Array<number> = []
    for (let now = slow; running !== undefined; now += slow) {
      slots.leave(running, now, "completed")
      running = line.find((_) => _.state === "running")!
      if (running !== undefined) order.push(line.indexOf(running))
    }
    return order
  }
  const fifo = Array.from({ length: 20 }, (_, i) => i)

  it("never happens in normal operation: a line that drains as promised is served in order", () => {
    expect(standing(true, 10)).toEqual(fifo)
  })

  it("never happens unless asked for", () => {
    expect(standing(false, 100)).toEqual(fifo)
  })

  it("serves the newest whose promise is broken, while the queue stands", () => {
    const order = standing(true, 100)
    expect([...order].sort((a, b) => a - b)).toEqual(fifo)
    expect(order).not.toEqual(fifo)
    // Its waiters were promised 10 ms more each: at 300 ms those promised up to 145 ms have waited
    // twice as long.
    const turned = order.findIndex((it, i) => it !== i)
    expect(order[turned]).toBeGreaterThan(turned)
  })

  it("never overtakes work whose promise still holds", () => {
    const slots = make({ capacity: 1, expectedMs: 10, lifo: true })
    let running = enter(slots, 0, 1)
    const old = Array.from({ length: 10 }, () => enter(slots, 0, 1))
    for (let now = 100; now <= 400; now += 100) {
      slots.leave(running, now, "completed")
      running = old.find((_) => _.state === "running")!
    }
    const promised = enter(slots, 400, 1, 0, 5000)
    const after = Array.from({ length: 3 }, () => enter(slots, 400, 1))
    // As many as wait before it go before it, whatever their order.
    const before = old.filter((_) => _.state === "waiting").length
    let count = 0
    for (let now = 410; promised.state === "waiting"; now += 10, count++) {
      slots.leave(running, now, "completed")
      running = [...old, promised, ...after].find((_) => _.state === "running")!
    }
    expect(count).toBe(before + 1)
    expect(after.every((_) => _.state === "waiting")).toBe(true)
  })
})

describe("a class that others overtake", () => {
  it.each([[2, 3000], [10, 1000], [10, 3000]])(
    "is let in as often as its share of %i slots allows, with %i ms, however others press",
    (capacity, deadlineMs) => {
      const perSecond = capacity * 10
      // Lognormal, with a mean of 100 ms and a standard deviation of 50.
      const sigma = Math.sqrt(Math.log(1.25))
      const service = (_: number, next: () => number) => {
        const normal = Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next())
        return 100 * Math.exp(sigma * normal - sigma * sigma / 2)
      }
      const press = { deadlineMs: 1000, decodeMs: 20 }
      const { of } = play({
        streams: [
          { name: "critical", rank: 1, rate: 2 * perSecond, ...press },
          { name: "degraded", rank: 2, rate: perSecond / 2, ...press },
          { name: "sheddable", rank: 3, rate: perSecond / 2, ...press, deadlineMs },
        ],
        options: { capacity },
        seconds: 60,
        service,
        seed: 1,
      })
      const { late, ok, timedOut } = of("sheddable")
      expect(ok / 60 / perSecond).toBeGreaterThan(0.8 * shares[3]!)
      expect((late + timedOut) / ok).toBeLessThan(0.02)
    },
  )
})

describe("after a line", () => {
  it("refuses nobody for those who may overtake while there is a slot for everybody", () => {
    const slots = make({ capacity: 10, queueCapacity: 200, expectedMs: 100 })
    // Five sheddable waiters are overtaken by sixty critical ones.
    const all = Array.from({ length: 75 }, (_, i) => enter(slots, 0, i < 10 ? 0 : i < 15 ? 3 : 1))
    let now = 0
    while (slots.inUse > 0) {
      now += 100
      for (const it of all.filter((_) => _.state === "running")) slots.leave(it, now, "completed")
    }
    const answers = Array.from(
      { length: 10 },
      () => slots.reserve({ now, deadline: now + 200, service: undefined, criticality: 3 }),
    )
    expect(answers.map(reasonOf)).toEqual(Array(10).fill("ok"))
  })
})

describe("under random load with classes and tenants", () => {
  it.prop(
    "leaks nothing, keeps its bounds, serves each tenant in order, and answers everybody once",
    { seed: Schema.Int },
    ({ seed }) => {
      const next = random(seed)
      const pick = (n: number) => Math.floor(next() * n)
      const capacity = 1 + pick(4)
      const queueCapacity = pick(12)
      const slots = make({
        capacity,
        queueCapacity,
        lifo: false,
        ...(next() < 0.5 ? {} : { expectedMs: 1 + pick(50) }),
      })
      const live = new Set<Entry>()
      const tickets = new Set<Ticket>()
      const answers = new Map<Entry, number>()
      const arrivals: Array<Entry> = []
      const started: Array<Entry> = []
      let limit = capacity + queueCapacity
      let now = 0
      const check = () => {
        const stats = slots.stats(now)
        for (const entry of live) if (entry.state === "ended") live.delete(entry)
        for (const ticket of tickets) if (!ticket.open) tickets.delete(ticket)
        const waiting = [...live].filter((it) => it.state === "waiting").length
        expect(stats.inUse).toBe(live.size - waiting)
        expect(stats.tickets).toBe(tickets.size)
        expect(stats.waiting).toBe(waiting + tickets.size)
        expect(stats.inUse + stats.waiting).toBeLessThanOrEqual(limit)
        // Work conserving: nobody waits before a free slot.
        if (waiting > 0) expect(stats.inUse).toBeGreaterThanOrEqual(slots.capacity)
      }
      const arrive = (ticket?: Ticket) => {
        const deadline = next() < 0.3 ? Infinity : now + pick(200)
        const entry = slots.enter(now, deadline, ticket, pick(4), pick(3))
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
      for (let step = 0; step < 300; step++) {
        now += pick(10)
        const kind = next()
        const entry = some(live)
        const ticket = some(tickets)
        if (kind < 0.4) arrive()
        else if (kind < 0.5) {
          const got = slots.reserve({
            now,
            deadline: now + pick(300),
            service: undefined,
            criticality: pick(4),
            tenant: pick(3),
          })
          if (!Refused.isRefusal(got)) tickets.add(got)
        } else if (kind < 0.6) {
          if (ticket !== undefined) arrive(ticket)
        } else if (kind < 0.65) ticket?.release()
        else if (kind < 0.67) {
          // Lower limits hold for newcomers, so who is there may be more than that for a while.
          const capacity = 1 + pick(5)
          const stats = slots.stats(now)
          slots.update({ capacity }, now)
          limit = Math.max(capacity + queueCapacity, stats.inUse + stats.waiting)
        } else if (entry === undefined) continue
        else if (kind < 0.85) slots.leave(entry, now, next() < 0.7 ? "completed" : "cancelled")
        else if (kind < 0.95) {
          if (entry.state === "waiting") answers.set(entry, 1)
          slots.abandon(entry, now)
        } else {
          slots.expire(entry, now)
        }
        check()
      }
      for (const ticket of tickets) ticket.release()
      while (live.size > 0) {
        for (const entry of [...live]) slots.leave(entry, now, "completed")
        check()
      }
      expect(slots.stats(now)).toMatchObject({ inUse: 0, waiting: 0, tickets: 0, oldestWaitMs: 0 })
      for (const count of answers.values()) expect(count).toBe(1)
      for (let rank = 0; rank < 4; rank++) {
        for (let who = 0; who < 3; who++) {
          const order = started.filter((it) => it.rank === rank && it.tenant === who)
            .map((entry) => arrivals.indexOf(entry))
          expect(order).toEqual([...order].sort((a, b) => a - b))
        }
      }
    },
    { arbitrary: { runs: 100 } },
  )

  it("conserves counts over 100,000 random cancellations and timeouts", () => {
    const next = random(4)
    const pick = (n: number) => Math.floor(next() * n)
    const slots = make({ capacity: 8, queueCapacity: 200, expectedMs: 20 })
    const live: Array<Entry> = []
    const tickets: Array<Ticket> = []
    const ended = { completed: 0, cancelled: 0, refused: 0, abandoned: 0, turnedAway: 0 }
    let released = 0
    let entered = 0
    let gone = 0
    for (let now = 0; gone < 100_000; now++) {
      for (let i = 0; i < 3; i++) {
        const got = slots.reserve({
          now,
          deadline: now + 50 + pick(5000),
          service: undefined,
          criticality: pick(4),
          tenant: pick(40),
        })
        if (!Refused.isRefusal(got)) tickets.push(got)
      }
      const ticket = tickets.splice(pick(tickets.length), 1)[0]
      if (ticket !== undefined && next() < 0.3) {
        ticket.release()
        released++
        gone++
      } else {
        entered++
        const entry = slots.enter(now, now + pick(400), ticket, pick(4), pick(40))
        if (entry instanceof Entry) live.push(entry)
        else ended.refused++
      }
      for (let i = 0; i < 2; i++) {
        const entry = live.splice(pick(live.length), 1)[0]
        if (entry === undefined) continue
        gone++
        if (entry.state === "ended") ended.turnedAway++
        else if (entry.state === "running") {
          const outcome = next() < 0.3 ? "completed" : "cancelled"
          ended[outcome]++
          slots.leave(entry, now, outcome)
        } else if (next() < 0.5) {
          slots.abandon(entry, now)
          ended.abandoned++
        } else {
          slots.expire(entry, now)
          ended.turnedAway++
        }
      }
      const { inUse, waiting } = slots.stats(now)
      if (inUse > 8 || inUse + waiting > 208) throw new Error("a bound is broken")
    }
    for (const ticket of tickets) ticket.release()
    for (const entry of live) {
      if (entry.state === "ended") ended.turnedAway++
      else ended.abandoned++
      slots.abandon(entry, 0)
    }
    // Whoever was handed a slot meanwhile.
    for (const entry of live) slots.leave(entry, 0, "cancelled")
    expect(slots.stats(0)).toMatchObject({ inUse: 0, waiting: 0, tickets: 0 })
    expect(Object.values(ended).reduce((a, b) => a + b, 0)).toBe(entered)
    expect(released).toBeGreaterThan(0)
    for (const reason of ["Late", "Infeasible"] as const) {
      expect(slots.stats(0).refused[reason]).toBeGreaterThan(0)
    }
  })
})
