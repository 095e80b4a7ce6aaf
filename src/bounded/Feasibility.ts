/**
 * Deadline feasibility: how long a newcomer will wait, and whether it can still finish in time.
 *
 * @module
 */

import { shares } from "./rank.ts"

/**
 * A first-in, first-out line before `capacity` slots, as a newcomer sees it.
 *
 * **Details** – times in milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface Line {
  /** Slots. */
  readonly capacity: number
  /** Running work. */
  readonly inUse: number
  /** What gets a slot before the newcomer: waiters and open tickets. */
  readonly ahead: number
  /** Expected service time. */
  readonly service: number
  /** How long running work has been at it: position 0 is the oldest, `inUse - 1` the youngest. */
  readonly elapsedAt: (position: number) => number
}

/**
 * Predicted wait of a newcomer, in milliseconds; 0 when a slot is left for it now.
 *
 * **Details** – exact for constant service times. The line drains in waves of `capacity`: whole
 * waves cost one service time each, the rest is the remaining time of the running work whose slot
 * the newcomer's wave inherits. Work that overran its expected time by x is predicted to need
 * another x, never 0: what has lasted longer than expected will likely last (Lindy's law), and a
 * hanging dependency therefore closes the door by itself.
 *
 * @category operations
 * @since 0.1.0
 */
export const predictWait = (line: Line): number => {
  // Negative when the capacity was lowered below what is running: the oldest leave no free slot.
  const free = line.capacity - line.inUse
  if (line.ahead < free) return 0
  const surplus = Math.max(0, -free)
  const index = line.ahead - Math.max(0, free)
  const wave = Math.floor(index / line.capacity)
  const position = surplus + index % line.capacity
  const residual = position < line.inUse
    ? Math.abs(line.service - line.elapsedAt(position))
    : line.service
  return wave * line.service + residual
}

/** Absorbs rounding in sums of fractional milliseconds; far below the clock's resolution. */
const tolerance = 1e-6

/**
 * Whether work with that wait and service time finishes within `timeLeft` milliseconds. Finishing
 * exactly at the deadline is in time.
 *
 * **Details** – `margin` asks for a reserve, relative to wait plus service: 0.1 means 10 %.
 * Default 0.
 *
 * @category operations
 * @since 0.1.0
 */
export const decide = (wait: number, service: number, timeLeft: number, margin = 0): boolean =>
  (wait + service) * (1 + margin) <= timeLeft + tolerance

/**
 * How much queued work gets a slot before a newcomer of that class: a whole number.
 *
 * **Details** – `own` is the work of its own class before it, `queued` all waiting work by rank.
 * Before it go its own class, all that is more critical, and of each less critical class no more than
 * its guaranteed share of what is served meanwhile. But it never waits longer than the share of its
 * own class allows. Exact for lines that stay as they are; for those who come later
 * and overtake see {@link overtaken}.
 *
 * @category operations
 * @since 0.1.0
 */
export const ahead = (own: number, queued: ArrayLike<number>, rank: number): number => {
  let fixed = own
  for (let i = 0; i < rank; i++) fixed += queued[i]!
  // Less critical classes: each gets the smaller of what it has and its share of the whole. Those
  // that have less are found one by one, the one with least for its share first.
  let part = 0
  for (let i = rank + 1; i < queued.length; i++) part += shares[i]!
  let small = 0
  while (true) {
    let least = -1
    for (let i = rank + 1; i < queued.length; i++) {
      if (small & (1 << i)) continue
      if (least < 0 || queued[i]! * shares[least]! < queued[least]! * shares[i]!) least = i
    }
    if (least < 0 || queued[least]! >= shares[least]! * fixed / (1 - part)) break
    small |= 1 << least
    fixed += queued[least]!
    part -= shares[least]!
  }
  const total = fixed / (1 - part)
  const guaranteed = (own + 1) / shares[rank]! - 1
  return Math.max(own, Math.ceil(Math.min(total, guaranteed) - tolerance))
}

/**
 * How much of another tenant's waiting work goes before a newcomer that has `mine` of its own before
 * it, when tenants take turns.
 *
 * @category operations
 * @since 0.1.0
 */
export const turns = (mine: number, theirs: number): number => Math.min(theirs, mine + 1)

/**
 * How many overtakers to reckon with when so many are to be expected: three standard deviations more,
 * as of random arrivals.
 *
 * **Details** – where a line stands, to be careful costs nothing, because no slot is idle; to be
 * careless costs work that is let in and then refused for lateness.
 *
 * @category operations
 * @since 0.1.0
 */
export const overtaken = (expected: number): number => Math.ceil(expected + 3 * Math.sqrt(expected))
