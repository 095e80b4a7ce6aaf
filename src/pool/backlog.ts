/**
 * No instant later than that is given away; then they are given away again, from the first. Clients
 * commonly do not wait longer.
 */
const mostMs = 60_000

/** So much of what there is, is for those who come back; the rest is for newcomers. */
const share = 0.5

/**
 * When those who were refused may come back, one after another. All that were refused in one moment
 * are told the same end of the line, and would meet there again: so each is told to come as much later
 * as the work of those takes who were told before, in half of the slots.
 */
export class Backlog {
  /** The next instant to give away, in milliseconds from `at`. */
  #nextMs = 0
  #at = 0

  /** Milliseconds after the end of the line; the work takes `stepMs` of all the slots. */
  next(now: number, stepMs: number): number {
    const step = stepMs / share
    const passed = Math.max(0, now - this.#at)
    this.#at = Math.max(now, this.#at)
    const mine = Math.max(0, this.#nextMs - passed)
    this.#nextMs = mine + step > mostMs ? 0 : mine + step
    return mine
  }
}
