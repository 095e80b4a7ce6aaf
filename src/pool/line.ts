import * as Codel from "../bounded/Codel.ts"
import * as Feasibility from "../bounded/Feasibility.ts"
import { ranks, usual } from "../bounded/rank.ts"
import type { ServiceTime } from "../bounded/ServiceTime.ts"
import { type Entry, List, type Queue } from "./entry.ts"
import { accrue, type Lane, lanes, nextLane } from "./lane.ts"

/** Of those whose promise is broken, so many of the oldest are looked at for the newest. */
const walk = 64

/**
 * Who waits for a slot, and who has a ticket to. One list, first in, first out, while all of them are
 * of one class and one tenant; parted into classes, and these into tenants, as soon as somebody else
 * comes, and one list again once it was empty. Whoever fills it keeps it bounded.
 */
export class Line {
  capacity: number
  /** Waiters in the order of their arrival, whoever is served first. */
  readonly waiters = new List()
  readonly lanes: ReadonlyArray<Lane> = lanes()
  /** Open tickets. */
  tickets = 0
  readonly #service: ServiceTime
  readonly #lifo: boolean
  #parted = false
  // Of everybody in a line that is not parted.
  #rank = 0
  #tenant = 0
  #accruedAt = 0
  /** Starts of all. */
  #starts = 0
  readonly #queued = new Float64Array(ranks)

  constructor(capacity: number, service: ServiceTime, lifo: boolean) {
    this.#lifo = lifo
    this.capacity = capacity
    this.#service = service
  }

  /** Waiters and open tickets. */
  get queued(): number {
    return this.waiters.size + this.tickets
  }

  /** A ticket is taken. */
  promise(entry: Entry, now: number): void {
    this.#meet(entry, now)
    const lane = this.lanes[entry.rank]!
    lane.tickets.append(entry)
    this.tickets++
    if (this.#parted) this.#hold(entry, lane)
  }

  /** A ticket ends, used or not. */
  settle(entry: Entry): void {
    const lane = this.lanes[entry.rank]!
    lane.tickets.remove(entry)
    this.tickets--
    const { queue } = entry
    if (queue === undefined) return
    entry.queue = undefined
    lane.queues.ticket(queue, -1)
  }

  /** A wait begins. */
  append(entry: Entry, now: number): void {
    this.#meet(entry, now)
    if (this.#parted) {
      if (this.waiters.size === 0) this.#stand(now)
      this.#wait(entry, now)
    }
    this.waiters.append(entry)
    this.lanes[entry.rank]!.waiting++
  }

  /** Who has a slot. */
  get #running(): number {
    let running = 0
    for (const lane of this.lanes) running += lane.running
    return running
  }

  /** A wait ends, however. */
  remove(entry: Entry): void {
    const lane = this.lanes[entry.rank]!
    this.waiters.remove(entry)
    if (entry.queue !== undefined) lane.queues.leave(entry.queue, entry)
    if (--lane.waiting === 0) lane.codel.drained()
  }

  /** Who gets the next slot. */
  next(now: number): Entry | undefined {
    if (this.waiters.size === 0) return undefined
    if (!this.#parted) return this.#standing(this.waiters.head!, this.lanes[this.#rank]!, now)
    this.#accrue(now)
    const lane = nextLane(this.lanes, this.capacity, this.#service.mean)!
    return this.#standing(lane.queues.next()!.head!, lane, now)
  }

  /** Work gets a slot, from the line or at once. */
  started(entry: Entry, now: number, waited: boolean): void {
    this.#starts++
    const lane = this.lanes[entry.rank]!
    if (!waited) lane.codel.drained()
    if (this.#parted) {
      this.#accrue(now)
      const queue = entry.queue ??= lane.queues.for(entry.tenant)
      queue.running++
      if (waited) {
        lane.pace.started(this.#starts, now, this.capacity)
        lane.queues.served(queue, this.#starts, now, this.capacity)
      }
    }
    lane.running++
  }

  /** Work gives its slot back. */
  ended(entry: Entry, now: number): void {
    if (this.#parted) this.#accrue(now)
    this.lanes[entry.rank]!.running--
    if (entry.queue !== undefined) entry.queue.running--
    entry.queue = undefined
  }

  /** How much gets a slot before a newcomer of that class and tenant; tickets count if asked for. */
  ahead(now: number, rank: number, tenant: number, tickets: boolean): number {
    const all = tickets ? this.queued : this.waiters.size
    // Nobody is overtaken where there is a slot for everybody.
    if (all === 0 || all < this.capacity - this.#running) return all
    if (this.#alike(rank, tenant)) {
      // Alone for a moment: those who went first a moment ago will come again.
      const lane = this.lanes[rank]!
      const others = lane.pace.lately(all, rank > usual ? "class" : "share", now)
      const tenants = lane.known(tenant)?.pace.lately(all, "tenant", now) ?? 0
      return Math.max(within(all, others, rank), all + tenants)
    }
    const lane = this.lanes[rank]!
    let own = 0
    let passed = 0
    if (this.#parted) {
      const queue = lane.queues.of(tenant)
      const mine = queue === undefined ? 0 : tickets ? queue.queued : queue.waiting
      own = mine
      for (const other of lane.queues.active) {
        if (other !== queue) own += Feasibility.turns(mine, tickets ? other.queued : other.waiting)
      }
      if (queue !== undefined) passed = mine + queue.pace.overtaken(mine, "tenant")
      const others = lane.pace.overtaken(own, rank > usual ? "class" : "share")
      passed = Math.max(passed, within(own, others, rank))
    } else if (rank === this.#rank) own = Feasibility.turns(0, all)
    for (let i = 0; i < ranks; i++) {
      const { queued, waiting } = this.lanes[i]!
      this.#queued[i] = tickets ? queued : waiting
    }
    return Math.max(passed, Feasibility.ahead(own, this.#queued, rank))
  }

  /**
   * Who has to go, in a full line of so many places, for a newcomer of that class and tenant: the
   * youngest of the less critical class that has most beyond its share, else the youngest of the
   * tenant in the newcomer's own class that has most, if that is more than the newcomer's will have.
   */
  victim(rank: number, tenant: number, places: number): Entry | undefined {
    if (this.#alike(rank, tenant)) return undefined
    let most = 0
    let worst: Lane | undefined
    for (let i = rank + 1; i < ranks; i++) {
      const lane = this.lanes[i]!
      const excess = lane.excess(places)
      if (excess > most && lane.queued > 0) {
        most = excess
        worst = lane
      }
    }
    const own = this.lanes[rank]!
    if (!this.#parted) {
      if (worst === undefined && (this.#rank !== rank || own.queued < 2)) return undefined
      const ticket = this.lanes[this.#rank]!.tickets.tail
      const waiter = this.waiters.tail
      return waiter === undefined || (ticket !== undefined && ticket.since >= waiter.since)
        ? ticket
        : waiter
    }
    return worst === undefined ? own.fattest(own.queues.of(tenant)?.queued ?? 0) : worst.youngest()
  }

  /** How many of those who wait go before a waiter that has `position` of its own queue before it. */
  aheadOf(entry: Entry, position: number): number {
    if (!this.#parted) return position
    const lane = this.lanes[entry.rank]!
    let own = position
    for (const other of lane.queues.active) {
      if (other !== entry.queue) own += Feasibility.turns(position, other.waiting)
    }
    for (let i = 0; i < ranks; i++) this.#queued[i] = this.lanes[i]!.waiting
    return Feasibility.ahead(own, this.#queued, entry.rank)
  }

  /** True for a line in which everybody is of that class and tenant. */
  #alike(rank: number, tenant: number): boolean {
    return !this.#parted && rank === this.#rank && tenant === this.#tenant
  }

  /** Somebody comes: the line is parted if that one is not like those who are there. */
  #meet(entry: Entry, now: number): void {
    const { rank, tenant } = entry
    if (this.queued === 0) {
      this.#parted = false
      this.#rank = rank
      this.#tenant = tenant
    } else if (!this.#parted && (rank !== this.#rank || tenant !== this.#tenant)) {
      this.#parted = true
      this.#stand(now)
      const lane = this.lanes[this.#rank]!
      for (let it = lane.tickets.head; it !== undefined; it = it.next) this.#hold(it, lane)
      // They count as waiting already; who waits longest makes the lane begin to stand.
      if (lane.waiting > 0) this.#beginPace(lane, now)
      for (let it = this.waiters.head; it !== undefined; it = it.next) {
        lane.queues.wait(it.queue = lane.queues.for(it.tenant), it, this.#starts, now)
      }
    }
  }

  #hold(entry: Entry, lane: Lane): void {
    const queue: Queue = lane.queues.for(entry.tenant)
    entry.queue = queue
    lane.queues.ticket(queue, 1)
  }

  #wait(entry: Entry, now: number): void {
    const lane = this.lanes[entry.rank]!
    if (lane.waiting === 0) this.#beginPace(lane, now)
    lane.queues.wait(entry.queue = lane.queues.for(entry.tenant), entry, this.#starts, now)
  }

  /** Those who hold slots now and would go first are the first guess at who overtakes. */
  #beginPace(own: Lane, now: number): void {
    let others = 0
    let critical = true
    for (const lane of this.lanes) {
      if (lane === own) critical = false
      else others += critical ? lane.running : Math.min(lane.running, lane.share * this.capacity)
    }
    own.pace.begin(this.#starts, now, this.capacity, others)
  }

  /** Classes begin to compete: what they had before is over. */
  #stand(now: number): void {
    this.#accruedAt = now
    for (const lane of this.lanes) lane.credit = 0
  }

  #accrue(now: number): void {
    const elapsed = now - this.#accruedAt
    if (elapsed <= 0) return
    this.#accruedAt = now
    accrue(this.lanes, this.capacity, this.#service.mean, elapsed)
  }

  /**
   * The newest of those whose promise is broken, while the queue stands (adaptive LIFO): the oldest of
   * them would end at its deadline at best, the newest has time to spare. Only among these, and only
   * those at the head: whose promise still holds is never overtaken.
   */
  #standing(head: Entry, lane: Lane, now: number): Entry {
    if (!this.#lifo || !lane.codel.overloaded) return head
    let newest = head
    let it: Entry | undefined = head
    for (let i = 0; i < walk && it !== undefined && this.broken(it, now); i++) {
      newest = it
      it = it.queue === undefined ? it.next : it.after
    }
    return newest
  }

  /** Whether it waits more than twice as long as it was promised, the accepted queue included. */
  broken(entry: Entry, now: number): boolean {
    return entry.promised !== undefined &&
      now - entry.since >
        2 * (entry.promised + Codel.target(this.#service.mean, this.capacity))
  }
}

/**
 * How much goes before one with `own` of its class before it, whom `others` may overtake: no more than
 * its share leaves to them. Else a class that is never let in would never be seen to be served.
 */
const within = (own: number, others: number, rank: number): number =>
  Math.min(own + others, Math.max(own, Math.ceil(Feasibility.guaranteed(own, rank))))
