import * as Feasibility from "../bounded/Feasibility.ts"
import type { ServiceTime } from "../bounded/ServiceTime.ts"
import type { List } from "./entry.ts"
import type { Line } from "./line.ts"

/** The reserve that is asked for at the door. */
export interface Reserve {
  /** Relative to wait plus work. */
  readonly margin?: number | undefined
  /** The chance of being late above which work is refused. */
  readonly risk?: number | undefined
}

/** The risk of so many that need not wait is kept for those who must. */
const saved = 100

/**
 * What a newcomer to a line before slots may expect.
 *
 * The risk of being late is a budget: each that need not wait, and so is not late because of others,
 * leaves its part of it, and who would run a greater risk than is allowed may take it from there. While
 * a pool of ten has slots to spare now and then, hardly anybody is refused for a risk; in overload, when
 * nobody gets a slot without a wait, the limit is strict, and costs nothing, because no slot is idle.
 * With one or two slots and a deadline of a few service times neither holds: most have to wait, and
 * a slot is idle until somebody comes who need not.
 */
export class Forecast {
  /** How many slots are promised, where a limit that moves by itself tries more. */
  sure = Infinity
  #margin = 0
  /** Risk that was left by those who need not wait. */
  #credit = 0
  #risk = Feasibility.usualRisk
  #z = Feasibility.sigmas(Feasibility.usualRisk)
  readonly #running: List
  readonly #line: Line
  readonly #service: ServiceTime
  // One object for all predictions, so that a decision allocates nothing.
  #now = 0
  #view = {
    capacity: 0,
    inUse: 0,
    ahead: 0,
    service: 0,
    deviation: 0,
    elapsedAt: (position: number): number =>
      Math.max(0, this.#now - this.#running.sinceAt(position)),
  }

  constructor(running: List, line: Line, service: ServiceTime) {
    this.#running = running
    this.#line = line
    this.#service = service
  }

  /** What is left out stays. */
  update({ margin, risk }: Reserve): void {
    if (margin !== undefined) this.#margin = margin
    if (risk !== undefined) {
      this.#risk = risk
      this.#z = Feasibility.sigmas(risk)
    }
  }

  /** Predicted wait behind so many, in milliseconds. */
  wait(now: number, ahead: number): number {
    const view = this.#view
    this.#now = now
    view.capacity = this.#slots
    // What runs beyond a limit that is only tried waits at the other side, if it queues there.
    const tried = this.sure === Infinity ? 0 : Math.max(0, this.#running.size - view.capacity)
    view.inUse = this.#running.size - tried
    view.ahead = ahead + tried
    // Not looked for while a slot is free.
    view.deviation = view.ahead < view.capacity - view.inUse ? 0 : this.#service.deviation
    view.service = this.#service.known
      ? this.#service.mean
      // At least as long as the oldest work has taken already.
      : Math.max(this.#service.estimate, view.inUse === 0 ? 0 : view.elapsedAt(0))
    return Feasibility.predictWait(view)
  }

  /**
   * Whether a newcomer behind so many may be promised that it ends in time; `wait` is what was
   * predicted for it, and `work` what is known of work like its own. The first in a line is asked for no
   * reserve: if it were refused, the slot that comes free next would be idle until somebody else comes.
   */
  promises(
    ahead: number,
    wait: number,
    own: number,
    work: Pick<ServiceTime, "mean" | "tail" | "rarity"> | undefined,
    timeLeft: number,
  ): boolean {
    if (timeLeft === Infinity) return true
    if (!(timeLeft > 0) || !Feasibility.decide(wait, own, timeLeft, this.#margin)) return false
    if (wait === 0) {
      this.#credit = Math.min(saved * this.#risk, this.#credit + this.#risk)
      return true
    }
    const departures = this.#departures(ahead)
    if (departures <= 1) return true
    const deviation = this.#deviation(departures)
    if (Feasibility.likely(wait, deviation, own, work, timeLeft, this.#z, this.#margin)) return true
    for (let risk = 2 * this.#risk; risk <= this.#credit; risk *= 2) {
      const z = Feasibility.sigmas(risk)
      if (!Feasibility.likely(wait, deviation, own, work, timeLeft, z, this.#margin)) continue
      this.#credit -= risk
      return true
    }
    return false
  }

  /** Which slot that comes free is the newcomer's: the first, the second, … */
  #departures(ahead: number): number {
    return ahead - (this.#slots - this.#running.size) + 1
  }

  #deviation(departures: number): number {
    const { deviation, mean } = this.#service
    return Feasibility.waitDeviation(departures, this.#slots, mean, deviation)
  }

  get #slots(): number {
    return Math.min(this.#line.capacity, this.sure)
  }
}
