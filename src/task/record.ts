import type { Clock, Fiber } from "effect"
import { Effect } from "effect"
import * as CancelReason from "./CancelReason.ts"
import type { CancelScope, TaskAccount } from "./scope.ts"
import type { Timer } from "./timers.ts"
import { timersOf } from "./timers.ts"
import type { Tree } from "./tree.ts"

/** How a task ended. */
export type Outcome = "completed" | "failed" | "cancelled" | "refused"

/** What a task says about how far it is. */
export interface Progress {
  readonly done: number
  readonly total: number | undefined
  readonly note: string | undefined
}

/**
 * One live task. All methods are synchronous; `tree` lists it from `begin` until its fiber has
 * really ended, also when its cleanup was abandoned.
 */
export class TaskRecord implements TaskAccount {
  readonly name: string
  readonly kind: string
  readonly parent: TaskRecord | undefined
  readonly startedAt: number
  readonly cleanupMs: number
  readonly clock: Clock.Clock
  readonly tree: Tree
  /** Set by the maker, right after construction. */
  scope!: CancelScope
  fiber: Fiber.Fiber<unknown, unknown> | undefined = undefined
  waitedMs = 0
  progress: Progress | undefined = undefined
  /** Absolute milliseconds of the first cancel; -1 while there was none. */
  cancelledAt = -1
  abandoned = false
  outcome: Outcome | undefined = undefined
  private waiting: string | undefined = undefined
  private identity: string | undefined = undefined
  private settled: Array<() => void> | undefined = undefined
  private hooks: Array<(reason: CancelReason.CancelReason) => void> | undefined = undefined
  private deadlineTimer: Timer | undefined = undefined
  private cleanupTimer: Timer | undefined = undefined

  constructor(
    tree: Tree,
    clock: Clock.Clock,
    name: string,
    kind: string,
    parent: TaskRecord | undefined,
    startedAt: number,
    cleanupMs: number,
  ) {
    this.tree = tree
    this.clock = clock
    this.name = name
    this.kind = kind
    this.parent = parent
    this.startedAt = startedAt
    this.cleanupMs = cleanupMs
  }

  /**
   * Unguessable: knowing the id is the right to read and cancel the task over HTTP, so it does not
   * come from the seedable Random. Made on first use, because most requests never need one.
   */
  get id(): string {
    if (this.identity === undefined) {
      this.identity = crypto.randomUUID()
      this.tree.named(this, this.identity)
    }
    return this.identity
  }

  /** Whether somebody has asked for the id. */
  get hasId(): boolean {
    return this.identity !== undefined
  }

  get waitingOn(): string | undefined {
    return this.waiting
  }

  set waitingOn(name: string | undefined) {
    this.waiting = name
    if (this.tree.observed(this)) {
      this.tree.emit(this, name === undefined ? { _tag: "Resumed" } : { _tag: "Waiting", on: name })
    }
  }

  get state(): "running" | "waiting" | "cancelling" | "abandoned" | "ended" {
    if (this.outcome !== undefined) return "ended"
    if (this.abandoned) return "abandoned"
    if (this.cancelledAt >= 0) return "cancelling"
    return this.waiting === undefined ? "running" : "waiting"
  }

  /** Arms the deadline; called only once the task has suspended. */
  armDeadline(): void {
    const deadline = this.scope.deadline
    // An inherited deadline is the parent's to enforce.
    if (deadline === Infinity || deadline === this.scope.parent?.deadline) return
    this.deadlineTimer = timersOf(this.clock).schedule(deadline, () => {
      this.deadlineTimer = undefined
      this.cancel(CancelReason.DeadlineExceeded(deadline))
    })
  }

  /** Writes the reason, interrupts, and starts the clock of the cleanup. False when too late. */
  cancel(reason: CancelReason.CancelReason): boolean {
    if (this.outcome !== undefined) return false
    this.scope.cancel(reason)
    this.interrupt(reason)
    return true
  }

  /** Cancels because the owner ends: the owner's own reason, if it has one, is the true one. */
  cancelByOwner(owner: string): void {
    if (this.outcome !== undefined) return
    const inherited = this.scope.effectiveReason()
    if (inherited === undefined) this.cancel(CancelReason.ParentEnded(owner))
    else this.interrupt(inherited)
  }

  private interrupt(reason: CancelReason.CancelReason): void {
    if (this.cancelledAt < 0) {
      const now = this.clock.currentTimeMillisUnsafe()
      this.cancelledAt = now
      this.tree.emit(this, { _tag: "CancelRequested", reason })
    }
    this.fiber?.interruptUnsafe(undefined, CancelReason.annotations(reason))
    const hooks = this.hooks
    this.hooks = undefined
    if (hooks !== undefined) { for (const hook of hooks) hook(reason) }
    // The fiber may have ended within the interrupt.
    if ((this.outcome as Outcome | undefined) !== undefined || this.cleanupTimer !== undefined) {
      return
    }
    this.cleanupTimer = timersOf(this.clock).schedule(
      this.cancelledAt + this.cleanupMs,
      () => this.abandon(),
    )
  }

  private abandon(): void {
    if (this.outcome !== undefined || this.abandoned) return
    this.abandoned = true
    this.tree.abandoned(this)
    const fiber = this.fiber
    if (fiber !== undefined) {
      Effect.runForkWith(fiber.context)(Effect.logWarning(
        `Cleanup abandoned: ${this.kind} "${this.name}" has not ended ${this.cleanupMs} ms after ` +
          "its cancel. It stays in the task tree until it does.",
      )).addObserver(() => {})
    }
    this.settle()
  }

  /** Ends the task; called once, when its fiber and its resources are done. */
  end(outcome: Outcome): void {
    if (this.outcome !== undefined) return
    this.outcome = outcome
    const timers = this.deadlineTimer ?? this.cleanupTimer
    if (timers !== undefined) {
      const all = timersOf(this.clock)
      if (this.deadlineTimer !== undefined) all.cancel(this.deadlineTimer)
      if (this.cleanupTimer !== undefined) all.cancel(this.cleanupTimer)
      this.deadlineTimer = this.cleanupTimer = undefined
    }
    this.hooks = undefined
    this.tree.remove(this, outcome)
    this.settle()
  }

  /** Calls back when the task has ended or its cleanup was abandoned; at once if it has. */
  onSettled(callback: () => void): void {
    if (this.outcome !== undefined || this.abandoned) return callback()
    if (this.settled === undefined) this.settled = [callback]
    else this.settled.push(callback)
  }

  offSettled(callback: () => void): void {
    const index = this.settled?.indexOf(callback) ?? -1
    if (index >= 0) this.settled!.splice(index, 1)
  }

  /** Calls back when the task is cancelled, after the interrupt was sent. */
  onCancel(hook: (reason: CancelReason.CancelReason) => void): void {
    if (this.hooks === undefined) this.hooks = [hook]
    else this.hooks.push(hook)
  }

  private settle(): void {
    const callbacks = this.settled
    this.settled = undefined
    if (callbacks !== undefined) { for (const callback of callbacks) callback() }
  }
}
