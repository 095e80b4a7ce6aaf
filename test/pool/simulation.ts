/** Slots in virtual time, with streams of work of several classes and tenants. No clock, no Effect. */
import { Refused } from "@weir/runtime"
import type { Ticket } from "../../src/bounded/Bounded.ts"
import type { Entry } from "../../src/pool/entry.ts"
import { type Options, Slots } from "../../src/pool/slots.ts"
import { random } from "../support/random.ts"

/** Poisson arrivals of one kind, from second `from` to second `to`. */
export interface Stream {
  readonly name: string
  readonly rank?: number
  readonly tenant?: number
  /** Arrivals per second. */
  readonly rate: number
  readonly from?: number
  readonly to?: number
  /** Milliseconds; none for work that can wait. */
  readonly deadlineMs?: number
  /** Milliseconds between door and acquire, at most. */
  readonly decodeMs?: number
}

/** What became of the work of one stream. */
export interface Account {
  arrived: number
  ok: number
  /** At the door. */
  refused: number
  /** Later, but without having had a slot: after a ticket or a place in line. */
  late: number
  displaced: number
  /** In its slot: wasted. */
  timedOut: number
  /** Milliseconds of slots spent on what timed out. */
  wastedMs: number
  /** Sum of the waits of what was served. */
  waitedMs: number
}

export interface Play {
  readonly streams: ReadonlyArray<Stream>
  readonly seconds: number
  readonly options?: Partial<Options>
  /** Milliseconds of work, of what starts at that time. */
  readonly service: (now: number, next: () => number) => number
  readonly seed: number
  /** Only what arrives in these seconds counts. */
  readonly counted?: readonly [number, number]
}

interface Event {
  readonly at: number
  readonly order: number
  readonly run: () => void
}

/** A binary heap of events; those of one instant in the order in which they were made. */
export class Events {
  private readonly heap: Array<Event> = []
  private order = 0

  add(at: number, run: () => void): void {
    const { heap } = this
    const event = { at, order: this.order++, run }
    let i = heap.push(event) - 1
    while (i > 0) {
      const up = (i - 1) >> 1
      if (!before(event, heap[up]!)) break
      heap[i] = heap[up]!
      i = up
    }
    heap[i] = event
  }

  pop(): Event | undefined {
    const { heap } = this
    const first = heap[0]
    const last = heap.pop()
    if (first === undefined || last === undefined || first === last) return first
    let i = 0
    while (true) {
      let down = 2 * i + 1
      if (down >= heap.length) break
      if (down + 1 < heap.length && before(heap[down + 1]!, heap[down]!)) down++
      if (!before(heap[down]!, last)) break
      heap[i] = heap[down]!
      i = down
    }
    heap[i] = last
    return first
  }
}

const before = (a: Event, b: Event): boolean => a.at < b.at || (a.at === b.at && a.order < b.order)

/** Plays it, checks that nothing leaks and no bound is broken, and says what became of each stream. */
export const play = ({ counted, options, seconds, seed, service, streams }: Play) => {
  const next = random(seed)
  const slots = new Slots({ kind: "pool", name: "db", capacity: 10, ...options })
  const events = new Events()
  let now = 0
  const accounts = new Map<string, Account>()
  let busyMs = 0
  const arrive = (stream: Stream, account: Account) => {
    const deadline = now + (stream.deadlineMs ?? Infinity)
    const run = (entry: Entry) => {
      const started = now
      const end = now + service(now, next)
      account.waitedMs += entry.waited
      events.add(Math.min(end, deadline), () => {
        const done = end <= deadline
        busyMs += now - started
        if (!done) account.wastedMs += now - started
        account[done ? "ok" : "timedOut"]++
        slots.leave(entry, now, done ? "completed" : "cancelled")
      })
    }
    const refused = (reason: Refused.Reason) =>
      account[reason === "Displaced" ? "displaced" : "late"]++
    const acquire = (ticket: Ticket) => {
      const displaced = !ticket.open
      const entry = slots.enter(now, deadline, ticket, stream.rank, stream.tenant)
      if (Refused.isRefusal(entry)) refused(displaced ? "Displaced" : entry.reason)
      else if (entry.state === "running") run(entry)
      else {
        entry.wake = () => entry.refusal === undefined ? run(entry) : refused(entry.refusal.reason)
        if (deadline < Infinity) {
          events.add(deadline, () => {
            if (entry.state !== "waiting") return
            slots.abandon(entry, now)
            account.late++
          })
        }
      }
    }
    account.arrived++
    const ticket = slots.reserve({
      now,
      deadline,
      service: undefined,
      criticality: stream.rank,
      tenant: stream.tenant,
    })
    if (Refused.isRefusal(ticket)) account.refused++
    else if (stream.decodeMs === undefined) acquire(ticket)
    else events.add(now + next() * stream.decodeMs, () => acquire(ticket))
  }
  const none: Account = blank()
  for (const stream of streams) {
    const account = accounts.get(stream.name) ?? blank()
    accounts.set(stream.name, account)
    const to = (stream.to ?? seconds) * 1000
    let time = (stream.from ?? 0) * 1000
    while ((time -= Math.log(1 - next()) * 1000 / stream.rate) < to) {
      const second = time / 1000
      const counts = counted === undefined || (second >= counted[0] && second < counted[1])
      events.add(time, () => arrive(stream, counts ? account : none))
    }
  }
  for (let event = events.pop(); event !== undefined; event = events.pop()) {
    now = event.at
    event.run()
    const { inUse, queueCapacity, waiting } = slots.stats(now)
    if (inUse > slots.capacity) throw new Error("more running than there are slots")
    if (inUse + waiting > slots.capacity + queueCapacity) throw new Error("longer than its bound")
  }
  const { inUse, refused, tickets, waiting } = slots.stats(now)
  if (inUse + waiting + tickets !== 0) throw new Error(`${inUse + waiting + tickets} leaked`)
  for (const [name, it] of accounts) {
    const ended = it.ok + it.refused + it.late + it.displaced + it.timedOut
    if (ended !== it.arrived) throw new Error(`${name}: ${it.arrived} came, ${ended} ended`)
  }
  const all = (key: keyof Account) =>
    Array.from(accounts.values()).reduce((n, it) => n + it[key], 0)
  return { of: (name: string) => accounts.get(name)!, all, refused, busyMs, slots }
}

const blank = (): Account => ({
  arrived: 0,
  ok: 0,
  refused: 0,
  late: 0,
  displaced: 0,
  timedOut: 0,
  wastedMs: 0,
  waitedMs: 0,
})

/** Jain's index of fairness: 1 when all are equal, 1/n when one has everything. */
export const jain = (values: ReadonlyArray<number>): number => {
  const sum = values.reduce((a, b) => a + b, 0)
  return sum * sum / (values.length * values.reduce((a, b) => a + b * b, 0))
}
