import type { Request } from "../bounded/Bounded.ts"
import type { Bounded, Ticket } from "../bounded/Bounded.ts"
import type { Refusal } from "../bounded/Refused.ts"
import { Pace } from "./pace.ts"

/** Nodes walked to find the age of running work, so that a decision stays O(1). */
const walk = 64

/** What an entry belongs to. */
export interface Owner extends Bounded {
  /** Ends a ticket that is not used. */
  readonly settle: (entry: Entry) => void
}

/**
 * One piece of work: a ticket, a place in line, a slot. It is in at most one of the lists of its
 * owner. The ticket is the same object, so that an admitted request costs one.
 */
export class Entry implements Ticket {
  readonly _tag = "Entry"
  state: "ticket" | "waiting" | "running" | "ended"
  readonly bounded: Owner
  /** Rank of its class. */
  readonly rank: number
  /** Hash of whom it is accounted to; 0 for nobody. */
  readonly tenant: number
  /** Why it was turned away while it waited. */
  refusal: Refusal | undefined = undefined
  /** When it became what it is: absolute milliseconds. */
  since: number
  /** Milliseconds it waited; final once it is granted. */
  waited = 0
  deadline: number
  /** Own estimate of the work in milliseconds, if the caller had one. */
  readonly service: number | undefined
  /** What the caller would say now. */
  expectation: Request["expectation"] = undefined
  /** How much might run at once when its ticket was given; 0 where that does not move by itself. */
  limit = 0
  /** The wait it was promised; undefined while nothing was known. */
  promised: number | undefined
  /** Let in although the estimate said no, to find out whether it is still true. */
  probe = false
  /** No prediction refuses it: what would have is only counted. */
  dark = false
  /** Set by whoever waits; called once, after the state has changed. */
  wake: (() => void) | undefined = undefined
  list: List | undefined = undefined
  previous: Entry | undefined = undefined
  next: Entry | undefined = undefined
  /** The queue of its tenant, once the line is parted; still known while it runs. */
  queue: Queue | undefined = undefined
  before: Entry | undefined = undefined
  after: Entry | undefined = undefined

  constructor(
    bounded: Owner,
    state: "ticket" | "waiting",
    since: number,
    deadline: number,
    service: number | undefined,
    promised: number | undefined,
    rank: number,
    tenant: number,
  ) {
    this.bounded = bounded
    this.state = state
    this.since = since
    this.deadline = deadline
    this.service = service
    this.promised = promised
    this.rank = rank
    this.tenant = tenant
  }

  get open(): boolean {
    return this.state === "ticket"
  }

  release(): void {
    this.bounded.settle(this)
  }
}

/** Doubly linked, oldest first: O(1) removal from anywhere. */
export class List {
  head: Entry | undefined = undefined
  tail: Entry | undefined = undefined
  size = 0

  append(entry: Entry): void {
    entry.list = this
    entry.previous = this.tail
    if (this.tail === undefined) this.head = entry
    else this.tail.next = entry
    this.tail = entry
    this.size++
  }

  remove(entry: Entry): void {
    if (entry.previous === undefined) this.head = entry.next
    else entry.previous.next = entry.next
    if (entry.next === undefined) this.tail = entry.previous
    else entry.next.previous = entry.previous
    entry.previous = entry.next = entry.list = undefined
    this.size--
  }

  /** Start time at a position, oldest first: exact for the 64 at each end, interpolated between. */
  sinceAt(position: number): number {
    const last = this.size - 1
    if (position < walk) return this.#fromHead(position)
    if (last - position < walk) return this.#fromTail(last - position)
    const first = walk - 1
    const old = this.#fromHead(first)
    return old + (position - first) / (last - 2 * first) * (this.#fromTail(first) - old)
  }

  #fromHead(steps: number): number {
    let entry = this.head!
    for (let i = 0; i < steps; i++) entry = entry.next!
    return entry.since
  }

  #fromTail(steps: number): number {
    let entry = this.tail!
    for (let i = 0; i < steps; i++) entry = entry.previous!
    return entry.since
  }
}

/** The waiting work of one tenant in one class, first in, first out; a few share one if they must. */
export class Queue {
  /** Whose it is until it has neither work nor tickets. */
  tenant = 0
  head: Entry | undefined = undefined
  tail: Entry | undefined = undefined
  waiting = 0
  tickets = 0
  running = 0
  /** Turns it has had; who has had fewer is served first. */
  turn = 0
  /** Where it stands among those that have work; -1 when it has none. */
  place = -1
  readonly pace = new Pace()

  /** Waiters and open tickets. */
  get queued(): number {
    return this.waiting + this.tickets
  }
  get free(): boolean {
    return this.waiting + this.tickets + this.running === 0
  }

  append(entry: Entry): void {
    entry.before = this.tail
    if (this.tail === undefined) this.head = entry
    else this.tail.after = entry
    this.tail = entry
    this.waiting++
  }

  remove(entry: Entry): void {
    if (entry.before === undefined) this.head = entry.after
    else entry.before.after = entry.after
    if (entry.after === undefined) this.tail = entry.before
    else entry.after.before = entry.before
    entry.before = entry.after = undefined
    this.waiting--
  }
}
