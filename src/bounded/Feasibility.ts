/**
 * Deadline feasibility: how long a newcomer will wait, and whether it can still finish in time.
 *
 * @module
 */

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
 * hanging dependency therefore closes the door by itself. While some of the work has lasted more than
 * twice as long as expected, and some has not, the line is predicted to drain through the slots of the latter.
 *
 * @category operations
 * @since 0.1.0
 */
export const predictWait = (line: Line): number => {
  // Negative when the capacity was lowered below what is running: the oldest leave no free slot.
  const free = line.capacity - line.inUse
  if (line.ahead < free) return 0
  const stuck = stuckIn(line)
  const capacity = line.capacity - stuck
  const surplus = Math.max(0, -free)
  const index = line.ahead - Math.max(0, free)
  const wave = Math.floor(index / capacity)
  const position = stuck + surplus + index % capacity
  const residual = position < line.inUse
    ? Math.abs(line.service - line.elapsedAt(position))
    : line.service
  return wave * line.service + residual
}

/**
 * How much of the running work, the oldest first, is predicted to keep its slot longer than a whole service
 * time: others come and go meanwhile, so the line drains through the rest. 0 when that is all of it.
 */
const stuckIn = (line: Line): number => {
  const limit = 2 * line.service
  const most = Math.min(line.inUse, line.capacity)
  if (most === 0 || line.elapsedAt(0) <= limit) return 0
  let low = 1
  let high = most
  while (low < high) {
    const middle = (low + high) >> 1
    if (line.elapsedAt(middle) > limit) low = middle + 1
    else high = middle
  }
  return low < line.capacity ? low : 0
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
