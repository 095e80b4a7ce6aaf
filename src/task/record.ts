import type { Clock, Fiber, Scope } from "effect"
import { Effect } from "effect"
import * as CancelReason from "./CancelReason.ts"
import { interrupt } from "./commit.ts"
import type { Ledger, Outcome, Progress } from "./events.ts"
import type { CancelScope, TaskAccount } from "./scope.ts"
import type { Timer } from "./timers.ts"
import { timersOf } from "./timers.ts"
import { fork, inTurn } from "./turn.ts"

export type { Outcome, Progress }

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
  readonly tree: Ledger<TaskRecord>
  /** Set by the maker, right after construction. */
  scope!: CancelScope
  fiber: Fiber.Fiber<unknown, unknown> | undefined = undefined
  /** The scope of the task's own resources, if it has one. */
  resources: Scope.Scope | undefined = undefined
  waitedMs = 0
  progress: Progress | undefined = undefined
  /** Absolute milliseconds of the first cancel; -1 while there was none. */
  cancelledAt = -1
  abandoned = false
  /** Whether somebody waits, or has waited, for its exit. */
  watched = false
  outcome: Outcome | undefined = undefined
  /** It belongs to no request: it ends with its scope, and a drain does not wait for it. */
  background = false
  /** Tasks that it started into a scope which may close later than it ends. */
  children: Set<TaskRecord> | undefined = undefined
  /** Its neighbours in the list of live tasks; only the tree sets them. */
  older: TaskRecord | undefined = undefined
  younger: TaskRecord | undefined = undefined
  private waiting: string | undefined = undefined
  /** The named steps of its cleanup that run; mostly one, more when it has fibers of its own. */
  private steps: Array<string> | undefined = undefined
  private identity: string | undefined = undefined
  private settled: Array<() => void> | undefined = undefined
  private hooks: Array<(reason: CancelReason.CancelReason) => void> | undefined = undefined
  private deadlineTimer: Timer | undefined = undefined
  private cleanupTimer: Timer | undefined = undefined

  constructor(
    tree: Ledger<TaskRecord>,
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

  /** The step of its cleanup that runs: of several, the one that began last. */
  get cleanup(): string | undefined {
    return this.steps?.at(-1)
  }

  beginCleanup(step: string): void {
    if (this.steps === undefined) this.steps = [step]
    else this.steps.push(step)
    if (this.tree.observed(this)) this.tree.emit(this, { _tag: "CleanupStarted", step })
  }

  endCleanup(step: string, failed: boolean): void {
    const index = this.steps?.lastIndexOf(step) ?? -1
    if (index >= 0) this.steps!.splice(index, 1)
    if (this.tree.observed(this)) this.tree.emit(this, { _tag: "CleanupEnded", step, failed })
  }

  get state(): "running" | "waiting" | "cancelling" | "abandoned" | "ended" {
    if (this.outcome !== undefined) return "ended"
    if (this.abandoned) return "abandoned"
    if (this.cancelledAt >= 0) return "cancelling"
    return this.waiting === undefined ? "running" : "waiting"
  }

  get ended(): boolean {
    return this.outcome !== undefined
  }

  /**
   * Arms the deadline; called only once the task has suspended. A deadline that somebody else
   * enforces, as a rule the parent, needs no timer.
   */
  armDeadline(enforced: number | undefined = this.scope.parent?.deadline): void {
    const deadline = this.scope.deadline
    if (deadline === Infinity || deadline === enforced || this.cancelledAt >= 0) return
    this.deadlineTimer = timersOf(this.clock).schedule(deadline, () => {
      this.cancel(CancelReason.DeadlineExceeded(deadline))
    })
  }

  /**
   * Writes the reason, interrupts, and starts the clock of the cleanup. Once: the first reason
   * stays, and code cannot swallow an interrupt. False when the task is over.
   */
  cancel(reason: CancelReason.CancelReason): boolean {
    if (this.outcome !== undefined) return false
    this.scope.cancel(reason)
    this.interrupt(reason)
    return true
  }

  /** Cancels because the owner ends: the owner's own reason, if it has one, is the true one. */
  cancelByOwner(owner: string): void {
    if (this.outcome !== undefined || this.cancelledAt >= 0) return
    const inherited = this.scope.effectiveReason()
    if (inherited === undefined) this.cancel(CancelReason.ParentEnded(owner))
    else this.interrupt(inherited)
  }

  private interrupt(reason: CancelReason.CancelReason): void {
    if (this.cancelledAt >= 0) return
    const fiber = this.fiber
    const timers = timersOf(this.clock)
    if (this.deadlineTimer !== undefined) timers.cancel(this.deadlineTimer)
    this.cancelledAt = this.clock.currentTimeMillisUnsafe()
    const until = this.cancelledAt + this.cleanupMs
    this.scope.cleanUpUntil(until)
    const hooks = this.hooks
    this.hooks = undefined
    if (this.tree.observed(this)) this.tree.emit(this, { _tag: "CancelRequested", reason })
    if (fiber !== undefined) interrupt(fiber, undefined, CancelReason.annotations(reason))
    if (hooks !== undefined) { for (const hook of hooks) inTurn(() => hook(reason)) }
    // The fiber may have ended within the interrupt.
    if ((this.outcome as Outcome | undefined) === undefined && until !== Infinity) {
      this.cleanupTimer = timers.schedule(until, () => this.abandon())
    }
  }

  private abandon(): void {
    if (this.outcome !== undefined) return
    this.abandoned = true
    // Nobody waits for it any more, so nothing hurries it.
    this.scope.cleanUpUntil(Infinity)
    this.tree.abandoned(this)
    const context = this.fiber?.context
    if (context !== undefined) {
      const step = this.cleanup
      fork(
        context,
        Effect.logWarning(
          `Cleanup abandoned: ${this.kind} "${this.name}" has not ended ${this.cleanupMs} ms after ` +
            "its cancel. It stays in the task tree until it does. " +
            (step === undefined
              ? "Look for a finalizer that waits without a timeout."
              : `It is still in its step "${step}"; give that a timeout.`),
        ),
      ).addObserver(() => {})
    }
    this.settle()
  }

  /** Ends the task; called once, when its fiber and its resources are done. */
  end(outcome: Outcome): void {
    if (this.outcome !== undefined) return
    this.outcome = outcome
    if (this.deadlineTimer !== undefined || this.cleanupTimer !== undefined) {
      const timers = timersOf(this.clock)
      if (this.deadlineTimer !== undefined) timers.cancel(this.deadlineTimer)
      if (this.cleanupTimer !== undefined) timers.cancel(this.cleanupTimer)
      this.deadlineTimer = this.cleanupTimer = undefined
    }
    this.hooks = undefined
    this.tree.remove(this, outcome)
    // Only a task without resources of its own still has any here.
    const children = this.children
    if (children !== undefined) { for (const child of children) child.cancelByOwner(this.name) }
    this.settle()
  }

  /** Binds the life of a task to this one as well; it must not outlive either owner. */
  adopt(child: TaskRecord): void {
    const children = this.children ??= new Set()
    children.add(child)
    child.onSettled(() => children.delete(child))
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

  /** Calls back when the task is cancelled, after the interrupt was sent; at once if it has been. */
  onCancel(hook: (reason: CancelReason.CancelReason) => void): void {
    if (this.outcome !== undefined) return
    if (this.cancelledAt >= 0) return hook(this.scope.effectiveReason()!)
    if (this.hooks === undefined) this.hooks = [hook]
    else this.hooks.push(hook)
  }

  private settle(): void {
    const callbacks = this.settled
    this.settled = undefined
    if (callbacks !== undefined) { for (const callback of callbacks) inTurn(callback) }
  }
}
