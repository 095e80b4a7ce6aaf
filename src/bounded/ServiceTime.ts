/**
 * How long work takes once it runs: an estimate that follows slowdowns within a few samples.
 *
 * @module
 */

/**
 * A running estimate of the service time. Synchronous; `observe` does not allocate.
 *
 * **Details** – all in milliseconds, and 0 while nothing is known.
 *
 * @category models
 * @since 0.1.0
 */
export interface ServiceTime {
  /** False until there is a prior or a sample. */
  readonly known: boolean
  /** Decides how fast a queue drains. */
  readonly mean: number
  /** 90th percentile of the last 32 samples: how long one's own work may take. */
  readonly p90: number
  /** `max(mean, p90)`; while unknown, the longest time that cancelled work has taken. */
  readonly estimate: number
  /** A sample of work that completed. */
  readonly observe: (ms: number) => void
  /** Work was cancelled after that time: a lower bound, so it never moves the estimate down. */
  readonly observeCensored: (elapsedMs: number) => void
  /** Forgets everything and starts again from this sample. */
  readonly replace: (ms: number) => void
}

/** Samples kept for the percentile. Three waves of a pool of ten. */
const size = 32
/** Weight of a new sample in the mean once there are at least ten. */
const gain = 0.1
/** So many samples in a row above the estimate or below the p10 are a new regime, not noise. */
const run = 4
/**
 * Work that was cancelled would have taken longer than it had: so much longer, at least. The time it
 * had is at most what admission left it, which is the estimate itself where a line stands; without this
 * all work could be cancelled in time and the estimate would never rise.
 */
const longer = 0.25
/** A clock of whole milliseconds may show a little less than what passed. */
const rounding = 0.01
/** What counts as outside: 5 % beyond the percentile, so that equal samples never do. */
const beyond = 0.05

/**
 * Makes an estimator.
 *
 * **Details** – `expectedMs` is a prior: it counts as one sample, so real ones soon replace it.
 * The mean is an average of the first ten samples, then an exponential one with weight 0.1, in
 * which a sample below the 10th percentile counts as that percentile: single lucky samples do not
 * move it. Four samples in a row above the estimate (or below the 10th percentile) by 5 % start it
 * again from those four, so a dependency that slows down, or recovers, is believed within
 * one wave of a pool of ten.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options?: { readonly expectedMs?: number | undefined }): ServiceTime =>
  new Estimator(options?.expectedMs)

// A window of 32 kept sorted costs an O(32) shift per sample. P² would be a little cheaper, but it
// forgets an old regime only slowly and cannot start again from the last four samples.
class Estimator implements ServiceTime {
  readonly #ring = new Float64Array(size)
  readonly #sorted = new Float64Array(size)
  #count = 0
  #next = 0
  #seen = 0
  #mean = 0
  #p90 = 0
  #floor = 0
  // Samples in a row beyond what was normal when the row began.
  #above = 0
  #below = 0
  #high = 0
  #low = 0

  constructor(expectedMs: number | undefined) {
    if (expectedMs !== undefined) this.replace(expectedMs)
  }

  get known(): boolean {
    return this.#count > 0
  }
  get mean(): number {
    return this.#mean
  }
  get p90(): number {
    return this.#p90
  }
  get estimate(): number {
    return this.#count === 0 ? this.#floor : Math.max(this.#mean, this.#p90)
  }

  observe(ms: number): void {
    if (!(ms >= 0 && ms < Infinity)) return
    const low = this.#sorted[Math.floor(this.#count * 0.1)]!
    if (this.#count === 0) {
      this.#above = this.#below = 0
    } else {
      if (this.#above === 0) this.#high = this.estimate * (1 + beyond)
      if (this.#below === 0) this.#low = low * (1 - beyond)
      this.#above = ms > this.#high ? this.#above + 1 : 0
      this.#below = ms < this.#low ? this.#below + 1 : 0
    }
    this.#push(ms)
    if (this.#above === run || this.#below === run) return this.#restart()
    const weight = Math.max(gain, 1 / ++this.#seen)
    this.#mean += weight * (Math.max(ms, this.#seen > 10 ? low : 0) - this.#mean)
  }

  observeCensored(elapsedMs: number): void {
    const estimate = this.estimate
    if (!(elapsedMs >= estimate * (1 - rounding))) return
    const least = Math.max(elapsedMs, estimate * (1 + longer))
    if (this.#count === 0) {
      this.#floor = least
      return
    }
    const mean = this.#mean
    const p90 = this.#p90
    this.observe(least)
    // Starting again from four samples may forget larger ones before them.
    this.#mean = Math.max(mean, this.#mean)
    this.#p90 = Math.max(p90, this.#p90)
  }

  replace(ms: number): void {
    this.#count =
      this.#next =
      this.#seen =
      this.#mean =
        0
    this.observe(ms)
  }

  /** Starts again from the last `run` samples. */
  #restart(): void {
    const last = [0, 0, 0, 0]
    for (let i = 0; i < run; i++) last[i] = this.#ring[(this.#next - run + i + size) % size]!
    this.replace(last[0]!)
    for (let i = 1; i < run; i++) {
      this.#push(last[i]!)
      this.#mean += (last[i]! - this.#mean) / ++this.#seen
    }
    this.#above = this.#below = 0
  }

  #push(ms: number): void {
    const sorted = this.#sorted
    let hole = this.#count
    if (hole === size) {
      const oldest = this.#ring[this.#next]!
      hole = 0
      while (sorted[hole] !== oldest) hole++
    } else this.#count++
    while (hole > 0 && sorted[hole - 1]! > ms) sorted[hole] = sorted[--hole]!
    while (hole < this.#count - 1 && sorted[hole + 1]! < ms) sorted[hole] = sorted[++hole]!
    sorted[hole] = ms
    this.#ring[this.#next] = ms
    this.#next = (this.#next + 1) % size
    // Rounded down: among a few samples one outlier is no percentile.
    this.#p90 = sorted[Math.floor((this.#count - 1) * 0.9)]!
  }
}
