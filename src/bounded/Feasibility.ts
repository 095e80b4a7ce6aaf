/**
 * Deadline feasibility: how long a newcomer will wait, and whether it can still finish in time.
 *
 * @module
 */

import { shares } from "./rank.ts"
import type { ServiceTime } from "./ServiceTime.ts"

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
  /** Standard deviation of the service time. Default 0, constant times. */
  readonly deviation?: number | undefined
  /** How long running work has been at it: position 0 is the oldest, `inUse - 1` the youngest. */
  readonly elapsedAt: (position: number) => number
}

/**
 * Predicted wait of a newcomer, in milliseconds; 0 when a slot is left for it now.
 *
 * **Details** – exact for constant service times, of which the line drains in waves of `capacity`: whole
 * waves cost one service time each, the rest is the remaining time of the running work whose slot
 * the newcomer's wave inherits. Work that overran its expected time by x is predicted to need
 * another x, never 0: what has lasted longer than expected will likely last (Lindy's law), and a
 * hanging dependency therefore closes the door by itself. While some of the work has lasted more than
 * twice as long as expected, and some has not, the line is predicted to drain through the slots of the latter.
 * The more service times vary (`deviation`), the less the ages of the running work tell: then slots
 * are predicted to come free evenly, one every `service / capacity`, but none sooner than as long
 * again as nothing has moved.
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
  const exact = wave * line.service + residual
  const even = evenness(line.service, line.deviation ?? 0)
  if (even === 0) return exact
  const gap = line.service / capacity
  // While a slot is free nobody waits for one, and that nothing has moved says nothing.
  const since = free > 0 ? 0 : line.elapsedAt(line.inUse - 1)
  return exact + even * ((index + surplus) * gap + Math.max(gap, since) - exact)
}

/**
 * How far slots come free evenly, one every `service / capacity`, and not when the ages of the work in
 * them say: 0 for constant times, half for those spread by a fifth, nearly 1 where they vary much.
 */
const evenness = (service: number, deviation: number): number => {
  if (deviation === 0 || service <= 0) return 0
  const square = (deviation / service) ** 2
  return square / (square + 0.04)
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
  return Math.max(own, Math.ceil(Math.min(total, guaranteed(own, rank)) - tolerance))
}

/**
 * How much goes at most before one of that class with `own` of it before it: what its share leaves to
 * others.
 *
 * @category operations
 * @since 0.1.0
 */
export const guaranteed = (own: number, rank: number): number => (own + 1) / shares[rank]! - 1

/**
 * How much of another tenant's waiting work goes before a newcomer that has `mine` of its own before
 * it, when tenants take turns.
 *
 * @category operations
 * @since 0.1.0
 */
export const turns = (mine: number, theirs: number): number => Math.min(theirs, mine + 1)

/**
 * Who overtakes: work of more critical classes (`class`), classes below their share (`share`), or other
 * tenants of the same class (`tenant`).
 *
 * @category models
 * @since 0.1.0
 */
export type Overtaking = "class" | "share" | "tenant"

/** Who comes seldom has many starts of others for each of its own, and goes first. */
const mostRate = 3

/**
 * How many overtakers to reckon with until `mine` of one part of the line have got a slot, when for
 * `own` starts of the part there were `others` so far: three standard deviations more than are to
 * be expected.
 *
 * **Details** – with a rate of r others for each own start, `mine * r` are to be expected. Whoever
 * is overtaken by a more critical class is overtaken by those as well who come meanwhile: as in the
 * busy period of a queue, the variance is (1 + r)² times that of random arrivals, and as what was counted
 * is itself a sample, `1 + mine / own` times that. Tenants of a class take turns: 1 + r times, where r
 * counts as 3 at most. Shares are fixed: once. Where a line stands, to be careful leaves no slot
 * idle; to be careless costs work that is let in and then refused for lateness. But a class that is
 * refused out of care has no starts from which it could learn better: of other classes reckon with no
 * more than {@link guaranteed} leaves to them.
 *
 * @category operations
 * @since 0.1.0
 */
export const overtaken = (
  mine: number,
  own: number,
  others: number,
  by: Overtaking,
): number => {
  const rate = others / own
  const expected = mine * rate
  const random = by === "class"
    ? (1 + rate) ** 2 * (1 + mine / own)
    : by === "tenant"
    ? 1 + Math.min(mostRate, rate)
    : 1
  return Math.ceil(expected + 3 * Math.sqrt(expected * random))
}

/**
 * The chance of being late above which work is refused, unless somebody says otherwise: 0.001.
 *
 * @category constants
 * @since 0.1.0
 */
export const usualRisk = 0.001

/**
 * How many standard deviations above its mean a normal variable lies with that chance: 3.09 for 0.001,
 * and 0 from 0.5 on. To within 0.001.
 *
 * @see Abramowitz, Stegun, "Handbook of Mathematical Functions", 26.2.23
 * @category operations
 * @since 0.1.0
 */
export const sigmas = (risk: number): number => {
  if (risk >= 0.5) return 0
  const t = Math.sqrt(-2 * Math.log(risk))
  const above = 2.515517 + t * (0.802853 + t * 0.010328)
  return t - above / (1 + t * (1.432788 + t * (0.189269 + t * 0.001308)))
}

/** The mean of a service time is an average of about so many samples. */
const averaged = 19

/**
 * Standard deviation, in milliseconds, of the wait until `k` slots of `capacity` have come free.
 *
 * **Details** – the k departures of busy servers: k/c² times the variance of the service time by
 * the central limit theorem, and as much again for each {@link averaged} of them, because the mean is
 * estimated. Where times vary little, it is one certain slot that is waited for, and its work varies
 * as all work does. 0 for constant times.
 *
 * @category operations
 * @since 0.1.0
 */
export const waitDeviation = (
  k: number,
  capacity: number,
  service: number,
  deviation: number,
): number => {
  if (deviation === 0) return 0
  const departures = k * (1 + k / averaged) / (capacity * capacity)
  return deviation * Math.sqrt(departures + 1 - evenness(service, deviation))
}

/** The 90th percentile is exceeded by one in ten; so many sigmas less is ten times the risk. */
const tenfold = 0.76

/**
 * Whether work ends within `timeLeft` milliseconds but for the risk that `z` stands for (see
 * {@link sigmas}): {@link decide}, and a reserve that follows what was measured.
 *
 * **Details** – `wait` is predicted, with the given standard deviation; `own` is how long the work
 * is expected to take, and `work` what is known of its kind: nothing if it is `undefined`. The reserve
 * is the root of the sum of two squares, `z` times the deviation of the wait, and what the work's
 * own upper quantile is above its mean; at least so much that the 90th percentile fits after a wait
 * of ten times the risk. There is none for constant times, with a `z` of 0, nor for work
 * that need not wait: to refuse it would leave a slot idle. And nothing is refused for less than twice
 * the risk that it would have without a wait: what often takes longer than its deadline cannot be
 * helped by a shorter line.
 *
 * @category operations
 * @since 0.1.0
 */
export const likely = (
  wait: number,
  deviation: number,
  own: number,
  work: Pick<ServiceTime, "mean" | "tail" | "rarity"> | undefined,
  timeLeft: number,
  z: number,
  margin = 0,
): boolean => {
  if (timeLeft === Infinity) return true
  if (!(timeLeft > 0) || !decide(wait, own, timeLeft, margin)) return false
  if (wait === 0 || z === 0) return true
  if (decide(wait, longest(deviation, own, work, z), timeLeft, margin)) return true
  if (work === undefined) return false
  const idle = work.rarity(timeLeft)
  const twice = idle <= 0 ? 0 : idle - Math.LN2 / (idle + 1 / idle)
  return twice < z && decide(wait, longest(deviation, own, work, twice), timeLeft, margin)
}

/** The time from the end of the predicted wait that is exceeded with that risk. */
const longest = (
  deviation: number,
  own: number,
  work: Pick<ServiceTime, "mean" | "tail"> | undefined,
  z: number,
): number => {
  const mean = work === undefined ? own : work.mean
  const tail = work === undefined ? own : work.tail(z)
  return Math.max(
    own + Math.max(0, z - tenfold) * deviation,
    mean + Math.hypot(z * deviation, Math.max(0, tail - mean)),
  )
}
