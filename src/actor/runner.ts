import { Cause, Effect, Exit } from "effect"
import type { Ticket } from "../bounded/Bounded.ts"
import * as CancelReason from "../task/CancelReason.ts"
import { outcomeOf } from "../task/start.ts"
import type { Reason as LetterReason } from "./DeadLetters.ts"
import type { Entry } from "./entry.ts"
import { crashedOn, isFull, timedOut } from "./failures.ts"
import { Handling, type Verdict } from "./handling.ts"
import type { Home } from "./home.ts"
import { type Incarnation, launch, type Then } from "./launch.ts"
import type { Outcome } from "./Mailbox.ts"
import { Mailbox } from "./memory.ts"
import type { Owner, Rejection } from "./store.ts"

/** Messages that are started in one turn before others get theirs. */
const batch = 64
/** How deep actors may drain one another's mailboxes on one stack. */
const maxDepth = 16
let depth = 0

export type Status = "starting" | "ready" | "crashed" | "waiting" | "closing" | "stopped"

/** Work of the actor's own that overtakes messages and is never dropped: what it watches, its timers. */
export interface Control {
  readonly name: string
  readonly effect: Effect.Effect<void, unknown>
  /** Done, or never to be done. */
  readonly over?: (() => void) | undefined
}

/** The signal by which a handler puts its message aside. */
export const stashSignal: unique symbol = Symbol.for("weir/actor/stash")

/**
 * The half of an actor that handles messages; it knows nothing of starting and stopping. Everything
 * here is synchronous: what takes time runs in fibers of its own and comes back through `finish`.
 */
export abstract class Runner implements Owner {
  readonly home: Home<Runner>
  readonly key: string
  readonly path: string
  readonly mailbox: Mailbox
  status: Status = "starting"
  /** Takes nothing new. */
  stopping = false
  incarnation: Incarnation | undefined = undefined
  /** When the last message was started. */
  lastAt = 0
  /** Work of the actor's own that is running. */
  controls = 0
  protected queue: Array<Control> | undefined = undefined
  private draining = false
  private scheduled = false
  private stamp = 0
  private turn: (() => void) | undefined = undefined

  constructor(home: Home<Runner>, key: string, path: string) {
    this.home = home
    this.key = key
    this.path = path
    this.mailbox = new Mailbox(path, home.settings.mailbox, home.service, this)
  }

  /** The incarnation cannot go on. */
  protected abstract crashed(cause: Cause.Cause<unknown>): void
  /** Everything that was there has been handled. */
  protected abstract drained(now: number): void

  /** Starts what can be started now. */
  drain(now: number): void {
    if (this.draining || this.status !== "ready") return
    this.draining = true
    depth++
    const { mailbox } = this
    const { concurrency } = this.home.settings.mailbox
    let left = batch
    // A handler may change the status from within.
    while ((this.status as Status) === "ready" && left > 0) {
      const places = concurrency - this.controls
      if (this.queue !== undefined && mailbox.running < places) {
        const control = this.queue.shift()!
        if (this.queue.length === 0) this.queue = undefined
        this.control(control, now)
      } else {
        const entry = mailbox.take(now, places)
        if (entry === undefined) break
        this.run(entry, now)
      }
      left--
    }
    depth--
    this.draining = false
    if (this.status !== "ready") return
    if (left === 0 && (this.queue !== undefined || mailbox.waiting > 0)) this.schedule()
    else if (this.quiet) this.drained(now)
  }

  /** Nothing runs and nothing waits to run. */
  get quiet(): boolean {
    return this.mailbox.running === 0 && this.mailbox.waiting === 0 && this.controls === 0 &&
      this.queue === undefined
  }

  /** Drains in a later turn. */
  schedule(): void {
    if (this.scheduled) return
    this.scheduled = true
    this.home.later(
      this.turn ??= () => {
        this.scheduled = false
        this.drain(this.now())
      },
    )
  }

  /** Drains on this stack, unless it is deep already. */
  soon(now: number): void {
    if (depth < maxDepth) this.drain(now)
    else this.schedule()
  }

  now(): number {
    return this.home.clock.currentTimeMillisUnsafe()
  }

  /** The time, as of the first message of this turn: a burst reads the clock once. */
  stamped(): number {
    return this.scheduled ? this.stamp : this.stamp = this.now()
  }

  /** Takes a message, or says why not; what to do about it is left to the sender. */
  accept(entry: Entry, now: number, ticket?: Ticket): Rejection | "stopped" | undefined {
    if (this.stopping) {
      this.mailbox.turnedAway(entry)
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

  /**
   * The asker does not want the answer any more. Returns the run whose cleanup it must wait for, if
   * there is one.
   */
  forsake(entry: Entry, reason: CancelReason.CancelReason, detach: boolean): Handling | undefined {
    entry.reply = undefined
    switch (entry.state) {
      case "queued":
      case "offering":
      case "stashed": {
        const late = reason._tag === "DeadlineExceeded"
        this.mailbox.end(entry, late ? "expired" : "cancelled")
        if (late) this.letter(entry, "expired", undefined)
        if (this.quiet && this.status === "ready") this.drained(this.now())
        return undefined
      }
      case "running": {
        const handling = entry.record as Handling
        entry.forsaken = true
        if (detach || this.home.plans[entry.tag]!.uninterruptible) return undefined
        handling.cancel(reason)
        return handling.ended ? undefined : handling
      }
      default:
        return undefined
    }
  }

  /** Turns away a message that could only wait for ever. */
  refuse(entry: Entry): void {
    this.mailbox.turnedAway(entry)
    this.letter(entry, "rejected", undefined)
  }

  /** The time of an ask is up. */
  tooLate(entry: Entry, detach: boolean): void {
    if (entry.state !== "running") {
      const error = timedOut(this, entry, "queued")
      this.mailbox.end(entry, "expired")
      this.letter(entry, "expired", undefined)
      if (this.quiet && this.status === "ready") this.drained(this.now())
      return this.answer(entry, Exit.fail(error))
    }
    const exit = Exit.fail(timedOut(this, entry, "running"))
    const handling = entry.record as Handling
    const giveUp = () => {
      if (entry.exit !== undefined) return
      entry.forsaken = true
      this.answer(entry, exit)
    }
    if (detach || this.home.plans[entry.tag]!.uninterruptible) return giveUp()
    handling.verdict ??= { outcome: "cancelled", exit }
    handling.cancel(CancelReason.DeadlineExceeded(entry.expires))
    handling.onSettled(() => {
      if (handling.abandoned) giveUp()
    })
  }

  lost(entry: Entry, outcome: "expired" | "dropped"): void {
    this.letter(entry, outcome, undefined)
    this.answer(
      entry,
      Exit.fail(
        outcome === "expired"
          ? timedOut(this, entry, "queued")
          : isFull(this, entry.tag, "Dropped", this.mailbox.waiting),
      ),
    )
  }

  /** Tells the asker. Must be the last step of whatever changes the actor: the asker runs on. */
  answer(entry: Entry, exit: Exit.Exit<unknown, unknown>): void {
    const reply = entry.reply
    entry.exit = exit
    if (reply === undefined) return
    entry.reply = undefined
    if (depth < maxDepth) reply(exit)
    else this.home.later(() => reply(exit))
  }

  letter(entry: Entry, reason: LetterReason, cause: unknown, payload = entry.payload): void {
    this.home.publish({
      to: this.path,
      tag: entry.tag,
      payload,
      how: entry.how,
      reason,
      at: this.now(),
      cause,
    })
  }

  /** Cancels everything that runs; each message ends as its own verdict says. */
  protected cancelRunning(
    reason: CancelReason.CancelReason,
    verdict: (entry: Entry) => Verdict,
  ): void {
    for (const handling of this.runs()) {
      if (handling.entry !== undefined) handling.verdict ??= verdict(handling.entry)
      handling.cancel(reason)
    }
  }

  /** Everything of this actor that runs now. */
  runs(): ReadonlyArray<Handling> {
    const all: Array<Handling> = Array.from(this.busyControls ?? [])
    let entry = this.mailbox.oldestRunning
    while (entry !== undefined) {
      all.push(entry.record as Handling)
      entry = entry.next
    }
    return all
  }

  private busyControls: Set<Handling> | undefined = undefined

  private control(control: Control, now: number): void {
    const handling = this.handling(`${this.path}.${control.name}`, undefined, now)
    this.controls++
    ;(this.busyControls ??= new Set()).add(handling)
    const incarnation = this.incarnation
    const done: Then = (exit, late) => {
      this.controls--
      this.busyControls!.delete(handling)
      handling.end(outcomeOf(exit))
      control.over?.()
      if (Exit.isFailure(exit) && handling.cancelledAt < 0 && this.incarnation === incarnation) {
        this.crashed(exit.cause)
      } else if (late) this.drain(this.now())
    }
    const life = incarnation!
    launch(life, this.home.ledger, handling, Infinity, undefined, () => control.effect, done)
  }

  private handling(name: string, entry: Entry | undefined, now: number): Handling {
    const { clock, ledger, settings } = this.home
    return new Handling(ledger, clock, this, name, entry, entry?.parent, now, settings.graceMs)
  }

  private run(entry: Entry, now: number): void {
    const { tag } = entry
    const handling = this.handling(`${this.path}.${tag}`, entry, now)
    entry.record = handling
    entry.attempts++
    this.lastAt = now
    const incarnation = this.incarnation!
    const plan = this.home.plans[tag]!
    launch(
      incarnation,
      this.home.ledger,
      handling,
      entry.how === "ask" ? entry.expires : Infinity,
      entry.tickets,
      () => {
        const effect = incarnation.handlers[tag]!(entry as never)
        return plan.uninterruptible ? Effect.uninterruptible(effect) : effect
      },
      (exit, late) => this.finish(handling, entry, exit, late),
    )
  }

  private finish(
    handling: Handling,
    entry: Entry,
    exit: Exit.Exit<unknown, unknown>,
    late: boolean,
  ): void {
    const { mailbox } = this
    const { service } = this.home
    const now = late ? this.now() : 0
    handling.end(outcomeOf(exit))
    if (late || service.known) {
      if (Exit.isSuccess(exit)) service.observe(late ? now - entry.startedAt : 0)
      else if (late && handling.cancelledAt >= 0) service.observeCensored(now - entry.startedAt)
    }
    if (handling.stashing && Exit.isFailure(exit) && Cause.hasDies(exit.cause)) {
      handling.stashing = false
      if (!mailbox.stash(entry)) {
        mailbox.end(entry, "rejected")
        if (entry.how !== "ask") this.letter(entry, "rejected", undefined)
        this.answer(entry, Exit.fail(isFull(this, entry.tag, "Stash", mailbox.stashed)))
      }
    } else if (Exit.isSuccess(exit)) {
      mailbox.end(entry, "handled")
      if (entry.forsaken) this.letter(entry, "late-reply", undefined, exit.value)
      else if (entry.how === "ask") this.answer(entry, exit)
    } else this.failedOn(handling, entry, exit.cause)
    if (late) this.drain(now)
  }

  private failedOn(handling: Handling, entry: Entry, cause: Cause.Cause<unknown>): void {
    const ask = entry.how === "ask"
    const dies = Cause.hasDies(cause)
    let outcome: Outcome = "failed"
    let exit: Exit.Exit<unknown, unknown>
    if (!dies && Cause.hasInterrupts(cause)) {
      if (handling.verdict !== undefined) ({ outcome, exit } = handling.verdict)
      else if (entry.forsaken) {
        outcome = "cancelled"
        exit = Exit.fail(timedOut(this, entry, "running"))
      } else {
        const asked = handling.cancelledAt >= 0
        outcome = asked ? "cancelled" : "failed"
        exit = Exit.fail(
          crashedOn(this, entry, asked ? "the handler was cancelled" : "it interrupted itself"),
        )
      }
    } else if (!dies) {
      if (ask) outcome = "handled"
      exit = Exit.failCause(cause)
    } else {
      exit = Exit.fail(crashedOn(this, entry, Cause.squash(cause)))
      // Only what this incarnation dies of is a crash; an earlier one is dead already.
      const own = handling.scope.parent === this.incarnation?.frame
      const { retries } = this.home.plans[entry.tag]!
      if (own && !this.stopping && !entry.forsaken && entry.attempts <= retries) {
        this.mailbox.retry(entry)
        return this.crashed(cause)
      }
      this.mailbox.end(entry, outcome)
      this.letter(entry, "failed", cause)
      if (own) this.crashed(cause)
      return this.answer(entry, exit)
    }
    this.mailbox.end(entry, outcome)
    if (outcome === "failed") this.letter(entry, "failed", cause)
    else if (ask && outcome === "handled" && entry.forsaken) {
      return this.letter(entry, "late-reply", cause)
    }
    this.answer(entry, exit)
  }
}
