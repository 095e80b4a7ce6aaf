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

/** What a newcomer to a line before slots may expect. */
export class Forecast {
  #margin = 0
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
    if (risk !== undefined) this.#z = Feasibility.sigmas(risk)
  }

  /** Predicted wait behind so many, in milliseconds. */
  wait(now: number, ahead: number): number {
    const view = this.#view
    this.#now = now
    view.capacity = this.#line.capacity
    view.inUse = this.#running.size
    view.ahead = ahead
    // Not looked for while a slot is free.
    view.deviation = ahead < view.capacity - view.inUse ? 0 : this.#service.deviation
    view.service = this.#service.known
      ? this.#service.mean
      // At least as long as the oldest work has taken already.
      : Math.max(this.#service.estimate, view.inUse === 0 ? 0 : view.elapsedAt(0))
    return Feasibility.predictWait(view)
  }

  /**
   * Whether a newcomer behind so many may be promised that it ends in time; `wait` is what was
   * predicted for it, and `work` what is known of work like its own.
   */
  promises(
    ahead: number,
    wait: number,
    own: number,
    work: Pick<ServiceTime, "mean" | "tail" | "rarity"> | undefined,
    timeLeft: number,
  ): boolean {
    return Feasibility.likely(
      wait,
      wait === 0 ? 0 : this.#deviation(ahead),
      own,
      work,
      timeLeft,
      this.#z,
      this.#margin,
    )
  }

  #deviation(ahead: number): number {
    const { deviation, mean } = this.#service
    const { capacity } = this.#line
    const departures = ahead - (capacity - this.#running.size) + 1
    return Feasibility.waitDeviation(departures, capacity, mean, deviation)
  }
}
