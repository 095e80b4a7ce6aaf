import type { Bounded, Request, Stats, Ticket } from "../bounded/Bounded.ts"
import { Quota } from "../bounded/quota.ts"
import type { Refusal } from "../bounded/Refused.ts"
import type { Mailbox } from "./memory.ts"
import type { Settings } from "./options.ts"
import type { Line } from "./store.ts"

/**
 * The mailbox of a single actor, whichever life it is in. Tickets are for the actor, not for one of
 * its mailboxes: when its kind is restarted, they hold their places in the next one.
 */
export class Door implements Bounded, Line {
  readonly kind = "mailbox"
  readonly name: string
  tickets = 0
  private readonly current: () => Mailbox | undefined
  /** Stands in while there is no actor. */
  private readonly empty: Quota

  constructor(name: string, { mailbox }: Settings, current: () => Mailbox | undefined) {
    this.name = name
    this.current = current
    this.empty = new Quota("mailbox", name, mailbox.concurrency)
  }

  get bounded(): Bounded {
    return this
  }

  readonly freed = (): void => this.current()?.refill()

  stats(now: number): Stats {
    return this.current()?.stats(now) ?? { ...this.empty.stats(now), waiting: this.tickets }
  }

  predict(now: number): number {
    return this.current()?.predict(now) ?? 0
  }

  reserve(request: Request): Ticket | Refusal {
    return this.current()?.reserve(request) ?? this.empty.refuse("Closed", 1000)
  }
}
