import type { Bounded, Request, Stats, Ticket } from "../bounded/Bounded.ts"
import * as Codel from "../bounded/Codel.ts"
import * as Feasibility from "../bounded/Feasibility.ts"
import { counters, type Reason, type Refusal } from "../bounded/Refused.ts"
import * as ServiceTime from "../bounded/ServiceTime.ts"
import { Entry, List } from "./entry.ts"

/** How a slot came back: only completed work tells how long work takes. */
export type Outcome = "completed" | "cancelled"

class SlotTicket implements Ticket {
  open = true
  readonly bounded: Slots
  readonly service: number | undefined
  readonly promised: number | undefined
  readonly probe: boolean

  constructor(
    bounded: Slots,
    service: number | undefined,
    promised: number | undefined,
    probe: boolean,
  ) {
    this.bounded = bounded
    this.service = service
    this.promised = promised
    this.probe = probe
  }

  release(): void {
    this.bounded.settle(this)
  }
}

/** What the line adds to the common statistics. */
export interface SlotsStats extends Stats {
  /** Open tickets; part of `waiting`. */
  readonly tickets: number
  /** Work that got a slot since the thing was made. */
  readonly started: number
  /** Expected service time in milliseconds; 0 while unknown. */
  readonly serviceMs: number
}

export interface Options {
  readonly kind: string
  readonly name: string
  readonly capacity: number
  readonly queueCapacity?: number | undefined
  readonly expectedMs?: number | undefined
  readonly margin?: number | undefined
  readonly shed?: boolean | undefined
}

/** Shortest time without a completion before a probe, and between two probes. */
const probeEveryMs = 1000

/**
 * Slots and the bounded line before them: the synchronous core of every pool and bulkhead. Time
 * comes in as an argument, waking is left to the caller.
 *
 * Rules:
 * - A slot is handed to the next waiter before that one is woken. A newcomer takes a free slot only
 *   if nobody waits, so whoever was let in is never overtaken (cockatiel and Effect's Semaphore
 *   let newcomers in between).
 * - Open tickets count as ahead of a newcomer, at the door. A ticket holds a place in the count, not
 *   a slot: its place in line is that of its acquire, because a slot kept idle for a request that
 *   still decodes its body is a slot lost.
 * - Work in progress, waiters and tickets together never exceed `capacity + queueCapacity`.
 * - Unknown service time, neither declared by a caller: only the bound on the queue limits the first
 *   burst. When the first sample arrives, the line is swept once, and who can no longer make it is
 *   refused as `Late`.
 * - An old estimate does not refuse for ever: while slots are free and nothing has completed for a
 *   second, one piece of work per second is let in as a probe, and the first completion after such a
 *   drought replaces the estimate. So one outage, in which all work was cancelled at its deadline,
 *   is over within a second of its end.
 */
export class Slots implements Bounded {
  readonly kind: string
  readonly name: string
  readonly queueCapacity: number
  readonly service: ServiceTime.ServiceTime
  capacity: number
  #margin: number
  #sheds: boolean
  /** The estimate is what a caller expects; the first sample replaces it. */
  #assumed = false
  #running = new List()
  #waiters = new List()
  #tickets = 0
  #highWater = 0
  #started = 0
  #closed: "Closed" | "ShuttingDown" | undefined = undefined
  #completedAt: number | undefined = undefined
  #probedAt = -Infinity
  /** When the estimate was last replaced. */
  #epoch = -Infinity
  /** Cancelled work has raised the estimate since anything completed. */
  #raised = false
  #codel = Codel.make()
  #refused = counters()
  // One object for all predictions, so that a decision allocates nothing.
  #now = 0
  #line = {
    capacity: 0,
    inUse: 0,
    ahead: 0,
    service: 0,
    elapsedAt: (position: number): number =>
      Math.max(0, this.#now - this.#running.sinceAt(position)),
  }

  constructor(options: Options) {
    this.kind = options.kind
    this.name = options.name
    this.capacity = options.capacity
    this.queueCapacity = options.queueCapacity ?? Math.max(64, 16 * options.capacity)
    this.#margin = options.margin ?? 0
    this.#sheds = options.shed ?? false
    this.service = ServiceTime.make({ expectedMs: options.expectedMs })
  }

  /** A slot or a place in line (see the entry's state), or why not. */
  enter(
    now: number,
    deadline: number,
    ticket?: Ticket,
  ): Entry | Refusal {
    const held = ticket instanceof SlotTicket && ticket.bounded === this && ticket.open
      ? ticket
      : undefined
    if (held !== undefined) this.settle(held)
    if (this.#closed !== undefined) return this.#refuse(this.#closed, now)
    const ahead = held === undefined ? this.#waiters.size + this.#tickets : this.#waiters.size
    const wait = this.#predict(now, ahead)
    if (held === undefined && !this.#room()) return this.#refuse("QueueFull", now, wait)
    // Who has a ticket was promised that it can finish. The promise is broken only if it has become
    // impossible, or if nothing was known when it was given.
    const counted = held?.promised === undefined ? wait : 0
    const margin = held === undefined ? this.#margin : 0
    const feasible = this.#feasible(counted, this.#own(held?.service), deadline - now, margin)
    const probe = held?.probe === true || (!feasible && this.#mayProbe(now, deadline))
    if (!feasible && !probe) {
      return this.#refuse(held === undefined ? "Infeasible" : "Late", now, wait)
    }
    const promised = this.service.known ? wait : undefined
    const entry = new Entry(now, deadline, held?.service, promised)
    entry.probe = probe
    if (this.#waiters.size === 0 && this.#running.size < this.capacity) {
      this.#codel.drained()
      this.#start(entry, now)
    } else {
      this.#waiters.append(entry)
      this.#mark()
    }
    return entry
  }

  /** Gives a slot back, once; the next waiter gets it before this returns. */
  leave(entry: Entry, now: number, outcome: Outcome): void {
    if (entry.list !== this.#running) return
    this.#running.remove(entry)
    entry.state = "ended"
    const elapsed = Math.max(0, now - entry.since)
    if (outcome === "completed") this.#learn(elapsed, entry.probe, now)
    // Work from before a drought ended says nothing about the time after it.
    else if (entry.since >= this.#epoch) {
      const before = this.service.estimate
      this.service.observeCensored(elapsed)
      if (this.service.estimate > before) this.#raised = true
    }
    this.#handOver(now)
  }

  /** Takes a waiter out of the line, or gives back the slot it was handed but never used. */
  abandon(entry: Entry, now: number): void {
    entry.wake = undefined
    if (entry.list === this.#waiters) {
      this.#waiters.remove(entry)
      entry.state = "ended"
      if (this.#waiters.size === 0) this.#codel.drained()
    } else if (entry.list === this.#running) {
      this.#running.remove(entry)
      entry.state = "ended"
      this.#handOver(now)
    }
  }

  /** Who has waited longest. */
  get oldest(): Entry | undefined {
    return this.#waiters.head
  }

  /** Refuses a waiter whose limit on waiting has passed. */
  expire(entry: Entry, now: number): void {
    if (entry.list === this.#waiters) this.#turnAway(entry, "Late", now)
  }

  reserve(request: Request): Ticket | Refusal {
    const { now, service } = request
    if (this.#closed !== undefined) return this.#refuse(this.#closed, now)
    if (!this.service.known && service !== undefined && service > 0) {
      this.service.replace(service)
      this.#assumed = true
    }
    const wait = this.#predict(now, this.#waiters.size + this.#tickets)
    if (!this.#room()) return this.#refuse("QueueFull", now, wait)
    // Asked for last: to find it out may cost more than all of the above.
    const { deadline } = request
    const own = service ?? this.#own(undefined)
    const feasible = this.#feasible(wait, own, deadline - now, this.#margin)
    const probe = !feasible && this.#mayProbe(now, deadline)
    if (!feasible && !probe) return this.#refuse("Infeasible", now, wait)
    this.#tickets++
    this.#mark()
    return new SlotTicket(this, service, this.service.known ? wait : undefined, probe)
  }

  /** Ends a ticket; a second call does nothing. */
  settle(ticket: SlotTicket): void {
    if (!ticket.open) return
    ticket.open = false
    this.#tickets--
  }

  predict(now: number): number {
    return this.#predict(now, this.#waiters.size + this.#tickets)
  }

  stats(now: number): SlotsStats {
    const oldest = this.#waiters.head
    return {
      kind: this.kind,
      name: this.name,
      capacity: this.capacity,
      inUse: this.#running.size,
      waiting: this.#waiters.size + this.#tickets,
      queueCapacity: this.queueCapacity,
      highWater: this.#highWater,
      oldestWaitMs: oldest === undefined ? 0 : Math.max(0, now - oldest.since),
      predictedWaitMs: this.predict(now),
      refused: { ...this.#refused },
      tickets: this.#tickets,
      started: this.#started,
      serviceMs: this.service.estimate,
    }
  }

  /** Refuses all waiters and everything new; running work keeps its slots. */
  close(now: number, reason: "Closed" | "ShuttingDown" = "Closed"): void {
    this.#closed ??= reason
    while (this.#waiters.head !== undefined) this.#turnAway(this.#waiters.head, reason, now)
  }

  /** Changes the number of slots. Running work is not cut short when there are fewer. */
  resize(capacity: number, now: number): void {
    this.capacity = capacity
    this.#handOver(now)
  }

  #handOver(now: number): void {
    let entry: Entry | undefined
    while (this.#running.size < this.capacity && (entry = this.#waiters.head) !== undefined) {
      const wait = Math.max(0, now - entry.since)
      if (!this.#feasible(0, this.#own(entry.service), entry.deadline - now)) {
        this.#turnAway(entry, "Late", now)
      } else if (this.#shed(entry, now, wait)) {
        this.#turnAway(entry, "Shed", now)
      } else {
        this.#waiters.remove(entry)
        entry.waited = wait
        this.#start(entry, now)
        entry.wake?.()
      }
    }
    if (this.#waiters.size === 0) this.#codel.drained()
  }

  // CoDel knows no deadlines: it would shed the tail of a burst that was admitted because it can
  // finish. So work with a deadline is only ever refused for lateness, and work without one only if
  // its prediction failed too: it waited more than twice as long as it was promised. What remains
  // is CoDel's proper case, a queue that stands because the service became slower. And only if asked
  // for: workers in a closed loop keep a line standing rightly, and a stall of the event loop was
  // seen to make failed predictions of it.
  #shed(entry: Entry, now: number, wait: number): boolean {
    const service = this.service.mean
    const standing = this.#codel.dequeued(now, wait, service, this.capacity)
    return this.#sheds && standing && entry.deadline === Infinity && entry.promised !== undefined &&
      wait > 2 * (entry.promised + Codel.target(service, this.capacity))
  }

  #sweep(now: number): void {
    let entry = this.#waiters.head
    let ahead = 0
    while (entry !== undefined) {
      const next: Entry | undefined = entry.next
      const wait = this.#predict(now, ahead)
      if (this.#feasible(wait, this.#own(entry.service), entry.deadline - now)) ahead++
      else this.#turnAway(entry, "Late", now)
      entry = next
    }
  }

  #start(entry: Entry, now: number): void {
    entry.state = "running"
    entry.since = now
    this.#running.append(entry)
    this.#started++
  }

  #turnAway(entry: Entry, reason: Reason, now: number): void {
    this.#waiters.remove(entry)
    entry.state = "ended"
    entry.waited = Math.max(0, now - entry.since)
    entry.refusal = this.#refuse(reason, now)
    entry.wake?.()
  }

  #room(): boolean {
    const population = this.#running.size + this.#waiters.size + this.#tickets
    return population < this.capacity + this.queueCapacity
  }

  #mark(): void {
    const waiting = this.#waiters.size + this.#tickets
    if (waiting > this.#highWater) this.#highWater = waiting
  }

  // What a request expects covers all of its work, part of which may be behind it when it gets here.
  // What counts from now on is the time in the slot.
  #own(declared: number | undefined): number {
    const inSlot = this.#assumed ? 0 : this.service.estimate
    return declared === undefined ? inSlot : Math.min(declared, inSlot)
  }

  #feasible(wait: number, own: number, timeLeft: number, margin = 0): boolean {
    if (timeLeft === Infinity) return true
    return timeLeft > 0 &&
      Feasibility.decide(wait, own, timeLeft, margin)
  }

  #learn(elapsed: number, probe: boolean, now: number): void {
    const blind = !this.service.known
    const drought = this.#raised && now - (this.#completedAt ?? now) >= probeEveryMs
    if (probe || drought || this.#assumed) {
      this.service.replace(elapsed)
      this.#epoch = now
    } else this.service.observe(elapsed)
    this.#completedAt = now
    this.#raised = this.#assumed = false
    if (blind) this.#sweep(now)
  }

  #mayProbe(now: number, deadline: number): boolean {
    const since = Math.max(this.#completedAt ??= now, this.#probedAt)
    const free = this.capacity - this.#running.size
    if (deadline <= now || this.#waiters.size >= free || now - since < probeEveryMs) return false
    this.#probedAt = now
    return true
  }

  #predict(now: number, ahead: number): number {
    const line = this.#line
    this.#now = now
    line.capacity = this.capacity
    line.inUse = this.#running.size
    line.ahead = ahead
    line.service = this.service.known
      ? this.service.mean
      // At least as long as the oldest work has taken already.
      : Math.max(this.service.estimate, line.inUse === 0 ? 0 : line.elapsedAt(0))
    return Feasibility.predictWait(line)
  }

  #refuse(reason: Reason, now: number, wait = this.predict(now)): Refusal {
    this.#refused[reason]++
    // What is refused for lack of time alone gets the time after which the estimate is tried again.
    const drain = wait > 0 ? wait : probeEveryMs
    return {
      _tag: "Refusal",
      reason,
      kind: this.kind,
      resource: this.name,
      inUse: this.#running.size,
      capacity: this.capacity,
      waiting: this.#waiters.size + this.#tickets,
      predictedWaitMs: wait,
      retryAfterMs: Math.max(1, drain),
    }
  }
}
