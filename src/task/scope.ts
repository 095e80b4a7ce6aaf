import { Context, type Fiber } from "effect"
import type { Bounded, Ticket } from "../bounded/Bounded.ts"
import { usual } from "../bounded/rank.ts"
import type { CancelReason } from "./reason.ts"

/** What the pools below may read and write of the task above them. */
export interface TaskAccount {
  /** Milliseconds spent waiting for bounded things; not part of the task's service time. */
  waitedMs: number
  /** Name of the bounded thing the task waits for right now. */
  waitingOn: string | undefined
  /** Whether the task is over; a fiber that escaped it is then bound by nothing of it. */
  readonly ended?: boolean
}

/** Grows with every cancel in the process. */
let cancels = 0

/**
 * One frame of the chain that answers "until when, cancelled by whom, holding what".
 *
 * Effect's own interrupt annotations reach only the fiber that was interrupted, not its children,
 * race losers or scopes; this chain travels in the context and so reaches all of them.
 */
export class CancelScope {
  readonly parent: CancelScope | undefined
  readonly task: TaskAccount | undefined
  /** Tickets taken at the door; shared by all frames of one request. */
  readonly tickets: ReadonlyArray<Ticket> | undefined
  /** Rank of the class of the work. */
  readonly rank: number
  /** Hash of whom the work is accounted to; 0 for nobody. */
  readonly tenant: number
  /** The bounded thing of which the work in this frame holds a slot; cleared when that ends. */
  holds: Bounded | undefined
  private why: CancelReason | undefined
  /** Until when work in this frame may clean up, once it is being cancelled. */
  private until: number | undefined
  /** The deadline it was made with, which stays what it was when the work is cancelled. */
  readonly limit: number
  private over = false
  /** The cancel that was in progress when this frame began: it does not concern this frame. */
  private readonly under: CancelScope | undefined
  /** The nearest frame that was cancelled, as of `seenAt`: chains get long, and cancels are rare. */
  private seen: CancelScope | undefined
  private seenAt: number

  constructor(
    parent: CancelScope | undefined,
    deadline: number,
    task: TaskAccount | undefined,
    tickets: ReadonlyArray<Ticket> | undefined,
    holds: Bounded | undefined,
    rank: number = parent === undefined ? usual : parent.rank,
    tenant: number = parent === undefined ? 0 : parent.tenant,
  ) {
    this.parent = parent
    this.limit = deadline
    this.task = task
    this.tickets = tickets
    this.holds = holds
    this.rank = rank
    this.tenant = tenant
    this.why = undefined
    this.until = undefined
    this.under = parent === undefined ? undefined : parent.cancelledFrame()
    this.seen = this.under
    this.seenAt = cancels
  }

  /** Written once, before the interrupt, by whoever cancels this scope. */
  get reason(): CancelReason | undefined {
    return this.why
  }

  /**
   * Absolute milliseconds; `Infinity` when there is none. Once the work is cancelled, the end of its
   * cleanup: a release that needs a connection must not be refused because the work was late.
   */
  get deadline(): number {
    const frame = this.cancelledFrame()
    if (frame === this.under) {
      if (this.task?.ended === true) return Infinity
      return this.over ? this.parent?.deadline ?? Infinity : this.limit
    }
    return frame!.until ?? frame!.parent?.deadline ?? Infinity
  }

  /** Own reason, else the nearest one above. */
  effectiveReason(): CancelReason | undefined {
    let frame = this.cancelledFrame()
    while (frame !== undefined && frame.why === undefined) frame = frame.parent?.cancelledFrame()
    return frame?.why
  }

  /** Writes the reason unless one stands already. */
  cancel(reason: CancelReason): void {
    if (this.why !== undefined) return
    this.why = reason
    cancels++
  }

  /** Sets the end of the cleanup; the frame counts as cancelled from now on. */
  cleanUpUntil(instant: number): void {
    this.until = instant
    cancels++
  }

  /** Nobody enforces its deadline any more: a fiber that stays behind is bound by the one above. */
  end(): void {
    this.over = true
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

  private cancelledFrame(): CancelScope | undefined {
    if (this.seenAt === cancels) return this.seen
    // deno-lint-ignore no-this-alias
    let frame: CancelScope | undefined = this
    while (frame !== undefined && frame.why === undefined && frame.until === undefined) {
      if (frame.seenAt === cancels) {
        frame = frame.seen
        break
      }
      frame = frame.parent
    }
    this.seen = frame
    this.seenAt = cancels
    return frame
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

/** The frame for new work of that fiber: that of its task, unless it has escaped it. */
export const frameOf = (fiber: Fiber.Fiber<unknown, unknown>): CancelScope => {
  const scope = fiber.getRef(CurrentScope)
  return scope.task?.ended === true ? root : scope
}
