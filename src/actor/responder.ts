import { Exit } from "effect"
import * as CancelReason from "../task/CancelReason.ts"
import { maxDepth, stack } from "./depth.ts"
import type { Entry } from "./entry.ts"
import { neverRan, timedOut } from "./failures.ts"
import type { Handling, Verdict } from "./handling.ts"
import type { Home } from "./home.ts"
import { Receiver } from "./receiver.ts"

export type Status = "starting" | "ready" | "crashed" | "waiting" | "closing" | "stopped"

/** The side of an actor that those who wait for answers deal with. */
export abstract class Responder extends Receiver {
  abstract override readonly home: Home<never>
  status: Status = "starting"
  protected draining = false
  /** Whose answer came while it drained, and who are told after that. */
  private answered: Array<Entry> | undefined = undefined

  /** Nothing runs and nothing waits to run. */
  abstract get quiet(): boolean
  /** Everything that was there has been handled. */
  protected abstract drained(now: number): void

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
        const handling = entry.frame!.task as Handling
        entry.forsaken = true
        if (detach || entry.plan.uninterruptible) return undefined
        handling.cancel(reason)
        return handling.ended ? undefined : handling
      }
      default:
        return undefined
    }
  }

  /** The time of an ask is up. */
  tooLate(entry: Entry, detach: boolean): void {
    // The answer is there and on its way to the asker.
    if (entry.exit !== undefined) return
    if (entry.state !== "running") {
      const error = timedOut(this, entry, "queued")
      this.mailbox.end(entry, "expired")
      this.letter(entry, "expired", undefined)
      if (this.quiet && this.status === "ready") this.drained(this.now())
      return this.answer(entry, Exit.fail(error))
    }
    const exit = Exit.fail(timedOut(this, entry, "running"))
    if (detach || entry.plan.uninterruptible) return this.giveUp(entry, exit)
    this.cancel(
      entry.frame!.task as Handling,
      CancelReason.DeadlineExceeded(entry.expires),
      { outcome: "cancelled", exit },
    )
  }

  /** Answers before the handler has ended; what it will say is a dead letter. */
  private giveUp(entry: Entry, exit: Exit.Exit<unknown, unknown>): void {
    if (entry.exit !== undefined) return
    entry.forsaken = true
    this.answer(entry, exit)
  }

  /** Cancels a run; its asker is answered when it has ended, at the latest when it is abandoned. */
  protected cancel(handling: Handling, reason: CancelReason.CancelReason, verdict: Verdict): void {
    handling.verdict ??= verdict
    handling.cancel(reason)
    const { entry } = handling
    if (entry?.reply === undefined) return
    handling.onSettled(() => {
      if (handling.abandoned) this.giveUp(entry, handling.verdict!.exit)
    })
  }

  lost(entry: Entry, outcome: "expired" | "dropped"): void {
    this.letter(entry, outcome, undefined)
    this.answer(entry, Exit.fail(neverRan(this, entry, outcome, this.mailbox.waiting)))
  }

  /** Tells the asker. Must be the last step of whatever changes the actor: the asker runs on. */
  answer(entry: Entry, exit: Exit.Exit<unknown, unknown>): void {
    entry.exit = exit
    if (entry.reply === undefined) return
    // An asker that ran on within the drain would have to wait for its end with each further ask.
    if (this.draining) (this.answered ??= []).push(entry)
    else this.reply(entry)
  }

  /** Tells those whose answers came during the drain. */
  protected replies(): void {
    const { answered } = this
    if (answered === undefined) return
    this.answered = undefined
    for (const entry of answered) this.reply(entry)
  }

  private reply(entry: Entry): void {
    const { exit, reply } = entry
    if (reply === undefined) return
    entry.reply = undefined
    if (stack.depth >= maxDepth) return this.home.later(() => reply(exit!))
    stack.depth++
    reply(exit!)
    stack.depth--
  }
}
