import { quantile, sorted } from "../stats.ts"
import type { LimitPolicy } from "./policy.ts"

/** How many requests measure the least round trip, and with how many at once. */
const probes = 50
const pinned = 3
const updateEveryMs = 100
const measureEveryMs = 60_000
const buffer = 0.25

/**
 * The gradient controller of Envoy's adaptive concurrency filter, with its defaults: a limit from the
 * median of each 100 ms against a least round trip, which is measured anew every minute by letting in
 * three at once.
 *
 * @see https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/adaptive_concurrency_filter
 */
export class EnvoyGradient implements LimitPolicy {
  readonly #random: () => number
  readonly #max: number
  #concurrency = pinned
  #leastMs = 0
  #measuring = true
  #measureAt = Infinity
  #updateAt = -Infinity
  #samples: Array<number> = []

  constructor(options: { readonly random?: () => number; readonly max?: number } = {}) {
    this.#random = options.random ?? (() => 0.5)
    this.#max = options.max ?? 1000
  }

  get limit(): number {
    return this.#measuring ? pinned : Math.floor(this.#concurrency)
  }

  onSample(now: number, rttMs: number, _inFlight: number, dropped: boolean): void {
    if (!dropped) this.#samples.push(rttMs)
    if (this.#measuring) {
      if (this.#samples.length >= probes) this.#measured(now)
    } else if (now >= this.#measureAt) {
      this.#measuring = true
      this.#samples = []
    } else if (now >= this.#updateAt) this.#update(now)
  }

  #measured(now: number): void {
    this.#leastMs = quantile(sorted(this.#samples), 0.5)
    this.#samples = []
    this.#measuring = false
    this.#measureAt = now + measureEveryMs * (1 + 0.15 * this.#random())
    this.#updateAt = now + updateEveryMs
  }

  #update(now: number): void {
    this.#updateAt = now + updateEveryMs
    if (this.#samples.length === 0) return
    const sample = quantile(sorted(this.#samples), 0.5)
    this.#samples = []
    const gradient = Math.max(0.5, Math.min(2, this.#leastMs * (1 + buffer) / sample))
    const limit = gradient * this.#concurrency
    this.#concurrency = Math.max(pinned, Math.min(this.#max, limit + Math.sqrt(limit)))
  }
}
