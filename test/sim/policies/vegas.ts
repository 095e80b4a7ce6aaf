import type { LimitPolicy } from "./policy.ts"

export interface VegasOptions {
  readonly initial?: number
  readonly max?: number
  readonly random?: () => number
}

/**
 * The Vegas limit of Netflix' concurrency-limits: a queue is what a call takes beyond the quickest
 * one seen since the last probe of it.
 */
export class Vegas implements LimitPolicy {
  limit: number
  readonly #max: number
  readonly #random: () => number
  #quickest = 0
  #seen = 0
  #jitter: number

  constructor(options: VegasOptions = {}) {
    this.limit = options.initial ?? 20
    this.#max = options.max ?? 1000
    this.#random = options.random ?? (() => 0.5)
    this.#jitter = 0.5 + this.#random() / 2
  }

  onSample(_now: number, rttMs: number, inFlight: number, dropped: boolean): void {
    if (!(rttMs > 0)) return
    if (++this.#seen >= this.#jitter * 30 * this.limit) {
      this.#seen = 0
      this.#jitter = 0.5 + this.#random() / 2
      this.#quickest = rttMs
      return
    }
    if (this.#quickest === 0 || rttMs < this.#quickest) {
      this.#quickest = rttMs
      return
    }
    const step = Math.max(1, Math.log10(this.limit))
    if (dropped) this.#set(this.limit - step)
    else if (2 * inFlight >= this.limit) {
      const queue = Math.ceil(this.limit * (1 - this.#quickest / rttMs))
      if (queue <= step) this.#set(this.limit + 6 * step)
      else if (queue < 3 * step) this.#set(this.limit + step)
      else if (queue > 6 * step) this.#set(this.limit - step)
    }
  }

  #set(limit: number): void {
    this.limit = Math.floor(Math.min(this.#max, Math.max(1, limit)))
  }
}
