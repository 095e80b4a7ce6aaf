import type { Bounded, Request, Stats, Ticket } from "./Bounded.ts"
import type { Reason, Refusal } from "./Refused.ts"
import { Tally } from "./tally.ts"
import { Mistake } from "../internal/mistake.ts"

/** A number of places without a queue: who finds none is refused. */
export class Quota implements Bounded {
  readonly kind: string
  readonly name: string
  capacity = 0
  inUse = 0
  private highWater = 0
  private readonly tally = new Tally()

  constructor(kind: string, name: string, capacity: number) {
    this.kind = kind
    this.name = name
    this.resize(capacity)
  }

  /** Changes how many places there are. Who has one keeps it. */
  resize(capacity: number): void {
    if (!Number.isSafeInteger(capacity) || capacity < 1) {
      throw new Mistake(
        `The ${this.kind} "${this.name}" needs a whole number of places above zero, not ${capacity}.`,
      )
    }
    this.capacity = capacity
  }

  /** Takes a place, or says why not. */
  enter(): Refusal | undefined {
    if (this.inUse >= this.capacity) return this.refuse("QueueFull", 1000)
    this.took()
    return undefined
  }

  /** Notes a place taken. */
  took(): void {
    this.inUse++
    if (this.inUse > this.highWater) this.highWater = this.inUse
  }

  /** Gives a place back. */
  leave(): void {
    this.inUse--
  }

  /** Counts what would have been refused. */
  spare(reason: Reason): void {
    this.tally.spare(reason)
  }

  refuse(reason: Reason, retryAfterMs: number): Refusal {
    this.tally.refuse(reason)
    return this.facts(reason, retryAfterMs)
  }

  /** Counts what would have been refused, and says it. */
  wouldRefuse(reason: Reason, retryAfterMs: number): Refusal {
    this.tally.spare(reason)
    return this.facts(reason, retryAfterMs)
  }

  private facts(reason: Reason, retryAfterMs: number): Refusal {
    return {
      _tag: "Refusal",
      reason,
      kind: this.kind,
      resource: this.name,
      inUse: this.inUse,
      capacity: this.capacity,
      waiting: 0,
      predictedWaitMs: 0,
      retryAfterMs,
    }
  }

  stats(_now: number): Stats {
    return {
      kind: this.kind,
      name: this.name,
      capacity: this.capacity,
      inUse: this.inUse,
      waiting: 0,
      queueCapacity: 0,
      highWater: this.highWater,
      oldestWaitMs: 0,
      predictedWaitMs: 0,
      ...this.tally.stats,
    }
  }

  predict(): number {
    return 0
  }

  reserve(_request: Request): Ticket | Refusal {
    // There is no line in which a ticket could be a place.
    return this.refuse("QueueFull", 1000)
  }
}
