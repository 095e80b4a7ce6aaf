import type { Stats } from "../bounded/Bounded.ts"
import { Quota } from "../bounded/quota.ts"
import type { Mailbox } from "./memory.ts"
import type { Settings } from "./options.ts"

/** An actor of a kind, as far as its mailbox goes. */
interface Resident {
  readonly mailbox: Mailbox
}

/**
 * Keyed actors among the bounded things: those in memory are the places in use, and what waits in
 * all their mailboxes together is waiting. Asked for at each reading, so that a message costs nothing.
 */
export class Residents extends Quota {
  private readonly perActor: number
  private readonly all: () => Iterable<Resident>

  constructor(name: string, settings: Settings, all: () => Iterable<Resident>) {
    super("actors", name, settings.residents)
    this.perActor = settings.mailbox.capacity
    this.all = all
  }

  override stats(now: number): Stats {
    let waiting = 0
    let oldestWaitMs = 0
    for (const { mailbox } of this.all()) {
      if (mailbox.waiting === 0) continue
      const stats = mailbox.stats(now)
      waiting += stats.waiting
      if (stats.oldestWaitMs > oldestWaitMs) oldestWaitMs = stats.oldestWaitMs
    }
    const queueCapacity = this.capacity * this.perActor
    return { ...super.stats(now), waiting, queueCapacity, oldestWaitMs }
  }
}
