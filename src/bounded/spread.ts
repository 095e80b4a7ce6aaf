/**
 * How much work differs from its typical time: the shape of service times, apart from their level.
 */

/** Bins per e-fold of the ratio: each is 6 % wide, and all within 3 % of the typical time is equal. */
const perFold = 16
/** Up to 400 times the typical time. */
const bins = 6 * perFold
/** So many samples are remembered, the older the less. */
const memory = 512
/** A sample that counts less than this is forgotten when the longest is asked for. */
const faint = 0.05
/** A single ratio counts in the deviation as no more than this. */
const most = 4
/** Before so many samples nothing is said. */
const few = 16

/** Standard normal quantiles of 90 and 99 %. */
const z90 = 1.2816
const z99 = 2.3263

/**
 * Ratios of service times to what was typical around them. Its upper quantiles are those of its own
 * samples up to the 99th percentile, and beyond that the straight line through the 90th and the 99th on
 * a normal plot of the logarithms: exact for lognormal times, 10 % too much for exponential ones, and
 * never much above the longest seen. 1 for constant times.
 */
export class Spread {
  readonly #bins = new Float64Array(bins)
  #total = 0
  #weight = 1
  #count = 0
  #variance = 0
  #mean = 1
  #stale = false
  #log90 = 0
  #log99 = 0
  #top = 0

  /** A sample, and what was typical around it. */
  add(ms: number, typical: number): void {
    const ratio = typical > 0 ? ms / typical : 1
    const bin = Math.min(bins - 1, Math.max(0, Math.round(Math.log(ratio) * perFold)))
    if ((this.#weight *= 1 + 1 / memory) > 1e9) this.#rescale()
    this.#bins[bin]! += this.#weight
    this.#total += this.#weight
    this.#count++
    const weight = Math.max(1 / memory, 1 / this.#count)
    const off = Math.min(ratio, most) - 1
    this.#variance += weight * (off * off - this.#variance)
    this.#mean += weight * (Math.min(ratio, most) - this.#mean)
    this.#stale = true
  }

  /** Standard deviation, relative to the typical time. */
  get deviation(): number {
    return this.#count < few ? 0 : Math.sqrt(this.#variance)
  }

  /** Mean, relative to the typical time. */
  get mean(): number {
    return this.#count < few ? 1 : this.#mean
  }

  /** The ratio that is exceeded as rarely as a normal variable exceeds `z` standard deviations. */
  quantile(z: number): number {
    if (this.#count < few) return 1
    if (this.#stale) this.#look()
    const log90 = this.#log90
    const log99 = this.#log99
    if (log99 === 0 || z <= 0) return 1
    const log = z <= z90 ? log90 * z / z90 : log90 + (log99 - log90) * (z - z90) / (z99 - z90)
    return Math.exp(Math.min(log, this.#top))
  }

  /** The inverse of {@link quantile}. */
  rarity(ratio: number): number {
    if (this.#stale) this.#look()
    const log = Math.log(ratio)
    if (this.#count < few || this.#log99 === 0 || log >= this.#top) return Infinity
    if (log <= 0) return 0
    const log90 = this.#log90
    return log <= log90
      ? z90 * log / log90
      : z90 + (z99 - z90) * (log - log90) / (this.#log99 - log90)
  }

  #look(): void {
    this.#stale = false
    let top = bins - 1
    while (top > 0 && this.#bins[top]! < faint * this.#weight) top--
    this.#top = top === 0 ? 0 : (top + 1) / perFold
    this.#log99 = this.#above(0.01)
    this.#log90 = this.#above(0.1)
  }

  /** Logarithm of the ratio above which that share of the samples lies. */
  #above(share: number): number {
    let need = share * this.#total
    for (let bin = bins - 1; bin > 0; bin--) {
      const here = this.#bins[bin]!
      if (here >= need) return (bin + 0.5 - need / here) / perFold
      need -= here
    }
    return 0
  }

  #rescale(): void {
    const by = 1 / this.#weight
    for (let bin = 0; bin < bins; bin++) this.#bins[bin]! *= by
    this.#total *= by
    this.#weight = 1
  }
}
