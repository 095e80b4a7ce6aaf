import * as Codel from "../bounded/Codel.ts"
import { ranks, shares } from "../bounded/rank.ts"
import { type Entry, List, type Queue } from "./entry.ts"
import { Pace } from "./pace.ts"
import { Queues } from "./queues.ts"

/** What there is of one class. */
export class Lane {
  readonly share: number
  running = 0
  waiting = 0
  /** Open tickets, the oldest first. */
  readonly tickets = new List()
  readonly codel = Codel.make()
  readonly pace = new Pace()
  /** Slot time that it is owed (or has had too much), in milliseconds, since the line began to stand. */
  credit = 0
  #queues: Queues | undefined = undefined

  constructor(rank: number) {
    this.share = shares[rank]!
  }

  /** Its tenants; made when the line is parted for the first time. */
  get queues(): Queues {
    return this.#queues ??= new Queues()
  }

  /** The queue that the tenant had last, if it still is its own. */
  known(tenant: number): Queue | undefined {
    return this.#queues?.known(tenant)
  }

  /** Waiters and open tickets. */
  get queued(): number {
    return this.waiting + this.tickets.size
  }

  /** Places it has beyond its share of that many. */
  excess(places: number): number {
    return this.running + this.queued - this.share * places
  }

  /** The last to come of those who may have to go. */
  youngest(): Entry | undefined {
    const ticket = this.tickets.tail
    let waiter: Entry | undefined
    for (const { tail } of this.queues.active) waiter = younger(waiter, tail)
    return younger(waiter, ticket)
  }

  /** The last to come of the tenant that has most, if that is more than one more than `mine`. */
  fattest(mine: number): Entry | undefined {
    let most: Queue | undefined
    for (const queue of this.queues.active) {
      if (queue.queued > (most?.queued ?? mine + 1)) most = queue
    }
    if (most === undefined || most.tickets === 0) return most?.tail
    let ticket = this.tickets.tail
    while (ticket !== undefined && ticket.queue !== most) ticket = ticket.previous
    return younger(most.tail, ticket)
  }
}

const younger = (one: Entry | undefined, other: Entry | undefined): Entry | undefined =>
  one === undefined || (other !== undefined && other.since >= one.since) ? other : one

/** A lane for each class, by rank. */
export const lanes = (): ReadonlyArray<Lane> =>
  Array.from({ length: ranks }, (_, rank) => new Lane(rank))

/**
 * The class whose turn it is, of those with waiters: the most critical of those below their share,
 * else the most critical of all, which borrows what others leave.
 *
 * Below its share is a class that has fewer slots than that, corrected by what it has had too little
 * or too much since the line began to stand; so a share of less than one slot is kept in the mean.
 */
export const nextLane = (
  lanes: ReadonlyArray<Lane>,
  capacity: number,
  service: number,
): Lane | undefined => {
  let first: Lane | undefined
  for (const lane of lanes) {
    if (lane.waiting === 0) continue
    if (lane.running - lane.share * capacity < lane.credit / Math.max(1, service)) return lane
    first ??= lane
  }
  return first
}

/** Time passes: what each class is owed of it, less what it has had. */
export const accrue = (
  lanes: ReadonlyArray<Lane>,
  capacity: number,
  service: number,
  elapsed: number,
): void => {
  for (const lane of lanes) {
    const due = lane.share * capacity
    // Neither credit nor debt grows beyond one wave: nobody saves up, nobody pays for idle slots.
    const bound = Math.max(1, due) * Math.max(1, service)
    const credit = lane.credit + (due - lane.running) * elapsed
    lane.credit = Math.min(bound, Math.max(-bound, credit))
  }
}
