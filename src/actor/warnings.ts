import { Cause, type Clock } from "effect"
import { type Timer, timersOf } from "../task/timers.ts"
import type { DeadLetter, Reason } from "./DeadLetters.ts"

const minuteMs = 60_000

/** Writes a line to the log. */
export type Write = (line: string, cause: Cause.Cause<unknown> | undefined) => void

/**
 * The lines about the letters of one kind and reason: the first few in a minute, then one with the
 * number of the rest. A minute begins with its first letter.
 */
export class Warnings {
  private readonly logged: number
  private readonly clock: Clock.Clock
  private readonly write: Write
  private readonly kind: string
  private readonly reason: Reason
  private since = -Infinity
  private lines = 0
  private suppressed = 0
  private timer: Timer | undefined = undefined

  constructor(
    logged: number,
    clock: Clock.Clock,
    write: Write,
    kind: string,
    reason: Reason,
  ) {
    this.logged = logged
    this.clock = clock
    this.write = write
    this.kind = kind
    this.reason = reason
  }

  note(letter: DeadLetter): void {
    if (letter.at - this.since >= minuteMs) {
      this.close()
      this.since = letter.at
      this.lines = 0
    }
    if (this.lines < this.logged) {
      this.lines++
      return this.write(
        `Dead letter: ${letter.tag} (${letter.how}) to actor "${letter.to}" ` +
          `${explain[letter.reason]}.`,
        // A crash has been logged with its cause already.
        Cause.isCause(letter.cause) && !Cause.hasDies(letter.cause) ? letter.cause : undefined,
      )
    }
    this.suppressed++
    this.timer ??= timersOf(this.clock).schedule(this.since + minuteMs, () => {
      this.timer = undefined
      this.close()
    })
  }

  /** Tells how many lines were left out, if any. */
  close(): void {
    if (this.timer !== undefined) timersOf(this.clock).cancel(this.timer)
    this.timer = undefined
    const count = this.suppressed
    this.suppressed = 0
    this.since = -Infinity
    if (count === 0) return
    this.write(
      `${count} more dead letter${count === 1 ? "" : "s"} to "${this.kind}" (${this.reason}) ` +
        `${count === 1 ? "was" : "were"} not logged in the last minute.`,
      undefined,
    )
  }
}

const explain: Readonly<Record<Reason, string>> = {
  rejected: "was not accepted",
  failed: "failed in its handler",
  expired: "expired before its turn",
  dropped: "was dropped, because the mailbox was full",
  discarded: "was discarded, because the actor stopped",
  "late-reply": "was answered after its asker had left",
}
