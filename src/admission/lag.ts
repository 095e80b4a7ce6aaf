/** The share of the probes that were no later than the lag that is reported. */
const percentile = 0.9

/**
 * How late probes of the event loop have been, over a recent window. Synchronous, and bounded by the
 * window.
 *
 * A probe is due every so often. While the loop is blocked none can run, so as soon as anybody looks,
 * each one that was due meanwhile counts with its own lateness: a block of 200 ms is eight late probes,
 * not one among many on time (the "coordinated omission" of load generators).
 */
export class Lag {
  readonly windowMs: number
  readonly everyMs: number
  private readonly seenAt: Float64Array
  private readonly late: Float64Array
  private readonly sorted: Float64Array
  private count = 0
  private next = 0
  /** When the next probe is due. */
  due: number

  constructor(windowMs: number, everyMs: number, now: number) {
    this.windowMs = windowMs
    this.everyMs = everyMs
    // Twice: those that were due in a block, and those that ran before it.
    const size = 2 * Math.ceil(windowMs / everyMs) + 2
    this.seenAt = new Float64Array(size)
    this.late = new Float64Array(size)
    this.sorted = new Float64Array(size)
    this.due = now + everyMs
  }

  /** Counts every probe that is due by now. */
  observe(now: number): void {
    // Of a long block the probes of one window say enough.
    if (now - this.due > this.windowMs) {
      this.due += Math.floor((now - this.due - this.windowMs) / this.everyMs) * this.everyMs
    }
    while (this.due <= now) {
      this.seenAt[this.next] = now
      this.late[this.next] = now - this.due
      this.next = (this.next + 1) % this.late.length
      if (this.count < this.late.length) this.count++
      this.due += this.everyMs
    }
  }

  /** Leaves out the probes of one window. */
  pause(now: number): void {
    this.due = now + this.windowMs
  }

  /** The lag in milliseconds: the 90th percentile of the window; 0 while nothing is in it. */
  at(now: number): number {
    let n = 0
    for (let i = 0; i < this.count; i++) {
      if (now - this.seenAt[i]! > this.windowMs) continue
      // A window has a few probes: to insert them one by one is the quickest way to sort them.
      let hole = n++
      while (hole > 0 && this.sorted[hole - 1]! > this.late[i]!) {
        this.sorted[hole] = this.sorted[--hole]!
      }
      this.sorted[hole] = this.late[i]!
    }
    return n === 0 ? 0 : this.sorted[Math.floor((n - 1) * percentile)]!
  }
}
