const targetMs = 5
const intervalMs = 100

/**
 * CoDel for requests with the constants of folly: overloaded while even the shortest wait of the last
 * 100 ms was above 5 ms; then who has waited more than twice as long is turned away.
 */
export class FollyCodel {
  #overloaded = false
  #shortest = 0
  #end = -Infinity

  /** Whether somebody who has waited so long is turned away. */
  sheds(now: number, waitMs: number): boolean {
    if (now > this.#end) {
      this.#overloaded = this.#shortest > targetMs
      this.#end = now + intervalMs
      // Somebody has to come through in each interval.
      this.#shortest = waitMs
      return false
    }
    this.#shortest = Math.min(this.#shortest, waitMs)
    return this.#overloaded && waitMs > 2 * targetMs
  }
}
