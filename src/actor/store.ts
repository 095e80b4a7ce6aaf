import type { Bounded, Stats, Ticket } from "../bounded/Bounded.ts"
import type { Reason, Refusal } from "../bounded/Refused.ts"
import type { Entry } from "./entry.ts"
import type { Overflow } from "./Mailbox.ts"

/** Why a mailbox did not take a message, with the numbers of that moment. */
export interface Rejection {
  readonly reason: "Full" | "Infeasible" | "Offerers" | "Dropped"
  readonly waiting: number
  readonly predictedWaitMs: number
}

export interface Options {
  /** How many messages may run at once. */
  readonly concurrency: number
  /** How many may wait. */
  readonly capacity: number
  readonly overflow: Overflow
  /** How many senders may wait for room. */
  readonly offerers: number
  /** How many may be put aside. */
  readonly stash: number
  /** Priority lanes, at least 1. */
  readonly lanes: number
}

/** Whose mailbox it is. */
export interface Owner {
  /** A message that nobody took out expired or was dropped. */
  readonly lost: (entry: Entry, outcome: "expired" | "dropped") => void
  /** A message that is being started had to wait. */
  readonly waited: (ms: number) => void
}

/** The tickets for a mailbox. Those of a single actor outlast its mailboxes. */
export interface Line {
  /** Open ones. */
  tickets: number
  /** What they are tickets for. */
  readonly bounded: Bounded
  /** There is room again. */
  readonly freed: () => void
}

/** A place in a mailbox, taken at the door. */
export class MailboxTicket implements Ticket {
  open = true
  readonly bounded: Bounded
  private readonly line: Line

  constructor(line: Line) {
    this.bounded = line.bounded
    this.line = line
    line.tickets++
  }

  /** Ends it; a second call does nothing. */
  settle(): boolean {
    if (!this.open) return false
    this.open = false
    this.line.tickets--
    return true
  }

  readonly release = (): void => {
    if (this.settle()) this.line.freed()
  }
}

/** The facts of a refusal at the door. */
export const refusalOf = (stats: Stats, reason: Reason): Refusal => ({
  _tag: "Refusal",
  reason,
  kind: stats.kind,
  resource: stats.name,
  inUse: stats.inUse,
  capacity: stats.capacity,
  waiting: stats.waiting,
  predictedWaitMs: stats.predictedWaitMs,
  // A mailbox of quick handlers is empty again in a moment; a second is the least HTTP can say.
  retryAfterMs: stats.predictedWaitMs > 0 ? stats.predictedWaitMs : 1000,
})
