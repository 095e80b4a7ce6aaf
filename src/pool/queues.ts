import { type Entry, Queue } from "./entry.ts"

/** Queues of a class. A power of two. */
const queues = 64
/** Queues among which a tenant may have its own. */
const hand = 8

/**
 * The queues of one class, shuffle-sharded as in Kubernetes' API Priority and Fairness: a fixed number
 * of queues, of which each tenant may use a few, so that memory has a bound however many tenants there
 * are. Those numbers are Kubernetes' defaults. Unlike there a tenant keeps to one queue of its hand
 * while it has work: with all eight, the noisy one would have eight turns where others have one. So
 * up to some dozens of tenants that wait at once do not meet at all (20 others: 1 in 10,000), and who
 * must share joins the shortest queue, hardly ever that of the noisy one.
 */
export class Queues {
  /** Those that have waiters or tickets. */
  readonly active: Array<Queue> = []
  readonly #all = Array.from({ length: queues }, () => new Queue())
  /** Turns had by whom was served last: who comes back is not owed those that it slept through. */
  #turn = 0

  /** The queue that the tenant has, if it has one. */
  of(tenant: number): Queue | undefined {
    for (let i = 0; i < hand; i++) {
      const queue = this.#at(tenant, i)
      if (queue.tenant === tenant && !queue.free) return queue
    }
    return undefined
  }

  /** The queue that the tenant had last, also if nothing of it is there now. */
  known(tenant: number): Queue | undefined {
    for (let i = 0; i < hand; i++) {
      const queue = this.#at(tenant, i)
      if (queue.tenant === tenant) return queue
    }
    return undefined
  }

  /** The queue for work of the tenant: its own, else a free one, else the shortest of its hand. */
  for(tenant: number): Queue {
    const own = this.of(tenant)
    if (own !== undefined) return own
    let best = this.#at(tenant, 0)
    for (let i = 1; i < hand && !best.free; i++) {
      const queue = this.#at(tenant, i)
      if (queue.free || queue.queued < best.queued) best = queue
    }
    if (best.free && best.tenant !== tenant) {
      best.tenant = tenant
      best.pace.reset()
    }
    return best
  }

  #at(tenant: number, i: number): Queue {
    // An odd step meets a queue twice only after all others.
    return this.#all[(tenant + i * ((tenant >>> 8) | 1)) & (queues - 1)]!
  }

  wait(queue: Queue, entry: Entry, starts: number, now: number): void {
    if (queue.waiting === 0) {
      queue.turn = Math.max(queue.turn, this.#turn)
      queue.pace.begin(starts, now, 0, 0)
    }
    queue.append(entry)
    this.#noted(queue)
  }

  ticket(queue: Queue, change: 1 | -1): void {
    queue.tickets += change
    this.#noted(queue)
  }

  leave(queue: Queue, entry: Entry): void {
    queue.remove(entry)
    this.#noted(queue)
  }

  /** Whose turn it is: who has the fewest slots, and among those who has had the fewest turns. */
  next(): Queue | undefined {
    let best: Queue | undefined
    for (const queue of this.active) {
      if (queue.waiting === 0) continue
      if (best === undefined || earlier(queue, best)) best = queue
    }
    return best
  }

  /** The turn is had. */
  served(queue: Queue, starts: number, now: number, capacity: number): void {
    this.#turn = Math.max(this.#turn, queue.turn)
    queue.turn++
    queue.pace.started(starts, now, capacity)
  }

  #noted(queue: Queue): void {
    const { active } = this
    if (queue.queued > 0) {
      if (queue.place < 0) queue.place = active.push(queue) - 1
    } else if (queue.place >= 0) {
      const last = active.pop()!
      if (last !== queue) {
        active[queue.place] = last
        last.place = queue.place
      }
      queue.place = -1
    }
  }
}

const earlier = (a: Queue, b: Queue): boolean =>
  a.running !== b.running
    ? a.running < b.running
    : a.turn !== b.turn
    ? a.turn < b.turn
    : a.head!.since < b.head!.since
