import type { LimitPolicy } from "./policy.ts"

export interface Gradient2Options {
  readonly initial?: number
  readonly min?: number
  readonly max?: number
}

/**
 * The Gradient2 limit of Netflix' concurrency-limits: the ratio of a long average to what a window of
 * at least a second, with at least ten samples, has shown. It takes no notice of drops.
 */
export class Gradient2 implements LimitPolicy {
  readonly #min: number
  readonly #max: number
  #estimate: number
  #long = 0
  #warm = 0
  #windowEnd: number | undefined = undefined
  #sum = 0
  #samples = 0
  #inFlight = 0

  constructor(options: Gradient2Options = {}) {
    this.#min = options.min ?? 20
    this.#max = options.max ?? 200
    this.#estimate = options.initial ?? 20
  }

  get limit(): number {
    return Math.floor(this.#estimate)
  }

  onSample(now: number, rttMs: number, inFlight: number, dropped: boolean): void {
    this.#windowEnd ??= now + 1000
    if (!dropped) {
      this.#sum += rttMs
      this.#samples++
    }
    this.#inFlight = Math.max(this.#inFlight, inFlight)
    if (now < this.#windowEnd || this.#samples < 10) return
    this.#update(this.#sum / this.#samples)
    this.#windowEnd = now + 1000
    this.#sum = this.#samples = this.#inFlight = 0
  }

  #update(rtt: number): void {
    // An average of the first ten, then an exponential one over 600.
    this.#warm++
    const weight = this.#warm <= 10 ? 1 / this.#warm : 2 / 601
    this.#long += weight * (rtt - this.#long)
    if (this.#long / rtt > 2) this.#long *= 0.95
    if (this.#inFlight < this.#estimate / 2) return
    const gradient = Math.max(0.5, Math.min(1, 1.5 * this.#long / rtt))
    const next = 0.8 * this.#estimate + 0.2 * (this.#estimate * gradient + 4)
    this.#estimate = Math.min(this.#max, Math.max(this.#min, next))
  }
}
