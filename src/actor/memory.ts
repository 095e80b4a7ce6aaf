import type { Bounded, Request, Stats, Ticket } from "../bounded/Bounded.ts"
import * as Feasibility from "../bounded/Feasibility.ts"
import { counters, type Reason, type Refusal } from "../bounded/Refused.ts"
import type { ServiceTime } from "../bounded/ServiceTime.ts"
import { type Entry, List, lists } from "./entry.ts"
import { first, leastUrgent, oldest } from "./lanes.ts"
import type { Account, Outcome } from "./Mailbox.ts"
import { promises } from "./promise.ts"
import {
  type Line,
  MailboxTicket,
  type Options,
  type Owner,
  refusalOf,
  type Rejection,
} from "./store.ts"

/**
 * The memory store of messages. Synchronous; time comes in as an argument, waking is left to the
 * actor. Effect's Queue was tried first: it cannot take one element out, has no second lane, bounds
 * neither blocked offerers nor tickets, and a sliding queue evicts in silence.
 */
export class Mailbox implements Bounded {
  readonly kind = "mailbox"
  readonly name: string
  /** Shared by all actors of a kind. */
  readonly options: Options
  private readonly owner: Owner
  /** How long messages take; shared by all actors of a kind. */
  private readonly service: ServiceTime
  sent = 0
  handled = 0
  failed = 0
  rejected = 0
  expired = 0
  cancelled = 0
  dropped = 0
  discarded = 0
  private readonly lanes: ReadonlyArray<List>
  /** What may run while others run; apart, so that nothing that may not can stand before it. */
  private reentrants: ReadonlyArray<List> | undefined = undefined
  private readonly going = new List()
  /** Runs of earlier lives that have not ended: they count, but take no places. */
  private stale: List | undefined = undefined
  private offering: List | undefined = undefined
  private aside: List | undefined = undefined
  /** In the lanes, stash and offerers not counted. */
  waiting = 0
  /** Where its tickets are; undefined until somebody takes one, unless its owner keeps them. */
  line: Line | undefined
  private highWater = 0
  private waitedMs = 0
  private longestWaitMs = 0
  private seq = 0
  private skipped = 0
  private full = 0
  private infeasible = 0
  private shut = 0
  private closed = false

  constructor(name: string, options: Options, service: ServiceTime, owner: Owner, line?: Line) {
    this.name = name
    this.options = options
    this.service = service
    this.owner = owner
    this.line = line
    this.lanes = lists(options.lanes)
  }

  /** Places that are promised. */
  get tickets(): number {
    return this.line === undefined ? 0 : this.line.tickets
  }
  get running(): number {
    return this.going.size + (this.stale === undefined ? 0 : this.stale.size)
  }
  /** Places that are taken. */
  get busy(): number {
    return this.going.size
  }
  /** Starts so far: what was ever put in line, but for what waits or left it unstarted. */
  get started(): number {
    return this.seq - this.waiting - this.skipped
  }
  get stashed(): number {
    return this.aside === undefined ? 0 : this.aside.size
  }
  get offerers(): number {
    return this.offering === undefined ? 0 : this.offering.size
  }
  /** Not yet ended and not running. */
  get queued(): number {
    return this.waiting + this.stashed + this.offerers
  }
  /** The running messages, the oldest first. */
  get oldestRunning(): Entry | undefined {
    return this.going.head
  }

  /**
   * Offers a message: takes it, makes its sender wait (`offering`), or says why not. A held ticket is
   * redeemed. Whatever it says, the message counts.
   */
  offer(entry: Entry, now: number, ticket?: Ticket): Rejection | undefined {
    this.sent++
    const { options } = this
    const held = ticket instanceof MailboxTicket && ticket.bounded === this.line?.bounded &&
      ticket.settle()
    let victim: Entry | undefined
    if (!held && this.waiting + this.tickets >= options.capacity) {
      if (entry.how === "offer") {
        if (this.offerers >= options.offerers) return this.reject(entry, "Offerers", now)
        ;(this.offering ??= new List()).append(entry)
        entry.state = "offering"
        return undefined
      }
      if (options.overflow === "dropNewest") {
        const rejection = this.rejection("Dropped", now)
        this.end(entry, "dropped")
        return rejection
      }
      victim = options.overflow === "dropOldest"
        ? leastUrgent(this.lanes, this.reentrants)
        : undefined
      if (victim === undefined) return this.reject(entry, "Full", now)
    }
    if (entry.expires !== Infinity && this.service.known && !held) {
      // Only an ask has to be done by then; of the others it is the wait that is bounded.
      const work = entry.how === "ask" ? this.service : undefined
      if (!this.promises(now, entry.expires, work?.estimate ?? 0, work)) {
        return this.reject(entry, "Infeasible", now)
      }
    }
    if (victim !== undefined) {
      // Its place is the newcomer's, not that of a sender who waits for room.
      victim.list!.remove(victim)
      this.waiting--
      this.skipped++
      this.count(victim, "dropped")
    }
    this.enqueue(entry)
    if (victim !== undefined) this.owner.lost(victim, "dropped")
    return undefined
  }

  /** Counts a message that was refused before it came here. */
  turnedAway(entry: Entry): void {
    this.sent++
    this.shut++
    this.end(entry, "rejected")
  }

  /** The next message that may start, now running; expired ones are skipped and never run. */
  take(now: number, concurrency: number): Entry | undefined {
    while (this.waiting > 0) {
      const entry = first(this.lanes, this.reentrants, this.going.size < concurrency)
      if (entry === undefined) return undefined
      entry.list!.remove(entry)
      this.waiting--
      if (entry.expires <= now) {
        this.skipped++
        this.count(entry, "expired")
        this.refill()
        this.owner.lost(entry, "expired")
        continue
      }
      entry.state = "running"
      const wait = now - entry.at
      if (wait > 0) {
        this.waitedMs += wait
        if (wait > this.longestWaitMs) this.longestWaitMs = wait
        this.owner.waited(wait)
      }
      entry.startedAt = now
      this.going.append(entry)
      if (this.offering !== undefined) this.refill()
      return entry
    }
    return undefined
  }

  /** Takes a message out, wherever it is, and counts its end. Its place is free at once. */
  end(entry: Entry, outcome: Outcome): void {
    const list = entry.list
    if (list !== undefined) {
      list.remove(entry)
      if (entry.state === "queued") {
        this.waiting--
        this.skipped++
      }
    }
    this.count(entry, outcome)
    if (this.offering !== undefined) this.refill()
  }

  /** Puts a running message aside. False when the stash is full. */
  stash(entry: Entry): boolean {
    if (this.stashed >= this.options.stash) return false
    this.going.remove(entry)
    entry.state = "stashed"
    ;(this.aside ??= new List()).append(entry)
    return true
  }

  /** Puts what is in the stash before everything that waits, in the order in which it was put there. */
  unstash(): number {
    const { aside } = this
    if (aside === undefined) return 0
    const count = aside.size
    while (aside.tail !== undefined) {
      const entry = aside.tail
      aside.remove(entry)
      this.before(entry)
    }
    return count
  }

  /** Puts a running message back before everything that waits, to be tried again. */
  retry(entry: Entry): void {
    this.going.remove(entry)
    this.before(entry)
  }

  /** Frees all places; what still runs in them belongs to an earlier life. */
  vacate(): void {
    for (let entry = this.going.head; entry !== undefined; entry = this.going.head) {
      this.going.remove(entry)
      ;(this.stale ??= new List()).append(entry)
    }
  }

  /** Some message that has not started; for a mailbox that is being emptied. */
  leftover(): Entry | undefined {
    return this.offering?.head ?? this.aside?.head ?? first(this.lanes, this.reentrants, true)
  }

  /** Refuses tickets from now on. */
  close(): void {
    this.closed = true
  }

  reserve(request: Request): Ticket | Refusal {
    const { deadline, now } = request
    const { options } = this
    if (this.closed) return this.refuse("Closed", now)
    if (this.waiting + this.tickets >= options.capacity) return this.refuse("QueueFull", now)
    if (deadline !== Infinity) {
      const { expectation, service } = request
      const own = service ?? this.service.estimate
      const like = service === undefined ? this.service : service > 0 ? expectation : undefined
      if (!this.promises(now, deadline, own, like)) return this.refuse("Infeasible", now)
    }
    const ticket = new MailboxTicket(
      this.line ??= { tickets: 0, bounded: this, freed: () => this.refill() },
    )
    this.mark()
    return ticket
  }

  /** A newcomer that would be served at once is let in: that is how a better time is noticed. */
  private promises(
    now: number,
    deadline: number,
    own: number,
    like: Request["expectation"],
  ): boolean {
    const wait = this.predict(now)
    if (wait === 0) return true
    const { concurrency } = this.options
    const ended = this.waiting + this.tickets - (concurrency - this.going.size) + 1
    return promises(wait, ended, concurrency, this.service, own, like, deadline - now)
  }

  predict(now: number): number {
    const { concurrency } = this.options
    const inUse = this.going.size
    const ahead = this.waiting + this.tickets
    if (inUse + ahead === 0) return 0
    return Feasibility.predictWait({
      capacity: concurrency,
      inUse: Math.min(inUse, concurrency),
      ahead,
      service: this.service.mean,
      deviation: this.service.deviation,
      elapsedAt: (position) => this.elapsedAt(position, now),
    })
  }

  stats(now: number): Stats {
    const longest = oldest(this.lanes, this.reentrants)
    return {
      kind: this.kind,
      name: this.name,
      capacity: this.options.concurrency,
      inUse: Math.min(this.going.size, this.options.concurrency),
      waiting: this.waiting + this.tickets,
      queueCapacity: this.options.capacity,
      highWater: this.highWater,
      oldestWaitMs: longest === undefined ? 0 : Math.max(0, now - longest.at),
      predictedWaitMs: this.predict(now),
      refused: {
        ...counters(),
        QueueFull: this.full,
        Infeasible: this.infeasible,
        Late: this.expired,
        Shed: this.dropped,
        Closed: this.shut,
      },
    }
  }

  /** The account so far. */
  account(): Account {
    const { cancelled, discarded, dropped, expired, failed, handled, rejected } = this
    return {
      sent: this.sent,
      queued: this.queued,
      running: this.running,
      ended: { handled, failed, rejected, expired, cancelled, dropped, discarded },
      stashed: this.stashed,
      offering: this.offerers,
      highWater: this.highWater,
      waitedMs: this.waitedMs,
      longestWaitMs: this.longestWaitMs,
    }
  }

  private enqueue(entry: Entry): void {
    entry.state = "queued"
    entry.seq = ++this.seq
    this.waiting++
    this.laneOf(entry).append(entry)
    this.mark()
  }

  private before(entry: Entry): void {
    entry.state = "queued"
    this.waiting++
    entry.seq = -(++this.seq)
    this.laneOf(entry).prepend(entry)
    this.mark()
  }

  private laneOf(entry: Entry): List {
    const { lane, reentrant } = entry.plan
    return (reentrant ? this.reentrants ??= lists(this.options.lanes) : this.lanes)[lane]!
  }

  /** Those who wait for room come in as soon as there is some, the first who came first. */
  refill(): void {
    const { offering } = this
    while (
      offering !== undefined && offering.head !== undefined &&
      this.waiting + this.tickets < this.options.capacity
    ) {
      const entry = offering.head
      offering.remove(entry)
      this.enqueue(entry)
      const admitted = entry.admitted
      entry.admitted = undefined
      admitted?.()
    }
  }

  private elapsedAt(position: number, now: number): number {
    const entry = this.going.at(position)
    return entry === undefined ? 0 : Math.max(0, now - entry.startedAt)
  }

  private mark(): void {
    const waiting = this.waiting + this.tickets
    if (waiting > this.highWater) this.highWater = waiting
  }

  private count(entry: Entry, outcome: Outcome): void {
    entry.state = outcome
    this[outcome]++
  }

  private reject(entry: Entry, reason: Rejection["reason"], now: number): Rejection {
    const rejection = this.rejection(reason, now)
    if (reason === "Infeasible") this.infeasible++
    else this.full++
    this.end(entry, "rejected")
    return rejection
  }

  private rejection(reason: Rejection["reason"], now: number): Rejection {
    return { reason, waiting: this.waiting + this.tickets, predictedWaitMs: this.predict(now) }
  }

  private refuse(reason: Reason, now: number): Refusal {
    if (reason === "QueueFull") this.full++
    else if (reason === "Infeasible") this.infeasible++
    else this.shut++
    return refusalOf(this.stats(now), reason)
  }
}
