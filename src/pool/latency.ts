/** Samples kept: enough for a p95 of which six are above. */
const size = 128
/** Percentiles are sorted anew after so many samples. */
const every = 16

/** Percentiles of the last 128 latencies, in milliseconds. Recording allocates nothing. */
export class Latency {
  readonly #ring = new Float64Array(size)
  readonly #sorted = new Float64Array(size)
  #count = 0
  #next = 0
  #fresh = 0
  #sortedCount = 0

  get count(): number {
    return this.#count
  }

  record(ms: number): void {
    this.#ring[this.#next] = ms
    this.#next = (this.#next + 1) % size
    if (this.#count < size) this.#count++
    this.#fresh++
  }

  /** The value below which that share of the samples is; 0 while there is none. At most 16 samples old. */
  percentile(share: number): number {
    if (this.#count === 0) return 0
    if (this.#sortedCount === 0 || this.#fresh >= every || this.#count < every) {
      this.#sorted.set(this.#ring)
      this.#sorted.subarray(0, this.#count).sort()
      this.#sortedCount = this.#count
      this.#fresh = 0
    }
    return this.#sorted[Math.min(this.#sortedCount - 1, Math.floor(this.#sortedCount * share))]!
  }
}
