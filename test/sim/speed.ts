import { type Fault, meanOf, type Scenario } from "./scenario.ts"

interface Stretch {
  readonly from: number
  readonly to: number
  /** Milliseconds of work done per millisecond. */
  readonly speed: number
  readonly fault: Fault | undefined
}

/**
 * How fast a pool works over time, and when it fails. Work that is under way when the speed changes
 * goes on at the new one, so that who starts later never ends earlier; the oracle relies on that.
 */
export class Speed {
  readonly #stretches: ReadonlyArray<Stretch>

  constructor(stretches: ReadonlyArray<Stretch>) {
    this.#stretches = stretches
  }

  /** The speed of the pool `main`; every other pool has the same speed all the time. */
  static of(scenario: Scenario): Speed {
    let from = 0
    const stretches = scenario.phases.map(({ fault, seconds, serviceMs }): Stretch => {
      const to = from + seconds * 1000
      const speed = fault === "stall" || fault === "hang"
        ? 0
        : serviceMs === undefined
        ? 1
        : meanOf(scenario.pool.serviceMs) / serviceMs
      const stretch = { from, to, speed, fault }
      from = to
      return stretch
    })
    // What is left when the last phase is over goes on as before the first fault.
    return new Speed([...stretches, { from, to: Infinity, speed: 1, fault: undefined }])
  }

  static readonly steady: Speed = new Speed([
    { from: 0, to: Infinity, speed: 1, fault: undefined },
  ])

  /** What is wrong at that moment. */
  faultAt(now: number): Fault | undefined {
    return this.#stretches.find(({ to }) => now < to)?.fault
  }

  /** When work that begins then ends, if nothing fails; `Infinity` when it hangs. */
  end(start: number, work: number): number {
    let left = work
    for (const { fault, from, speed, to } of this.#stretches) {
      if (to <= start) continue
      if (fault === "hang") return Infinity
      const begin = Math.max(from, start)
      if (speed > 0 && begin + left / speed <= to) return begin + left / speed
      left -= (to - begin) * speed
    }
    return Infinity
  }

  /** The earliest moment from then on at which work can begin that ends well. */
  begin(start: number, work: number): number {
    let at = start
    for (const { fault, from, to } of this.#stretches) {
      if (to <= at) continue
      if (fault === "refuse" && from <= at) at = to
      if (fault === "hang" && this.end(at, work) === Infinity) at = to
    }
    return at
  }
}
