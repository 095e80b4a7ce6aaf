import { Effect } from "effect"
import { Quota } from "../bounded/quota.ts"
import { fromRefusal, type Refusal } from "../bounded/Refused.ts"
import type { Unavailable } from "../store/ApiKeys.ts"
import type { Entry } from "./keyring.ts"

/** What somebody waits for. */
export type Answer = Effect.Effect<Entry | undefined, Unavailable>

/** Somebody who waits. */
export class Waiter {
  readonly id: string
  readonly queue: Queue
  readonly resume: (answer: Answer) => void
  gone = false

  constructor(id: string, queue: Queue, resume: (answer: Answer) => void) {
    this.id = id
    this.queue = queue
    this.resume = resume
  }
}

/** Those of one network. */
class Queue {
  readonly peer: string
  waiting = 0
  /** Ids to ask for. */
  readonly next = new Set<string>()
  /** In the order in which they came; some may be gone. */
  waiters: Array<Waiter> = []

  constructor(peer: string) {
    this.peer = peer
  }
}

/**
 * Those who wait for a look-up. Guesses cost their sender nothing, so the room is shared by networks:
 * they take turns, and into a full room somebody comes in the place of the youngest of the network
 * that has most, if that is more than his own will have. *Bounded by* its places.
 */
export class WaitingRoom {
  readonly quota: Quota
  private readonly byId = new Map<string, Set<Waiter>>()
  private readonly queues = new Map<string, Queue>()
  /** Networks with something to ask for, the one whose turn it is first. */
  private readonly turns = new Set<Queue>()

  constructor(places: number) {
    this.quota = new Quota("lookups", "principals lookups", places)
  }

  /** Whether there is something to ask for. */
  get pending(): boolean {
    return this.turns.size > 0
  }

  /** Every id for which somebody waits, also while it is being asked for. */
  get ids(): ReadonlyArray<string> {
    return Array.from(this.byId.keys())
  }

  /** Every id that is still to be asked for. */
  get unasked(): ReadonlySet<string> {
    const ids = new Set<string>()
    for (const { next } of this.turns) for (const id of next) ids.add(id)
    return ids
  }

  /** Takes a place; `asked` when the id is being asked for already. */
  enter(
    id: string,
    peer: string,
    asked: boolean,
    resume: (answer: Answer) => void,
  ): Waiter | Refusal {
    const { quota } = this
    const own = this.queues.get(peer)?.waiting ?? 0
    const victim = quota.inUse >= quota.capacity ? this.victim(own) : undefined
    if (quota.inUse >= quota.capacity && victim === undefined) {
      return quota.refuse("QueueFull", 1000)
    }
    if (victim !== undefined) this.leave(victim)
    quota.took()
    const queue = this.queues.get(peer) ?? new Queue(peer)
    this.queues.set(peer, queue)
    const waiter = new Waiter(id, queue, resume)
    queue.waiting++
    queue.waiters.push(waiter)
    const same = this.byId.get(id)
    if (same === undefined) this.byId.set(id, new Set([waiter]))
    else same.add(waiter)
    if (!asked) this.ask(waiter)
    victim?.resume(Effect.fail(fromRefusal(quota.refuse("Displaced", 1000))))
    return waiter
  }

  /** Gives the place back; nothing for one that has been answered. */
  leave(waiter: Waiter): void {
    if (waiter.gone) return
    const { id, queue } = waiter
    const same = this.byId.get(id)
    // None while those who wait for it are answered: one that has been may send another away.
    if (same !== undefined) {
      same.delete(waiter)
      if (same.size === 0) this.byId.delete(id)
      if (!some(same, queue)) this.forget(queue, id)
    }
    this.left(waiter)
  }

  /** Takes ids to ask for, one of each network in turn, until there are so many. */
  take(ids: Set<string>, most: number): void {
    for (const queue of this.turns) {
      if (ids.size >= most) return
      this.turns.delete(queue)
      for (const id of queue.next) {
        ids.add(id)
        queue.next.delete(id)
        // Others may wait for the same.
        for (const waiter of this.byId.get(id) ?? []) this.forget(waiter.queue, id)
        break
      }
      if (queue.next.size > 0) this.turns.add(queue)
    }
  }

  /** The id is to be asked for once more, if somebody still waits for it. */
  again(id: string): void {
    for (const waiter of this.byId.get(id) ?? []) this.ask(waiter)
  }

  /** Answers all who wait for that id. */
  answer(id: string, answer: Answer): void {
    const waiters = this.byId.get(id)
    if (waiters === undefined) return
    this.byId.delete(id)
    for (const { queue } of waiters) this.forget(queue, id)
    for (const waiter of Array.from(waiters)) {
      if (waiter.gone) continue
      this.left(waiter)
      waiter.resume(answer)
    }
  }

  private ask({ id, queue }: Waiter): void {
    queue.next.add(id)
    this.turns.add(queue)
  }

  private forget(queue: Queue, id: string): void {
    queue.next.delete(id)
    if (queue.next.size === 0) this.turns.delete(queue)
  }

  private left(waiter: Waiter): void {
    const { queue } = waiter
    waiter.gone = true
    this.quota.leave()
    if (--queue.waiting === 0) {
      this.queues.delete(queue.peer)
      this.turns.delete(queue)
    } else if (queue.waiters.length > 2 * queue.waiting + 8) {
      queue.waiters = queue.waiters.filter(({ gone }) => !gone)
    }
  }

  /** Who has to go for one of a network that has `own` in the room. */
  private victim(own: number): Waiter | undefined {
    const networks = this.queues.size + (own === 0 ? 1 : 0)
    // Who has his share already pays no search: guesses come in great numbers.
    if (own * networks >= this.quota.capacity) return undefined
    let most: Queue | undefined
    for (const queue of this.queues.values()) {
      if (most === undefined || queue.waiting > most.waiting) most = queue
    }
    if (most === undefined || most.waiting <= own + 1) return undefined
    while (most.waiters.at(-1)?.gone === true) most.waiters.pop()
    return most.waiters.at(-1)
  }
}

const some = (waiters: ReadonlySet<Waiter>, queue: Queue): boolean => {
  for (const waiter of waiters) if (waiter.queue === queue) return true
  return false
}
