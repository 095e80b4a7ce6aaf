/** Outcomes of recent calls, as a breaker counts them. */
export interface Window {
  readonly calls: number
  readonly failures: number
  readonly slow: number
  /** Adds an outcome; `now` in absolute milliseconds, never earlier than before. */
  record(now: number, failed: boolean, slow: boolean): void
  /** Forgets what has become too old. */
  roll(now: number): void
  clear(): void
}

const failedBit = 1
const slowBit = 2

/** The last `size` calls, however old they are. */
export class CountWindow implements Window {
  calls = 0
  failures = 0
  slow = 0
  readonly #ring: Uint8Array
  #next = 0

  constructor(size: number) {
    this.#ring = new Uint8Array(size)
  }

  record(_now: number, failed: boolean, slow: boolean): void {
    const ring = this.#ring
    if (this.calls === ring.length) {
      const oldest = ring[this.#next]!
      if ((oldest & failedBit) !== 0) this.failures--
      if ((oldest & slowBit) !== 0) this.slow--
    } else this.calls++
    ring[this.#next] = (failed ? failedBit : 0) | (slow ? slowBit : 0)
    this.#next = (this.#next + 1) % ring.length
    if (failed) this.failures++
    if (slow) this.slow++
  }

  roll(): void {}

  clear(): void {
    this.calls =
      this.failures =
      this.slow =
      this.#next =
        0
  }
}

/** Buckets of a time window: what is forgotten at once is a tenth of it. */
const buckets = 10

/** The calls of the last `spanMs` milliseconds, exact to a tenth of it. Ten buckets, whatever the load. */
export class TimeWindow implements Window {
  calls = 0
  failures = 0
  slow = 0
  readonly #widthMs: number
  readonly #counts: Uint32Array = new Uint32Array(buckets * 3)
  #at: number | undefined = undefined

  constructor(spanMs: number) {
    this.#widthMs = spanMs / buckets
  }

  record(now: number, failed: boolean, slow: boolean): void {
    this.roll(now)
    const base = this.#at! % buckets * 3
    this.calls++
    this.#counts[base]!++
    if (failed) {
      this.failures++
      this.#counts[base + 1]!++
    }
    if (slow) {
      this.slow++
      this.#counts[base + 2]!++
    }
  }

  roll(now: number): void {
    const at = Math.floor(now / this.#widthMs)
    const before = this.#at
    if (before === undefined || at - before >= buckets) {
      this.clear()
    } else {
      for (let i = before + 1; i <= at; i++) {
        const base = i % buckets * 3
        this.calls -= this.#counts[base]!
        this.failures -= this.#counts[base + 1]!
        this.slow -= this.#counts[base + 2]!
        this.#counts.fill(0, base, base + 3)
      }
    }
    if (before === undefined || at > before) this.#at = at
  }

  clear(): void {
    this.calls = this.failures = this.slow = 0
    this.#counts.fill(0)
  }
}
