import type { Exit, Tracer } from "effect"
import type { Ticket } from "../bounded/Bounded.ts"
import { usual } from "../bounded/rank.ts"
import type { TaskRecord } from "../task/record.ts"
import type { CancelScope } from "../task/scope.ts"
import type { Plan } from "./plan.ts"
import type { Outcome } from "./Mailbox.ts"

/** Where a message is; it never leaves its terminal state. */
export type State = "new" | "offering" | "queued" | "stashed" | "running" | Outcome

/** How it was sent. */
export type How = "tell" | "offer" | "ask"

/** To whom a message goes. */
export interface Recipient {
  readonly path: string
}

/** The run of a message. */
export interface Run {
  /** Made when it is asked for. */
  readonly task: TaskRecord
}

/**
 * One message on its way. One class for every kind of message, so that the engine sees one shape;
 * it is a node of the list it is in, so that leaving is O(1).
 */
export class Entry {
  readonly to: Recipient
  readonly plan: Plan
  readonly payload: unknown
  readonly how: How
  /** When it was sent; absolute milliseconds. */
  readonly at: number
  /** When it was last started. */
  startedAt = 0
  /** When it need not run any more; absolute milliseconds. */
  readonly expires: number
  state: State = "new"
  seq = 0
  next: Entry | undefined = undefined
  previous: Entry | undefined = undefined
  list: List | undefined = undefined
  /** The rank of the class of the sender's work. */
  rank: number = usual
  /** Whom that is accounted to, as 32 bits with a sign: those an engine keeps without a box. */
  tenant = 0
  /** The sender's span, when it is being traced. */
  span: Tracer.AnySpan | undefined = undefined
  /** Of an ask: the asker's task, and the places that it reserved at the door. */
  parent: TaskRecord | undefined = undefined
  tickets: ReadonlyArray<Ticket> | undefined = undefined
  /** Of an ask: the answer, once there is one, and who waits for it. */
  exit: Exit.Exit<unknown, unknown> | undefined = undefined
  reply: ((exit: Exit.Exit<unknown, unknown>) => void) | undefined = undefined
  /** Of an offer that waits for room: told when the wait is over. */
  admitted: (() => void) | undefined = undefined
  /** While it runs. */
  frame: Run | undefined = undefined
  /** Nobody waits for the answer any more. */
  forsaken = false
  /** Times it has been started. */
  attempts = 0

  constructor(
    to: Recipient,
    plan: Plan,
    payload: unknown,
    how: How,
    at: number,
    expires: number,
  ) {
    this.to = to
    this.plan = plan
    this.payload = payload
    this.how = how
    this.at = at
    this.expires = expires
  }

  /** It is sent by work of that frame. */
  from({ rank, tenant }: CancelScope): void {
    this.rank = rank
    this.tenant = tenant | 0
  }

  /** Its name in the protocol. */
  get tag(): string {
    return this.plan.tag
  }
}

/** A doubly linked list whose nodes are the entries themselves. */
export class List {
  head: Entry | undefined = undefined
  tail: Entry | undefined = undefined
  size = 0

  append(entry: Entry): void {
    entry.list = this
    const tail = this.tail
    entry.previous = tail
    entry.next = undefined
    if (tail === undefined) this.head = entry
    else tail.next = entry
    this.tail = entry
    this.size++
  }

  prepend(entry: Entry): void {
    entry.list = this
    const head = this.head
    entry.next = head
    entry.previous = undefined
    if (head === undefined) this.tail = entry
    else head.previous = entry
    this.head = entry
    this.size++
  }

  at(position: number): Entry | undefined {
    let entry = this.head
    for (let i = 0; i < position && entry !== undefined; i++) entry = entry.next
    return entry
  }

  remove(entry: Entry): void {
    const { next, previous } = entry
    if (previous === undefined) this.head = next
    else previous.next = next
    if (next === undefined) this.tail = previous
    else next.previous = previous
    entry.next = entry.previous = entry.list = undefined
    this.size--
  }
}

/** That many empty lists. */
export const lists = (count: number): ReadonlyArray<List> =>
  Array.from({ length: count }, () => new List())
