const levels = 4 * 128
const windowMs = 1000
const windowRequests = 2000
const queueingMs = 20
const less = 0.05
const more = 0.01

/**
 * DAGOR, the overload control of WeChat: a threshold on a priority of two parts (class, and a hash of
 * the user), moved once a second or every 2,000 requests by what the mean wait in line says.
 *
 * @see Zhou et al., "Overload Control for Scaling WeChat Microservices" (2018)
 */
export class Dagor {
  #threshold = levels - 1
  readonly #came = new Int32Array(levels)
  #admitted = 0
  #requests = 0
  #waitSum = 0
  #waits = 0
  #end = windowMs

  /** Level 0 is the most important. */
  static level(urgency: number, user: number): number {
    return urgency * 128 + user % 128
  }

  /** Whether a request of that level is let in. */
  admits(now: number, level: number): boolean {
    if (now >= this.#end || this.#requests >= windowRequests) this.#move(now)
    this.#requests++
    this.#came[level]!++
    if (level > this.#threshold) return false
    this.#admitted++
    return true
  }

  /** Somebody waited so long for a slot. */
  waited(ms: number): void {
    this.#waitSum += ms
    this.#waits++
  }

  #move(now: number): void {
    const overloaded = this.#waits > 0 && this.#waitSum / this.#waits > queueingMs
    const wanted = this.#admitted * (overloaded ? 1 - less : 1 + more)
    let expected = this.#admitted
    if (overloaded) {
      while (this.#threshold > 0 && expected > wanted) expected -= this.#came[this.#threshold--]!
    } else {
      while (this.#threshold < levels - 1 && expected <= wanted) {
        expected += this.#came[++this.#threshold]!
      }
    }
    this.#came.fill(0)
    this.#admitted =
      this.#requests =
      this.#waitSum =
      this.#waits =
        0
    this.#end = now + windowMs
  }
}
