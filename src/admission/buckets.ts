import type { Saturation } from "../bounded/Saturation.ts"
import * as Gcra from "../bounded/Gcra.ts"
import { Quota } from "../bounded/quota.ts"

/** What one caller has used of its limit, at a time. */
export interface Bucket {
  readonly key: string
  rate: Gcra.Rate
  level: number
  at: number
}

/** Looked at for each newcomer, and for one that finds the table full. */
const steps = { usually: 2, full: 64 } as const

/**
 * The buckets of one kind of caller: no more than `capacity` of them.
 *
 * An empty bucket says nothing that its absence would not say, so those, and only those, make room:
 * nobody who has used something is ever forgotten. A hand goes round the table, a little further with
 * each newcomer, and takes them out. It needs no timer and no order: a caller whose bucket is in the
 * table costs one look-up.
 */
export class Buckets {
  readonly quota: Quota
  private readonly registry: Saturation
  private readonly buckets = new Map<string, Bucket>()
  /** Lives as long as the table: one made anew would walk over everything that has been deleted. */
  private hand: Iterator<Bucket> = this.buckets.values()
  private registered = false

  constructor(name: string, capacity: number, registry: Saturation) {
    this.quota = new Quota("rate-limit", name, capacity)
    this.registry = registry
  }

  /** The bucket with its level of now, under that rate; `undefined` for one that is empty. */
  find(key: string, rate: Gcra.Rate, now: number): Bucket | undefined {
    const bucket = this.buckets.get(key)
    if (bucket === undefined) return undefined
    bucket.level = Gcra.drained(bucket.rate, bucket.level, now - bucket.at)
    bucket.at = now
    if (bucket.rate !== rate) {
      bucket.level = Gcra.carried(bucket.rate, bucket.level, rate)
      bucket.rate = rate
    }
    return bucket
  }

  /** Whether a newcomer finds room; what it needs is made. */
  hasRoom(now: number): boolean {
    const full = this.buckets.size >= this.quota.capacity
    this.sweep(now, full ? steps.full : steps.usually)
    return this.buckets.size < this.quota.capacity
  }

  /** Adds a newcomer with its first call. */
  add(key: string, rate: Gcra.Rate, now: number): void {
    this.buckets.set(key, { key, rate, level: rate.cost, at: now })
    this.quota.took()
    // Not before: a service without limits shows none.
    if (!this.registered) {
      this.registered = true
      if (this.registry.get(this.quota.name) === undefined) this.registry.addUnsafe(this.quota)
    }
  }

  /** Takes a call back; a bucket that is empty then makes room. */
  refund(key: string, rate: Gcra.Rate): void {
    const bucket = this.buckets.get(key)
    if (bucket === undefined) return
    bucket.level = Math.max(0, bucket.level - rate.cost)
    if (bucket.level > 0) return
    this.buckets.delete(key)
    this.quota.leave()
  }

  private sweep(now: number, most: number): void {
    for (let step = 0; step < most && this.buckets.size > 0; step++) {
      let next = this.hand.next()
      if (next.done) {
        this.hand = this.buckets.values()
        next = this.hand.next()
      }
      const { at, key, level, rate } = next.value
      if (Gcra.drained(rate, level, now - at) > 0) continue
      this.buckets.delete(key)
      this.quota.leave()
      if (this.buckets.size < this.quota.capacity && step >= steps.usually) return
    }
  }
}
