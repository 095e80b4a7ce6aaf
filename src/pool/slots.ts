import type { Request, Stats, Ticket } from "../bounded/Bounded.ts"
import * as Feasibility from "../bounded/Feasibility.ts"
import { usual } from "../bounded/rank.ts"
import type { Reason, Refusal } from "../bounded/Refused.ts"
import type { ServiceTime } from "../bounded/ServiceTime.ts"
import { Entry, List, type Owner } from "./entry.ts"
import { Estimate, type Outcome } from "./estimate.ts"
import { Forecast, type Reserve } from "./forecast.ts"
import { Line } from "./line.ts"
import { Refusals } from "./refusals.ts"

export type { Outcome }

/** What the line adds to the common statistics. */
export interface SlotsStats extends Stats {
  /** Open tickets; part of `waiting`. */
  readonly tickets: number
  /** Work that got a slot since the thing was made. */
  readonly started: number
  /** Expected service time in milliseconds; 0 while unknown. */
  readonly serviceMs: number
}

/** What can be changed at run time. */
export interface Limits extends Reserve {
  readonly capacity?: number | undefined
  readonly queueCapacity?: number | undefined
}

export interface Options extends Limits {
  readonly kind: string
  readonly name: string
  readonly capacity: number
  readonly expectedMs?: number | undefined
  readonly shed?: boolean | undefined
  readonly lifo?: boolean | undefined
}

/**
 * Slots and the bounded line before them: the synchronous core of every pool and bulkhead. Time
 * comes in as an argument, waking is left to the caller.
 *
 * Rules:
 * - A slot is handed to the next waiter before that one is woken. A newcomer takes a free slot only
 *   if nobody waits, so whoever was let in is never overtaken by one who was not (cockatiel and
 *   Effect's Semaphore let newcomers in between). Who is next is the affair of the {@link Line}.
 * - Open tickets count as ahead of a newcomer, at the door. A ticket holds a place in the count, not
 *   a slot: its place in line is that of its acquire, because a slot kept idle for a request that
 *   still decodes its body is a slot lost.
 * - Work in progress, waiters and tickets together never exceed `capacity + queueCapacity`, unless
 *   these were lowered meanwhile. Into a full line a newcomer comes only in the place of another
 *   (`Displaced`), and only if it could finish there in time.
 * - Unknown service time, neither declared by a caller: only the bound on the queue limits the first
 *   burst. When the first sample arrives, the line is swept once, and who can no longer make it is
 *   refused as `Late`.
 */
export class Slots implements Owner {
  readonly kind: string
  readonly name: string
  readonly service: ServiceTime
  queueCapacity: number
  #sheds: boolean
  #running = new List()
  readonly #estimate: Estimate
  readonly #line: Line
  #highWater = 0
  #started = 0
  #closed: "Closed" | "ShuttingDown" | undefined = undefined
  readonly #refusals = new Refusals()
  readonly #forecast: Forecast

  constructor(options: Options) {
    this.kind = options.kind
    this.name = options.name
    this.queueCapacity = options.queueCapacity ?? Math.max(64, 16 * options.capacity)
    this.#sheds = options.shed ?? false
    this.#estimate = new Estimate(options.expectedMs)
    this.service = this.#estimate.service
    this.#line = new Line(options.capacity, this.service, options.lifo ?? false)
    this.#forecast = new Forecast(this.#running, this.#line, this.service)
    this.#forecast.update(options)
  }

  get capacity(): number {
    return this.#line.capacity
  }

  get inUse(): number {
    return this.#running.size
  }

  /** A slot or a place in line (see the entry's state), or why not. */
  enter(
    now: number,
    deadline: number,
    ticket?: Ticket,
    rank: number = usual,
    tenant = 0,
  ): Entry | Refusal {
    const held = ticket instanceof Entry && ticket.bounded === this && ticket.open
      ? ticket
      : undefined
    if (held !== undefined) {
      this.settle(held)
      rank = held.rank
      tenant = held.tenant
    }
    if (this.#closed !== undefined) return this.#refuse(this.#closed, now)
    const ahead = this.#line.ahead(now, rank, tenant, held === undefined)
    const wait = this.#forecast.wait(now, ahead)
    const victim = held === undefined && !this.#room() ? this.#victim(rank, tenant) : undefined
    if (victim === null) return this.#refuse("QueueFull", now, wait)
    // Who has a ticket was promised that it can finish. The promise is broken only if it has become
    // impossible, or if nothing was known when it was given.
    const counted = held?.promised === undefined ? wait : 0
    const own = this.#estimate.own(held)
    const feasible = held === undefined
      ? this.#forecast.promises(ahead, wait, own, this.service, deadline - now)
      : this.#feasible(counted, own, deadline - now)
    const probe = held?.probe === true || (!feasible && this.#mayProbe(now, deadline))
    if (!feasible && !probe && !this.#spare(held, "Late")) {
      return held === undefined
        ? this.#refuse("Infeasible", now, wait, own < deadline - now)
        : this.#refuse("Late", now, wait)
    }
    if (victim !== undefined) this.#displace(victim, now)
    const promised = this.service.known ? wait : undefined
    const entry = held ??
      new Entry(this, "waiting", now, deadline, undefined, promised, rank, tenant)
    entry.since = now
    entry.deadline = deadline
    entry.promised = promised
    entry.probe = probe
    if (this.#line.waiters.size === 0 && this.#running.size < this.capacity) {
      this.#start(entry, now, false)
    } else {
      entry.state = "waiting"
      this.#line.append(entry, now)
      this.#mark()
    }
    return entry
  }

  /** Gives a slot back, once; the next waiter gets it before this returns. */
  leave(entry: Entry, now: number, outcome: Outcome): void {
    if (entry.list !== this.#running) return
    this.#end(entry, now)
    if (this.#estimate.ended(entry.since, entry.probe, now, outcome)) this.#sweep(now)
    this.#handOver(now)
  }

  /** Takes a waiter out of the line, or gives back the slot it was handed but never used. */
  abandon(entry: Entry, now: number): void {
    entry.wake = undefined
    if (entry.list === this.#line.waiters) {
      this.#line.remove(entry)
      entry.state = "ended"
    } else if (entry.list === this.#running) {
      this.#end(entry, now)
      this.#handOver(now)
    }
  }

  /** Who has waited longest. */
  get oldest(): Entry | undefined {
    return this.#line.waiters.head
  }

  /** Refuses a waiter whose limit on waiting has passed. */
  expire(entry: Entry, now: number): void {
    if (entry.list === this.#line.waiters) this.#turnAway(entry, "Late", now)
  }

  reserve(request: Request): Ticket | Refusal {
    const { now, service } = request
    if (this.#closed !== undefined) return this.#refuse(this.#closed, now)
    this.#estimate.declared(service)
    const rank = request.criticality ?? usual
    const tenant = request.tenant ?? 0
    const ahead = this.#line.ahead(now, rank, tenant, true)
    const wait = this.#forecast.wait(now, ahead)
    const victim = this.#room() ? undefined : this.#victim(rank, tenant)
    if (victim === null) return this.#refuse("QueueFull", now, wait)
    // Asked for last: to find it out may cost more than all of the above.
    const { deadline } = request
    const own = service ?? this.#estimate.own(undefined)
    // Who says 0 is let in to find out how long it takes.
    const like = service === undefined
      ? this.service
      : service > 0
      ? request.expectation
      : undefined
    const feasible = this.#forecast.promises(ahead, wait, own, like, deadline - now)
    const probe = !feasible && this.#mayProbe(now, deadline)
    const dark = request.dark === true
    if (!feasible && !probe) {
      if (!dark) return this.#refuse("Infeasible", now, wait, own < deadline - now)
      this.#refusals.tally.spare("Infeasible")
    }
    if (victim !== undefined) this.#displace(victim, now)
    const promised = this.service.known ? wait : undefined
    const ticket = new Entry(this, "ticket", now, deadline, service, promised, rank, tenant)
    ticket.expectation = request.expectation
    ticket.limit = Math.min(this.#estimate.limit, this.#forecast.sure)
    ticket.probe = probe
    ticket.dark = dark
    this.#line.promise(ticket, now)
    this.#mark()
    return ticket
  }

  /** Ends a ticket; a second call does nothing. */
  settle(ticket: Entry): void {
    if (!ticket.open) return
    ticket.state = "ended"
    this.#line.settle(ticket)
  }

  predict(now: number): number {
    return this.#predict(now, usual, 0, true)
  }

  stats(now: number): SlotsStats {
    const { oldest } = this
    return {
      kind: this.kind,
      name: this.name,
      capacity: this.capacity,
      inUse: this.#running.size,
      waiting: this.#line.queued,
      queueCapacity: this.queueCapacity,
      highWater: this.#highWater,
      oldestWaitMs: oldest === undefined ? 0 : Math.max(0, now - oldest.since),
      predictedWaitMs: this.predict(now),
      ...this.#refusals.tally.stats,
      tickets: this.#line.tickets,
      started: this.#started,
      serviceMs: this.service.estimate,
    }
  }

  /** Refuses all waiters and everything new; running work keeps its slots. */
  close(now: number, reason: "Closed" | "ShuttingDown" = "Closed"): void {
    this.#closed ??= reason
    for (let it = this.oldest; it !== undefined; it = this.oldest) this.#turnAway(it, reason, now)
  }

  /** Changes the number of slots. Running work is not cut short when there are fewer. */
  resize(capacity: number, now: number): void {
    this.update({ capacity }, now)
  }

  /** The same by a limit that moves by itself; `sure` of it is what newcomers are promised. */
  adapt(limit: number, sure: number, now: number): void {
    this.#estimate.limit = limit
    this.#forecast.sure = sure
    if (limit !== this.capacity) this.resize(limit, now)
  }

  /** Changes limits. Nobody who was let in has to go: lower ones hold for newcomers. */
  update(limits: Limits, now: number): void {
    this.#line.capacity = limits.capacity ?? this.#line.capacity
    this.queueCapacity = limits.queueCapacity ?? this.queueCapacity
    this.#forecast.update(limits)
    this.#handOver(now)
  }

  #handOver(now: number): void {
    let entry: Entry | undefined
    while (this.#running.size < this.capacity && (entry = this.#line.next(now)) !== undefined) {
      const wait = Math.max(0, now - entry.since)
      const own = this.#estimate.own(entry)
      if (!this.#feasible(0, own, entry.deadline - now) && !this.#spare(entry, "Late")) {
        this.#turnAway(entry, "Late", now)
      } else if (this.#shed(entry, now, wait) && !this.#spare(entry, "Shed")) {
        this.#turnAway(entry, "Shed", now)
      } else {
        this.#line.remove(entry)
        entry.waited = wait
        this.#start(entry, now, true)
        entry.wake?.()
      }
    }
  }

  // CoDel knows no deadlines: it would shed the tail of a burst that was admitted because it can
  // finish. So work with a deadline is only ever refused for lateness, and work without one only if
  // its prediction failed too: it waited more than twice as long as it was promised. What remains
  // is CoDel's proper case, a queue that stands because the service became slower. And only if asked
  // for: workers in a closed loop keep a line standing rightly, and a stall of the event loop was
  // seen to make failed predictions of it.
  #shed(entry: Entry, now: number, wait: number): boolean {
    const { codel } = this.#line.lanes[entry.rank]!
    const standing = codel.dequeued(now, wait, this.service.mean, this.capacity)
    return this.#sheds && standing && entry.deadline === Infinity && this.#line.broken(entry, now)
  }

  #sweep(now: number): void {
    const kept = new Map<unknown, number>()
    let entry = this.oldest
    while (entry !== undefined) {
      const next: Entry | undefined = entry.next
      const position = kept.get(entry.queue) ?? 0
      const wait = this.#forecast.wait(now, this.#line.aheadOf(entry, position))
      const own = this.#estimate.own(entry)
      // In the dark it is judged at its turn, once.
      if (entry.dark || this.#feasible(wait, own, entry.deadline - now)) {
        kept.set(entry.queue, position + 1)
      } else this.#turnAway(entry, "Late", now)
      entry = next
    }
  }

  #start(entry: Entry, now: number, waited: boolean): void {
    entry.state = "running"
    entry.since = now
    this.#running.append(entry)
    this.#line.started(entry, now, waited)
    this.#started++
  }

  #end(entry: Entry, now: number): void {
    this.#running.remove(entry)
    this.#line.ended(entry, now)
    entry.state = "ended"
  }

  #turnAway(entry: Entry, reason: Reason, now: number): void {
    this.#line.remove(entry)
    entry.queue = undefined
    entry.state = "ended"
    entry.waited = Math.max(0, now - entry.since)
    entry.refusal = this.#refuse(reason, now)
    entry.wake?.()
  }

  /** In the dark it is only counted, and stays. */
  #spare(entry: Entry | undefined, reason: Reason): boolean {
    if (entry === undefined || !entry.dark) return false
    this.#refusals.tally.spare(reason)
    return true
  }

  /** `null` when a full line has nobody who would have to go for such a newcomer. */
  #victim(rank: number, tenant: number): Entry | null {
    return this.#line.victim(rank, tenant, this.capacity + this.queueCapacity) ?? null
  }

  /** A waiter hears of it at once; who still had its ticket comes as a newcomer to its acquire. */
  #displace(victim: Entry, now: number): void {
    if (victim.open) {
      this.settle(victim)
      this.#refusals.tally.refuse("Displaced")
    } else this.#turnAway(victim, "Displaced", now)
  }

  #room(): boolean {
    return this.#running.size + this.#line.queued < this.capacity + this.queueCapacity
  }

  #mark(): void {
    const waiting = this.#line.queued
    if (waiting > this.#highWater) this.#highWater = waiting
  }

  #feasible(wait: number, own: number, timeLeft: number): boolean {
    if (timeLeft === Infinity) return true
    return timeLeft > 0 && Feasibility.decide(wait, own, timeLeft)
  }

  #mayProbe(now: number, deadline: number): boolean {
    const spare = this.capacity - this.#running.size - this.#line.waiters.size
    return this.#estimate.mayProbe(now, deadline, spare)
  }

  #predict(now: number, rank: number, tenant: number, tickets: boolean): number {
    return this.#forecast.wait(now, this.#line.ahead(now, rank, tenant, tickets))
  }

  /** Who has not even the time for its own work `returns` in vain. */
  #refuse(reason: Reason, now: number, wait = this.predict(now), returns = true): Refusal {
    return this.#refusals.of(reason, this, this.#line.queued, wait, now, returns)
  }
}
