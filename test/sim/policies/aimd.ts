import type { LimitPolicy } from "./policy.ts"

export interface AimdOptions {
  readonly initial?: number
  readonly min?: number
  readonly max?: number
  readonly backoff?: number
  readonly timeoutMs?: number
}

/** Additive increase, multiplicative decrease: the AIMD limit of Netflix' concurrency-limits. */
export class Aimd implements LimitPolicy {
  limit: number
  readonly #min: number
  readonly #max: number
  readonly #backoff: number
  readonly #timeoutMs: number

  constructor(options: AimdOptions = {}) {
    this.#min = options.min ?? 20
    this.#max = options.max ?? 200
    this.limit = options.initial ?? 20
    this.#backoff = options.backoff ?? 0.9
    this.#timeoutMs = options.timeoutMs ?? 5000
  }

  onSample(_now: number, rttMs: number, inFlight: number, dropped: boolean): void {
    if (dropped || rttMs > this.#timeoutMs) this.limit = Math.floor(this.limit * this.#backoff)
    else if (2 * inFlight >= this.limit) this.limit++
    this.limit = Math.min(this.#max, Math.max(this.#min, this.limit))
  }
}
