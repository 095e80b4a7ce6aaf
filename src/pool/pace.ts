import * as Feasibility from "../bounded/Feasibility.ts"

/** Own starts from which a mean is believed, and of which twice as many make one. */
const few = 4

/** What is older says nothing about those who overtake now. */
const memoryMs = 2000

/**
 * How many overtake one part of the line: the starts of others for each of its own, counted while it
 * stood. Nothing else shows what those take who come later and go first.
 */
export class Pace {
  #own = 0
  #others = 0
  /** All starts at its last look. */
  #at = 0
  #now = -Infinity

  /** Forgets everything. */
  reset(): void {
    this.#own = this.#others = 0
  }

  /** The part begins to stand; `others` of `capacity` slots are such as would overtake it. */
  begin(starts: number, now: number, capacity: number, others: number): void {
    if (now - this.#now > memoryMs) {
      this.#own = others === 0 ? 0 : Math.max(0.5, capacity - others)
      this.#others = others
    }
    this.#at = starts
    this.#now = now
  }

  /** One of it gets a slot, as the last of so many starts. */
  started(starts: number, now: number, capacity: number): void {
    this.#others += starts - this.#at - 1
    this.#own++
    this.#at = starts
    this.#now = now
    if (this.#own < 2 * Math.max(few, capacity)) return
    this.#own /= 2
    this.#others /= 2
  }

  /** How many others will overtake one that has `own` of its part before it. */
  overtaken(own: number, by: Feasibility.Overtaking): number {
    return this.#others === 0 || this.#own + this.#others < few
      ? 0
      : Feasibility.overtaken(own + 1, Math.max(0.5, this.#own), this.#others, by)
  }

  /** The same of a line in which nobody else is at the moment: 0 if that has been so for long. */
  lately(own: number, by: Feasibility.Overtaking, now: number): number {
    return now - this.#now > memoryMs ? 0 : this.overtaken(own, by)
  }
}
