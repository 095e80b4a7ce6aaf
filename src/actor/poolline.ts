import type { Bounded, Request, Stats, Ticket } from "../bounded/Bounded.ts"
import { Quota } from "../bounded/quota.ts"
import type { Reason, Refusal } from "../bounded/Refused.ts"
import { isOpen } from "./inside.ts"
import type { Mailbox } from "./memory.ts"
import type { Pool } from "./pool.ts"

/** The mailboxes of a pool as one bounded thing. A ticket is for one of them, the one that waits least. */
export class PoolLine implements Bounded {
  readonly kind = "router"
  readonly name: string
  private readonly pool: Pool
  /** Says no while no routee is there. */
  private readonly empty: Quota
  /** Refusals by mailboxes that are gone. */
  private past: Stats["refused"]

  constructor(pool: Pool, capacity: number) {
    this.name = pool.name
    this.pool = pool
    this.empty = new Quota(this.kind, this.name, capacity)
    this.past = this.empty.stats(0).refused
    pool.onReplaced = ({ mailbox }) => {
      this.past = add(this.past, mailbox.stats(0).refused)
    }
  }

  /** `highWater` is the sum of what each mailbox has seen: they need not have been full together. */
  stats(now: number): Stats {
    const none = this.empty.stats(now)
    const all = this.pool.cells.map(({ mailbox }) => mailbox.stats(now))
    const sum = (of: (stats: Stats) => number) => all.reduce((sum, stats) => sum + of(stats), 0)
    return {
      ...none,
      inUse: sum((_) => _.inUse),
      waiting: sum((_) => _.waiting),
      queueCapacity: sum((_) => _.queueCapacity),
      highWater: sum((_) => _.highWater),
      oldestWaitMs: Math.max(0, ...all.map((_) => _.oldestWaitMs)),
      predictedWaitMs: this.predict(now),
      refused: all.reduce(
        (refused, stats) => add(refused, stats.refused),
        add(none.refused, this.past),
      ),
    }
  }

  predict(now: number): number {
    return this.best(now)?.predict(now) ?? 0
  }

  reserve(request: Request): Ticket | Refusal {
    return this.best(request.now)?.reserve(request) ?? this.empty.refuse("Closed", 1000)
  }

  /** The mailbox with the shortest wait; at the same wait the one with the least to do. */
  private best(now: number): Mailbox | undefined {
    let best: Mailbox | undefined
    let least = Infinity
    for (const { target } of this.pool.places) {
      const mailbox = target.peek()?.mailbox
      if (mailbox === undefined || !isOpen(target)) continue
      const wait = mailbox.predict(now)
      if (best !== undefined && (wait > least || (wait === least && busier(mailbox, best)))) {
        continue
      }
      best = mailbox
      least = wait
    }
    return best
  }
}

const busier = (a: Mailbox, b: Mailbox): boolean => toDo(a) >= toDo(b)
const toDo = (mailbox: Mailbox): number => mailbox.waiting + mailbox.tickets + mailbox.running

const add = (a: Stats["refused"], b: Stats["refused"]): Stats["refused"] =>
  Object.fromEntries(
    Object.entries(a).map(([reason, count]) => [reason, count + b[reason as Reason]]),
  ) as Stats["refused"]
