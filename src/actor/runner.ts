import { Cause, Effect, Exit } from "effect"
import type { Ticket } from "../bounded/Bounded.ts"
import { rooted } from "../internal/rooted.ts"
import type * as CancelReason from "../task/CancelReason.ts"
import * as Task from "../task/Task.ts"
import type { Outcome as TaskOutcome } from "../task/events.ts"
import { outcomeOf } from "../task/start.ts"
import { Batch } from "./batch.ts"
import type { Control } from "./control.ts"
import { maxDepth, stack } from "./depth.ts"
import type { Entry } from "./entry.ts"
import { isFull } from "./failures.ts"
import { ControlFrame, MessageFrame } from "./frame.ts"
import { Handling, type Verdict } from "./handling.ts"
import type { Home } from "./home.ts"
import { judge, measure, withoutStash } from "./judge.ts"
import { type Incarnation, launch } from "./launch.ts"
import type { Outcome } from "./Mailbox.ts"
import { Mailbox } from "./memory.ts"
import { Responder, type Status } from "./responder.ts"
import type { Owner, Rejection } from "./store.ts"
import { traced } from "./traced.ts"

/** Messages that are started in one turn before others get theirs. */
const turnful = 64
/** Messages of which each may keep alive what Deno keeps of the one before it. */
const longest = 32

/**
 * The half of an actor that handles messages; it knows nothing of starting and stopping. Everything
 * here is synchronous: what takes time runs in fibers of its own and comes back through `finish`.
 */
export abstract class Runner extends Responder implements Owner {
  readonly home: Home<Runner>
  readonly mailbox: Mailbox
  /** Takes nothing new. */
  stopping = false
  incarnation: Incarnation | undefined = undefined
  /** When the last message was started. */
  lastAt = 0
  /** Work of the actor's own that is running. */
  controls = 0
  /** The init that is running. */
  initializing: Handling | undefined = undefined
  protected queue: Array<Control> | undefined = undefined
  /** Runs that ended late, each of which began the next. */
  private links = 0
  /** The time of the drain, and how many messages may still be started in it. */
  private at = 0
  private left = 0
  private scheduled = false
  /** When the turn that is scheduled was, or -1 if nobody has looked at the clock since. */
  private stamp = -1
  private turn: (() => void) | undefined = undefined

  constructor(home: Home<Runner>, key: string, path: string) {
    super(key, path)
    this.home = home
    this.mailbox = new Mailbox(path, home.settings.mailbox, home.service, this, home.line)
  }

  /** The incarnation cannot go on. */
  protected abstract crashed(cause: Cause.Cause<unknown>): void
  /** Starts what can be started now. */
  drain(now: number): void {
    if (this.draining || this.status !== "ready") return
    this.draining = true
    stack.depth++
    this.at = now
    this.left = turnful
    // A handler may change the status from within.
    while ((this.status as Status) === "ready" && this.left > 0) {
      const { concurrency } = this.home.settings.mailbox
      if (this.queue !== undefined && this.mailbox.busy < concurrency - this.controls) {
        const control = this.queue.shift()!
        if (this.queue.length === 0) this.queue = undefined
        this.control(control, now)
      } else {
        const entry = this.take()
        if (entry === undefined) break
        this.run(this.begin(entry, now))
      }
      this.left--
    }
    stack.depth--
    this.draining = false
    if (this.status === "ready") {
      if (this.left <= 0 && (this.queue !== undefined || this.mailbox.waiting > 0)) this.schedule()
      else if (this.quiet) this.drained(now)
    }
    this.replies()
  }

  /** Nothing runs and nothing waits to run. */
  get quiet(): boolean {
    return this.mailbox.busy === 0 && this.mailbox.waiting === 0 && this.controls === 0 &&
      this.queue === undefined
  }

  /** Drains in a later turn. */
  schedule(now = -1): void {
    if (this.scheduled) return
    this.scheduled = true
    this.stamp = now
    this.home.later(
      this.turn ??= () => {
        this.scheduled = false
        this.drain(this.now())
      },
    )
  }

  /** Drains on this stack, unless it is deep already. */
  soon(now: number): void {
    if (stack.depth < maxDepth) this.drain(now)
    else this.schedule()
  }

  /** The time, as of the first message of this turn: a burst reads the clock once. */
  stamped(): number {
    return this.scheduled && this.stamp >= 0 ? this.stamp : this.stamp = this.now()
  }

  /** Takes a message, or says why not; what to do about it is left to the sender. */
  accept(entry: Entry, now: number, ticket?: Ticket): Rejection | "stopped" | undefined {
    if (this.stopping) {
      this.mailbox.turnedAway(entry)
      this.home.turnedAway(this)
      if (entry.how !== "ask") this.letter(entry, "rejected", undefined)
      return "stopped"
    }
    if (this.quiet) this.home.busy(this)
    const rejection = this.mailbox.offer(entry, now, ticket)
    if (rejection !== undefined && rejection.reason !== "Dropped" && entry.how !== "ask") {
      this.letter(entry, "rejected", undefined)
    } else if (rejection !== undefined && rejection.reason === "Dropped") {
      this.letter(entry, "dropped", undefined)
    }
    if (rejection !== undefined && this.quiet && this.status === "ready") this.drained(now)
    return rejection
  }

  /** Adds work of the actor's own. */
  command(control: Control): void {
    if (this.status === "closing" || this.status === "stopped") return control.over?.()
    if (this.quiet) this.home.busy(this)
    if (this.queue === undefined) this.queue = [control]
    else this.queue.push(control)
    this.schedule()
  }

  /** Takes back work of the actor's own that has not begun. */
  retract(control: Control): void {
    const index = this.queue?.indexOf(control) ?? -1
    if (index < 0) return
    this.queue!.splice(index, 1)
    if (this.queue!.length === 0) this.queue = undefined
  }

  /** Cancels everything that runs; each message ends as its own verdict says. */
  protected cancelRunning(
    reason: CancelReason.CancelReason,
    verdict: (entry: Entry) => Verdict,
  ): void {
    for (const handling of this.runs()) {
      if (handling.entry === undefined) handling.cancel(reason)
      else this.cancel(handling, reason, verdict(handling.entry))
    }
  }

  /** Everything of this actor that runs now. */
  runs(): ReadonlyArray<Handling> {
    const all: Array<Handling> = Array.from(this.busyControls ?? [])
    if (this.initializing !== undefined) all.push(this.initializing)
    for (let at = this.mailbox.oldestRunning; at !== undefined; at = at.next) {
      all.push(at.frame!.task as Handling)
    }
    return all
  }

  private busyControls: Set<Handling> | undefined = undefined

  /** Frees all places for a new life; what still runs in them belongs to the old one. */
  protected vacate(): void {
    this.mailbox.vacate()
    this.busyControls = undefined
    this.controls = 0
  }

  private control(control: Control, now: number): void {
    const handling = this.handling(control.name, undefined, now)
    this.controls++
    const busy = this.busyControls ??= new Set()
    busy.add(handling)
    const incarnation = this.incarnation!
    const frame = new ControlFrame(handling, incarnation.frame, (exit, late) => {
      busy.delete(handling)
      if (this.busyControls === busy) this.controls--
      handling.end(outcomeOf(exit))
      control.over?.()
      if (Exit.isFailure(exit) && handling.cancelledAt < 0 && this.incarnation === incarnation) {
        return this.crashed(exit.cause)
      }
      if (Exit.isFailure(exit) && Cause.hasDies(exit.cause)) this.home.crashedLate(this, exit.cause)
      if (late) rooted(() => this.drain(this.now()))
    })
    launch(control.context, this.home.ledger, frame, control.effect)
  }

  private handling(name: string, entry: Entry | undefined, now: number): Handling {
    const { clock, ledger, settings } = this.home
    const path = `${this.path}.${name}`
    return new Handling(ledger, clock, this, path, entry, entry?.parent, now, settings.graceMs)
  }

  /** The task of a message's run. */
  handlingOf(entry: Entry): Handling {
    return this.handling(entry.plan.tag, entry, entry.startedAt)
  }

  /** Begins a message: its code is made, and nothing of it has run but what makes it. */
  private begin(entry: Entry, now: number): MessageFrame {
    const { plan } = entry
    const incarnation = this.incarnation!
    const frame = new MessageFrame(this, entry, incarnation)
    entry.frame = frame
    entry.attempts++
    this.lastAt = now
    try {
      const code = incarnation.handlers[plan.tag]!(entry as never)
      frame.code = plan.uninterruptible ? Task.commit(code) : code
      if (entry.span !== undefined) traced(frame, this)
    } catch (defect) {
      frame.code = Effect.die(defect)
    }
    return frame
  }

  /** The next message of a batch. */
  next(): MessageFrame | undefined {
    if (this.status !== "ready" || this.left <= 1 || this.queue !== undefined) return undefined
    const entry = this.take()
    if (entry === undefined) return undefined
    this.left--
    return this.begin(entry, this.at)
  }

  private take(): Entry | undefined {
    return this.mailbox.take(this.at, this.home.settings.mailbox.concurrency - this.controls)
  }

  private run(frame: MessageFrame): void {
    const { ledger } = this.home
    if (this.mailbox.waiting > 0 && this.left > 1 && !Exit.isExit(frame.code)) {
      return new Batch(this, ledger, frame).run()
    }
    launch(frame.services, ledger, frame, frame.code)
  }

  finish(frame: MessageFrame, exit: Exit.Exit<unknown, unknown>, late: boolean): void {
    const { entry, made } = frame
    const now = late ? this.now() : 0
    measure(this.home.service, frame.isCancelled, late ? now - entry.startedAt : undefined, exit)
    if (Exit.isSuccess(exit)) {
      this.conclude(frame, "handled", "completed")
      if (entry.forsaken) this.letter(entry, "late-reply", undefined, exit.value)
      else if (entry.how === "ask") this.answer(entry, exit)
    } else {
      const cause = made?.stashing === true ? withoutStash(exit.cause) : exit.cause
      if (cause === undefined) this.putAside(frame)
      else this.failedOn(frame, cause)
    }
    if (!late) return
    // What comes next must not be tied to what has just ended, or a busy actor would only grow; to
    // cut it off costs as much as a suspension, so some links are left.
    if (++this.links % longest !== 0) this.drain(now)
    else rooted(() => this.drain(now))
    if (this.status === "stopped" && this.mailbox.running === 0) this.home.over(this)
  }

  /** The message first: whoever waits for the run counts messages. */
  private conclude(frame: MessageFrame, outcome: Outcome, task: TaskOutcome): void {
    this.mailbox.end(frame.entry, outcome)
    frame.ended(task)
  }

  private putAside(frame: MessageFrame): void {
    const { mailbox } = this
    const { entry } = frame
    // Cancelled while it cleaned up: nobody wants it later either.
    if (frame.isCancelled) return this.failedOn(frame, Cause.interrupt())
    if (mailbox.stash(entry)) {
      // It was no try of what its retries are for.
      entry.attempts--
      return frame.ended("completed")
    }
    this.conclude(frame, "rejected", "refused")
    if (entry.how !== "ask" || entry.forsaken) this.letter(entry, "rejected", undefined)
    this.answer(entry, Exit.fail(isFull(this, entry.tag, "Stash", mailbox.stashed)))
  }

  private failedOn(frame: MessageFrame, cause: Cause.Cause<unknown>): void {
    const { entry } = frame
    const { again, exit, outcome } = judge(this, frame.made, entry, cause)
    if (Cause.hasDies(cause)) {
      // Only what this incarnation dies of is a crash; one that is ending is dead already.
      const own = this.status === "ready" &&
        frame.parent === this.incarnation?.frame
      const { retries } = entry.plan
      if (own && !this.stopping && !entry.forsaken && entry.attempts <= retries) {
        this.mailbox.retry(entry)
        frame.ended("failed")
        return this.crashed(cause)
      }
      this.conclude(frame, outcome, "failed")
      this.letter(entry, "failed", cause)
      if (own) this.crashed(cause)
      else this.home.crashedLate(this, cause)
      return this.answer(entry, exit)
    }
    // Another message's crash has cut it short.
    if (again === true && this.status === "crashed" && !this.stopping && !entry.forsaken) {
      this.mailbox.retry(entry)
      return frame.ended("cancelled")
    }
    this.conclude(frame, outcome, outcomeOf(Exit.failCause(cause)))
    if (outcome === "failed") this.letter(entry, "failed", cause)
    else if (outcome === "handled" && entry.forsaken) {
      return this.letter(entry, "late-reply", cause)
    }
    this.answer(entry, exit)
  }
}
