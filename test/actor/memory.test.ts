import { describe, expect, it } from "@effect/vitest"
import { Entry, type How } from "../../src/actor/entry.ts"
import { type Outcome, outcomes } from "../../src/actor/Mailbox.ts"
import { Mailbox } from "../../src/actor/memory.ts"
import type { MailboxTicket, Options } from "../../src/actor/store.ts"
import { isRefusal } from "../../src/bounded/Refused.ts"
import * as ServiceTime from "../../src/bounded/ServiceTime.ts"
import { random } from "../task/support.ts"

const options: Options = {
  concurrency: 1,
  capacity: 3,
  overflow: "reject",
  offerers: 2,
  stash: 2,
  lanes: 1,
}

/** What a mailbox should be: lists in the order in which they are served, and counts. */
class Model {
  readonly options: Options
  waiting: Array<Entry> = []
  offering: Array<Entry> = []
  aside: Array<Entry> = []
  running: Array<Entry> = []
  tickets = 0
  sent = 0
  starts = 0
  highWater = 0
  readonly ended: Record<Outcome, number> = {
    handled: 0,
    failed: 0,
    rejected: 0,
    expired: 0,
    cancelled: 0,
    dropped: 0,
    discarded: 0,
  }
  /** Who was dropped or expired without anybody asking for it, in order. */
  readonly lost: Array<string> = []

  constructor(options: Options) {
    this.options = options
  }

  /** Who is first among those of one priority that may, or may not, run while others run. */
  get heads(): ReadonlyArray<Entry> {
    const seen = new Set<string>()
    return this.waiting.filter(({ plan: { lane, reentrant } }) => {
      const own = `${lane} ${reentrant}`
      return !seen.has(own) && seen.add(own)
    })
  }

  get full(): boolean {
    return this.waiting.length + this.tickets >= this.options.capacity
  }

  put(entry: Entry): void {
    this.waiting.push(entry)
    this.mark()
  }

  mark(): void {
    this.highWater = Math.max(this.highWater, this.waiting.length + this.tickets)
  }

  refill(): void {
    while (this.offering.length > 0 && !this.full) this.put(this.offering.shift()!)
  }

  offer(entry: Entry, held: boolean): string | undefined {
    this.sent++
    if (held) this.tickets--
    else if (this.full) {
      if (entry.how === "offer") {
        if (this.offering.length >= this.options.offerers) {
          this.ended.rejected++
          return "Offerers"
        }
        this.offering.push(entry)
        return undefined
      }
      if (this.options.overflow === "dropNewest") {
        this.ended.dropped++
        return "Dropped"
      }
      const victim = this.options.overflow === "dropOldest" ? this.leastUrgent() : undefined
      if (victim === undefined) {
        this.ended.rejected++
        return "Full"
      }
      this.waiting.splice(this.waiting.indexOf(victim), 1)
      this.ended.dropped++
      this.lost.push(`dropped ${victim.tag}`)
    }
    this.put(entry)
    return undefined
  }

  leastUrgent(): Entry | undefined {
    const lane = Math.max(...this.waiting.map((entry) => entry.plan.lane))
    return this.waiting.find((entry) => entry.plan.lane === lane)
  }

  take(now: number, places: number): Entry | undefined {
    for (;;) {
      const may = this.waiting.filter((entry) =>
        this.running.length < places || entry.plan.reentrant
      )
      if (may.length === 0) return undefined
      const lane = Math.min(...may.map((entry) => entry.plan.lane))
      const entry = may.find((other) => other.plan.lane === lane)!
      this.waiting.splice(this.waiting.indexOf(entry), 1)
      if (entry.expires <= now) {
        this.ended.expired++
        this.lost.push(`expired ${entry.tag}`)
        this.refill()
        continue
      }
      this.running.push(entry)
      this.starts++
      this.refill()
      return entry
    }
  }

  end(entry: Entry, outcome: Outcome): void {
    for (const list of [this.waiting, this.offering, this.aside, this.running]) {
      const index = list.indexOf(entry)
      if (index >= 0) list.splice(index, 1)
    }
    this.ended[outcome]++
    this.refill()
  }

  stash(entry: Entry): boolean {
    if (this.aside.length >= this.options.stash) return false
    this.running.splice(this.running.indexOf(entry), 1)
    this.aside.push(entry)
    return true
  }

  front(entries: ReadonlyArray<Entry>): void {
    this.waiting.unshift(...entries)
    this.mark()
  }
}

/** Like `toEqual`, which takes too long to be asked after each of many thousand steps. */
const same = (actual: unknown, expected: unknown): void => {
  if (JSON.stringify(actual) !== JSON.stringify(expected)) expect(actual).toEqual(expected)
}

/** A mailbox beside its model; every step is made to both, and both are compared. */
class Pair {
  readonly model: Model
  readonly mailbox: Mailbox
  readonly lost: Array<string> = []
  readonly waits: Array<number> = []
  now = 0
  private count = 0

  constructor(options: Options) {
    this.model = new Model(options)
    this.mailbox = new Mailbox("m", options, ServiceTime.make(), {
      lost: (entry, outcome) => this.lost.push(`${outcome} ${entry.tag}`),
      waited: (ms) => this.waits.push(ms),
    })
  }

  entry(how: How, lane = 0, reentrant = false, expires = Infinity): Entry {
    const tag = `${++this.count}`
    const plan = { tag, lane, reentrant, uninterruptible: false, retries: 0 }
    return new Entry({ path: "m" }, plan, undefined, how, this.now, expires)
  }

  offer(entry: Entry, ticket?: MailboxTicket): void {
    const held = ticket?.open === true
    const rejection = this.mailbox.offer(entry, this.now, ticket)
    expect(rejection?.reason).toBe(this.model.offer(entry, held))
  }

  take(places = this.model.options.concurrency): Entry | undefined {
    const entry = this.mailbox.take(this.now, places)
    expect(entry?.tag).toBe(this.model.take(this.now, places)?.tag)
    return entry
  }

  end(entry: Entry, outcome: Outcome): void {
    this.mailbox.end(entry, outcome)
    this.model.end(entry, outcome)
  }

  stash(entry: Entry): void {
    const done = this.mailbox.stash(entry)
    expect(done).toBe(this.model.stash(entry))
    if (!done) this.end(entry, "rejected")
  }

  unstash(): void {
    expect(this.mailbox.unstash()).toBe(this.model.aside.length)
    this.model.front(this.model.aside)
    this.model.aside = []
  }

  retry(entry: Entry): void {
    this.mailbox.retry(entry)
    this.model.running.splice(this.model.running.indexOf(entry), 1)
    this.model.front([entry])
  }

  reserve(): MailboxTicket | undefined {
    const ticket = this.mailbox.reserve({ now: this.now, deadline: Infinity, service: undefined })
    expect(isRefusal(ticket)).toBe(this.model.full)
    if (isRefusal(ticket)) return undefined
    this.model.tickets++
    this.model.mark()
    return ticket as MailboxTicket
  }

  release(ticket: MailboxTicket): void {
    const open = ticket.open
    ticket.release()
    if (!open) return
    this.model.tickets--
    this.model.refill()
  }

  compare(): void {
    const { mailbox, model } = this
    const { waiting } = model
    const account = mailbox.account()
    const stats = mailbox.stats(this.now)
    same({
      account,
      ended: outcomes.reduce((sum, outcome) => sum + account.ended[outcome], 0),
      waiting: mailbox.waiting,
      started: mailbox.started,
      lost: this.lost,
      stats: [stats.inUse, stats.waiting, stats.highWater, stats.oldestWaitMs],
      states: [waiting, model.offering, model.aside, model.running]
        .map((list) => list.map((entry) => entry.state)),
      // Nobody waits for room that is there.
      roomless: model.offering.length === 0 || model.full,
    }, {
      account: {
        sent: model.sent,
        queued: waiting.length + model.offering.length + model.aside.length,
        running: model.running.length,
        ended: model.ended,
        stashed: model.aside.length,
        offering: model.offering.length,
        highWater: model.highWater,
        waitedMs: this.waits.reduce((a, b) => a + b, 0),
        longestWaitMs: Math.max(0, ...this.waits),
      },
      ended: account.sent - account.queued - account.running,
      waiting: waiting.length,
      started: model.starts,
      lost: model.lost,
      stats: [
        Math.min(model.running.length, model.options.concurrency),
        waiting.length + model.tickets,
        model.highWater,
        Math.max(0, ...model.heads.map((entry) => this.now - entry.at)),
      ],
      states: [
        waiting.map(() => "queued"),
        model.offering.map(() => "offering"),
        model.aside.map(() => "stashed"),
        model.running.map(() => "running"),
      ],
      roomless: true,
    })
  }

  /** Ends everything, as an actor does that stops. */
  empty(): void {
    for (const entry of [...this.model.running]) this.end(entry, "cancelled")
    for (
      let entry = this.mailbox.leftover();
      entry !== undefined;
      entry = this.mailbox.leftover()
    ) {
      this.end(entry, entry.state === "offering" ? "rejected" : "discarded")
    }
    this.compare()
    expect(this.mailbox.account()).toMatchObject({ queued: 0, running: 0 })
  }
}

const run = (seed: number, steps: number): void => {
  const below = random(seed)
  const pick = <A>(list: ReadonlyArray<A>): A | undefined => list[below(Math.max(1, list.length))]
  const pair = new Pair({
    concurrency: 1 + below(3),
    capacity: 1 + below(4),
    overflow: pick(["reject", "dropOldest", "dropNewest"] as const)!,
    offerers: below(3),
    stash: below(3),
    lanes: 1 + below(3),
  })
  const { model } = pair
  const tickets: Array<MailboxTicket> = []
  for (let step = 0; step < steps; step++) {
    pair.now += below(3)
    const action = below(12)
    if (action < 4) {
      const entry = pair.entry(
        pick(["tell", "offer", "ask"] as const)!,
        below(model.options.lanes),
        below(4) === 0,
        below(4) === 0 ? pair.now + below(6) : Infinity,
      )
      pair.offer(entry, below(3) === 0 ? pick(tickets) : undefined)
    } else if (action < 7) pair.take(below(model.options.concurrency + 1))
    else if (action === 7) {
      const entry = pick(model.running)
      if (entry !== undefined) pair.end(entry, pick(["handled", "failed", "cancelled"] as const)!)
    } else if (action === 8) {
      const entry = pick([...model.waiting, ...model.offering, ...model.aside])
      if (entry !== undefined) pair.end(entry, pick(["cancelled", "expired"] as const)!)
    } else if (action === 9) {
      const entry = pick(model.running)
      if (entry !== undefined) {
        if (below(3) === 0) pair.retry(entry)
        else pair.stash(entry)
      }
    } else if (action === 10) pair.unstash()
    else if (below(2) === 0) {
      const ticket = pair.reserve()
      if (ticket !== undefined) tickets.push(ticket)
    } else {
      const ticket = pick(tickets)
      if (ticket !== undefined) pair.release(ticket)
    }
    pair.compare()
  }
  for (const ticket of tickets) pair.release(ticket)
  pair.empty()
}

describe("the memory store", () => {
  it("does what its model does, and accounts for every message, in 400 random runs", () => {
    for (let seed = 1; seed <= 400; seed++) {
      try {
        run(seed, 120)
      } catch (error) {
        throw new Error(`Seed ${seed}.`, { cause: error })
      }
    }
  })

  it("is first in, first out, and a place that is freed is free at once", () => {
    const pair = new Pair(options)
    const entries = [pair.entry("tell"), pair.entry("ask"), pair.entry("tell")]
    for (const entry of entries) pair.offer(entry)
    pair.offer(pair.entry("tell"))
    expect(pair.mailbox.account().ended.rejected).toBe(1)
    pair.end(entries[1]!, "cancelled")
    const last = pair.entry("tell")
    pair.offer(last)
    const order: Array<Entry | undefined> = []
    for (let i = 0; i < 3; i++) {
      const entry = pair.take()!
      order.push(entry)
      pair.end(entry, "handled")
    }
    expect(order).toEqual([entries[0], entries[2], last])
    pair.compare()
  })

  it("serves a reentrant message by its priority among the others", () => {
    const pair = new Pair({ ...options, capacity: 9, lanes: 2 })
    const low = pair.entry("tell", 1, true)
    const lower = pair.entry("tell", 1)
    const high = pair.entry("tell", 0, true)
    for (const entry of [low, lower, high]) pair.offer(entry)
    expect(pair.take()).toBe(high)
    expect(pair.take()).toBe(low)
    expect(pair.take()).toBeUndefined()
    pair.compare()
  })

  it("redeems a ticket once, and only its own", () => {
    const pair = new Pair({ ...options, capacity: 1 })
    const ticket = pair.reserve()!
    expect(pair.reserve()).toBeUndefined()
    const other = new Pair(options).reserve()!
    pair.offer(pair.entry("tell"))
    pair.mailbox.offer(pair.entry("tell"), 0, other)
    pair.model.offer(pair.entry("tell"), false)
    expect(other.open).toBe(true)
    pair.offer(pair.entry("ask"), ticket)
    expect(ticket.open).toBe(false)
    pair.offer(pair.entry("ask"), ticket)
    pair.release(ticket)
    pair.compare()
  })

  it("lets in who waits for room when a ticket is given back", () => {
    const pair = new Pair({ ...options, capacity: 1 })
    const ticket = pair.reserve()!
    const offered = pair.entry("offer")
    let admitted = 0
    offered.admitted = () => admitted++
    pair.offer(offered)
    expect(offered.state).toBe("offering")
    pair.release(ticket)
    pair.release(ticket)
    expect([offered.state, admitted]).toEqual(["queued", 1])
    pair.compare()
  })

  it("reserves nothing when it is closed", () => {
    const pair = new Pair(options)
    pair.mailbox.close()
    const refusal = pair.mailbox.reserve({ now: 0, deadline: Infinity, service: undefined })
    expect(refusal).toMatchObject({ _tag: "Refusal", reason: "Closed", kind: "mailbox" })
    expect(pair.mailbox.stats(0).refused).toMatchObject({ Closed: 1 })
  })

  it("counts what was refused before it came here", () => {
    const pair = new Pair(options)
    pair.mailbox.turnedAway(pair.entry("tell"))
    expect(pair.mailbox.account()).toMatchObject({ sent: 1, queued: 0, ended: { rejected: 1 } })
  })

  it("lets nobody out of the way for a message that could not be answered in time", () => {
    const pair = new Pair({ ...options, capacity: 1, overflow: "dropOldest" })
    const slow = new Mailbox("m", pair.model.options, ServiceTime.make({ expectedMs: 100 }), {
      lost: () => expect.unreachable(),
      waited: () => {},
    })
    const waits = pair.entry("tell")
    expect(slow.offer(waits, 0)).toBeUndefined()
    const ask = pair.entry("ask", 0, false, 50)
    expect(slow.offer(ask, 0)).toMatchObject({ reason: "Infeasible", waiting: 1 })
    expect(slow.take(0, 1)).toBe(waits)
    expect(slow.account()).toMatchObject({ ended: { rejected: 1, dropped: 0 } })
    expect(slow.stats(0).refused.Infeasible).toBe(1)
  })

  it("takes fewer asks the more the times of messages vary, and as many as before if they do not", () => {
    const next = random(1)
    const taken = (sample: () => number): number => {
      const time = ServiceTime.make()
      for (let i = 0; i < 400; i++) time.observe(sample())
      const mailbox = new Mailbox("m", { ...options, capacity: 100 }, time, {
        lost: () => expect.unreachable(),
        waited: () => {},
      })
      const pair = new Pair(options)
      // The first one runs.
      mailbox.offer(pair.entry("ask"), 0)
      mailbox.take(0, 1)
      let count = 0
      while (mailbox.offer(pair.entry("ask", 0, false, 1000), 0) === undefined) count++
      return count
    }
    expect(taken(() => 50)).toBe(19)
    const varied = taken(() => 20 + next(60))
    expect(varied).toBeLessThan(17)
    expect(varied).toBeGreaterThan(8)
  })
})
