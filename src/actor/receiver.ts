import type { Reason } from "./DeadLetters.ts"
import type { Entry } from "./entry.ts"
import type { Home } from "./home.ts"
import { Letter } from "./letter.ts"
import type { Mailbox } from "./memory.ts"

/** What an actor is to those that write to it: it has a name, and says what became of messages. */
export abstract class Receiver {
  abstract readonly home: Home<never>
  abstract readonly mailbox: Mailbox
  readonly key: string
  readonly path: string

  constructor(key: string, path: string) {
    this.key = key
    this.path = path
  }

  now(): number {
    return this.home.clock.currentTimeMillisUnsafe()
  }

  /** Turns away a message that could only wait for ever. */
  refuse(entry: Entry): void {
    this.mailbox.turnedAway(entry)
    this.letter(entry, "rejected", undefined)
  }

  waited(ms: number): void {
    this.home.tally.waits.observe(ms)
  }

  letter(entry: Entry, reason: Reason, cause: unknown, payload = entry.payload): void {
    const { path, home } = this
    home.publish(
      new Letter(path, home.name, entry.tag, payload, entry.how, reason, this.now(), cause),
    )
  }
}
