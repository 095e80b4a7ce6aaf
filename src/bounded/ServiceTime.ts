/**
 * How long work takes once it runs: an estimate that follows slowdowns within a few samples.
 *
 * @module
 */
import { Spread } from "./spread.ts"

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
  /** Standard deviation, in milliseconds, without what changes of the mean add to it. */
  readonly deviation: number
  /**
   * The time that work exceeds as rarely as a normal variable exceeds so many standard deviations: 3.09
   * for one in a thousand. Never below the mean.
   */
  readonly tail: (sigmas: number) => number
  /** The inverse of `tail`: how many standard deviations that time stands for; `Infinity` if it was never seen. */
  readonly rarity: (ms: number) => number
  /** A sample of work that completed. */
  readonly observe: (ms: number) => void
  /**
   * Work was cancelled after that time: a lower bound, so it never moves the estimate down. Ignored
   * when it is shorter than what is expected.
   */
  readonly observeCensored: (elapsedMs: number) => void
  /** Forgets everything and starts again from this sample. */
  readonly replace: (ms: number) => void
}

/** Samples kept for the percentile. Three waves of a pool of ten. */
const size = 32
/** Weight of a new sample in the mean once there are at least ten. */
const gain = 0.1
/** So many samples in a row above the estimate or below the p10 are a new regime, not noise. */
const runOfEqual = 4
/** Where times vary anyway, four in a row come by chance once in some thousand samples. */
const runOfWide = 6
/** Relative standard deviation from which on times vary. */
const wide = 0.05
/**
 * Work that is cancelled at its expected time would have taken longer: half as long again, until more is
 * known. Where a line stands, admission leaves all work just the time that is expected, so that nothing
 * would ever be seen to take longer.
 */
const longer = 0.5
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
 * one wave of a pool of ten; where times vary by more than 5 % it takes six. Work that was cancelled at
 * its expected time or later counts as work that took half as long again as was expected, at least.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options?: { readonly expectedMs?: number | undefined }): ServiceTime =>
  new Estimator(options?.expectedMs)

// A window of 32 kept sorted costs an O(32) shift per sample. P² would be a little cheaper, but it
// forgets an old regime only slowly and cannot start again from the last few samples.
class Estimator implements ServiceTime {
  readonly #ring = new Float64Array(size)
  readonly #sorted = new Float64Array(size)
  #count = 0
  #next = 0
  #seen = 0
  #mean = 0
  #p90 = 0
  #median = 0
  #floor = 0
  // Samples in a row beyond what was normal when the row began.
  #above = 0
  #below = 0
  #high = 0
  #low = 0
  readonly #spread = new Spread()
  readonly #last = [0, 0, 0, 0, 0, 0]

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

  get deviation(): number {
    return this.#spread.deviation * this.#median
  }
  tail(sigmas: number): number {
    return Math.max(this.#mean, this.#spread.quantile(sigmas) * this.#typical)
  }
  rarity(ms: number): number {
    return this.#spread.rarity(ms / this.#typical)
  }

  /**
   * What is typical now: the median of the window, or what the mean says of it, if that is more. Each
   * alone is 10 % off where times vary by half, and to be careful costs less than to be careless.
   */
  get #typical(): number {
    return Math.max(this.#median, this.#mean / this.#spread.mean)
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
    const run = this.#spread.deviation > wide ? runOfWide : runOfEqual
    if (this.#above >= run || this.#below >= run) return this.#restart(run)
    const weight = Math.max(gain, 1 / ++this.#seen)
    this.#mean += weight * (Math.max(ms, this.#seen > 10 ? low : 0) - this.#mean)
  }

  observeCensored(elapsedMs: number): void {
    // Several in a row are compared with what was normal when the row began.
    const normal = this.#above > 0 ? this.#high / (1 + beyond) : this.estimate
    if (!(elapsedMs >= normal * (1 - rounding))) return
    const least = Math.max(elapsedMs, normal * (1 + longer))
    if (this.#count === 0) {
      this.#floor = least
      return
    }
    const mean = this.#mean
    const p90 = this.#p90
    this.observe(least)
    // Starting again from a few samples may forget larger ones before them.
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
  #restart(run: number): void {
    const last = this.#last
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
    this.#median = sorted[this.#count >> 1]!
    // In the middle of the window.
    if (this.#count === size) {
      this.#spread.add(this.#ring[(this.#next + (size >> 1)) % size]!, this.#median)
    }
    // Rounded down: among a few samples one outlier is no percentile.
    this.#p90 = sorted[Math.floor((this.#count - 1) * 0.9)]!
  }
}
