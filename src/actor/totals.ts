import * as Metrics from "../telemetry/Metrics.ts"
import { Timing } from "../telemetry/series.ts"
import type { Account, Outcome } from "./Mailbox.ts"
import type { Mailbox } from "./memory.ts"

/** The accounts of several mailboxes, added up. */
export class Totals {
  sent = 0
  queued = 0
  running = 0
  /** Starts of handlers, also of those that were tried again. */
  started = 0
  readonly ended: Record<Outcome, number> = {
    handled: 0,
    failed: 0,
    rejected: 0,
    expired: 0,
    cancelled: 0,
    dropped: 0,
    discarded: 0,
  }

  /** Counts a message for an actor that is gone, or was never there. */
  turnedAway(): void {
    this.sent++
    this.ended.rejected++
  }

  add(mailbox: Mailbox): void {
    this.queued += mailbox.queued
    this.running += mailbox.running
    this.left(mailbox)
  }

  /** Adds what will not change any more once the mailbox's actor is gone. */
  left(mailbox: Mailbox): void {
    const { ended } = this
    this.sent += mailbox.sent
    this.started += mailbox.started
    ended.handled += mailbox.handled
    ended.failed += mailbox.failed
    ended.rejected += mailbox.rejected
    ended.expired += mailbox.expired
    ended.cancelled += mailbox.cancelled
    ended.dropped += mailbox.dropped
    ended.discarded += mailbox.discarded
  }

  merge(other: Totals): void {
    this.sent += other.sent
    this.queued += other.queued
    this.running += other.running
    this.started += other.started
    for (const outcome of Object.keys(this.ended) as Array<Outcome>) {
      this.ended[outcome] += other.ended[outcome]
    }
  }

  get account(): Pick<Account, "sent" | "queued" | "running" | "ended"> {
    const { ended, queued, running, sent } = this
    return { sent, queued, running, ended }
  }
}

const bounds = Metrics.table.find(({ name }) => name === "weir_mailbox_wait_seconds")!.buckets!

/** What is known of the actors of one name, also of those that are gone. */
export class Tally {
  readonly name: string
  readonly past: Totals = new Totals()
  /** Of actors that another one spawned, until all that they ran has ended. */
  readonly children: Set<Mailbox> = new Set()
  restarts = 0
  /** The waits above 0; those of 0 are the other starts. */
  readonly waits: Timing = new Timing(bounds)

  constructor(name: string) {
    this.name = name
  }
}
