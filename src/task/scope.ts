import { Context } from "effect"
import type { Bounded, Ticket } from "../bounded/Bounded.ts"
import type { CancelReason } from "./CancelReason.ts"

/** What the pools below may read and write of the task above them. */
export interface TaskAccount {
  /** Milliseconds spent waiting for bounded things; not part of the task's service time. */
  waitedMs: number
  /** Name of the bounded thing the task waits for right now. */
  waitingOn: string | undefined
}

/**
 * One frame of the chain that answers "until when, cancelled by whom, holding what".
 *
 * Effect's own interrupt annotations reach only the fiber that was interrupted, not its children,
 * race losers or scopes; this chain travels in the context and so reaches all of them.
 */
export class CancelScope {
  readonly parent: CancelScope | undefined
  /** Absolute milliseconds; `Infinity` when there is none. Never later than the parent's. */
  readonly deadline: number
  readonly task: TaskAccount | undefined
  /** Tickets taken at the door; shared by all frames of one request. */
  readonly tickets: ReadonlyArray<Ticket> | undefined
  /** The bounded thing of which the work in this frame holds a slot. */
  readonly holds: Bounded | undefined
  /** Written once, before the interrupt, by whoever cancels this scope. */
  reason: CancelReason | undefined

  constructor(
    parent: CancelScope | undefined,
    deadline: number,
    task: TaskAccount | undefined,
    tickets: ReadonlyArray<Ticket> | undefined,
    holds: Bounded | undefined,
  ) {
    this.parent = parent
    this.deadline = deadline
    this.task = task
    this.tickets = tickets
    this.holds = holds
    this.reason = undefined
  }

  /** Own reason, else the nearest one above. */
  effectiveReason(): CancelReason | undefined {
    // deno-lint-ignore no-this-alias
    let scope: CancelScope | undefined = this
    while (scope !== undefined) {
      if (scope.reason !== undefined) return scope.reason
      scope = scope.parent
    }
    return undefined
  }

  /** Writes the reason unless one stands already. */
  cancel(reason: CancelReason): void {
    if (this.reason === undefined) this.reason = reason
  }

  /** Whether this frame or one above holds a slot of that thing. */
  holding(bounded: Bounded): boolean {
    // deno-lint-ignore no-this-alias
    let scope: CancelScope | undefined = this
    while (scope !== undefined) {
      if (scope.holds === bounded) return true
      scope = scope.parent
    }
    return false
  }

  /** The open ticket for that thing, if the request still has one. */
  ticketFor(bounded: Bounded): Ticket | undefined {
    const tickets = this.tickets
    if (tickets === undefined) return undefined
    for (let i = 0; i < tickets.length; i++) {
      const ticket = tickets[i]!
      if (ticket.bounded === bounded && ticket.open) return ticket
    }
    return undefined
  }

  /** A frame for work that holds a slot of that thing. */
  withHold(bounded: Bounded): CancelScope {
    return new CancelScope(this, this.deadline, this.task, this.tickets, bounded)
  }

  /** A frame with an earlier deadline. */
  withDeadline(deadline: number): CancelScope {
    return new CancelScope(
      this,
      Math.min(this.deadline, deadline),
      this.task,
      this.tickets,
      undefined,
    )
  }
}

/** Detached work and programs outside any task. Its reason is never written. */
export const root: CancelScope = new CancelScope(
  undefined,
  Infinity,
  undefined,
  undefined,
  undefined,
)

/** The frame in force for the running fiber. */
export const CurrentScope: Context.Reference<CancelScope> = Context.Reference<CancelScope>(
  "weir/task/CancelScope",
  { defaultValue: () => root },
)
