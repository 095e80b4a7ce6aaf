import { durationMs } from "../internal/setting.ts"
import { Mistake } from "../internal/mistake.ts"
import type { Duration } from "effect"

/** Buckets of the window: what is forgotten at once is a 24th of it. */
const buckets = 24

export interface ShareOptions {
  readonly k: number
  readonly windowMs: number
  readonly minimumCalls: number
  readonly cap: number
}

/**
 * The client-side throttle of Google's SRE book: of `requests` in the window `accepts` were accepted,
 * and the chance that the next one is refused here is `(requests - K * accepts) / (requests + 1)`.
 *
 * Requests count when they end, not when they are sent: those in flight are neither accepted nor
 * refused, and would look refused to whoever starts with a burst. What is refused here counts.
 */
export class Share {
  refusals = 0
  #options: ShareOptions
  #widthMs: number
  #requests = 0
  #accepts = 0
  #counts = new Float64Array(buckets * 2)
  #at: number | undefined = undefined

  constructor(options: ShareOptions) {
    this.#options = options
    this.#widthMs = options.windowMs / buckets
  }

  /** Chance of a refusal now, from 0 to the cap. */
  chance(now: number): number {
    this.#roll(now)
    const { cap, k, minimumCalls } = this.#options
    if (this.#requests < minimumCalls) return 0
    const share = (this.#requests - k * this.#accepts) / (this.#requests + 1)
    return Math.min(cap, Math.max(0, share))
  }

  /** Draws; false when the call is refused here. */
  admit(now: number, random: number): boolean {
    if (random >= this.chance(now)) return true
    this.refusals++
    this.ended(now, false)
    return false
  }

  /** A call has ended. */
  ended(now: number, accepted: boolean): void {
    this.#roll(now)
    const base = this.#at! % buckets * 2
    this.#requests++
    this.#counts[base]!++
    if (!accepted) return
    this.#accepts++
    this.#counts[base + 1]!++
  }

  /** Forgets all: something else has found out that the other side is well again. */
  clear(): void {
    this.#requests = this.#accepts = 0
    this.#counts.fill(0)
  }

  #roll(now: number): void {
    const at = Math.floor(now / this.#widthMs)
    const before = this.#at ?? at
    if (at - before >= buckets) this.clear()
    else {
      for (let i = before + 1; i <= at; i++) {
        const base = i % buckets * 2
        this.#requests -= this.#counts[base]!
        this.#accepts -= this.#counts[base + 1]!
        this.#counts[base] = this.#counts[base + 1] = 0
      }
    }
    this.#at = Math.max(at, before)
  }
}

/** Settings of a share, whoever has one. */
export interface ShareSettings {
  readonly k?: number | undefined
  readonly window?: Duration.Input | undefined
  readonly minimumCalls?: number | undefined
  readonly cap?: number | undefined
}

/** Checks the settings; throws a sentence when one makes no sense. */
export const makeShare = (what: string, settings: ShareSettings): Share => {
  const { cap = 0.9, k = 2, minimumCalls = 20 } = settings
  if (!(k > 1 && k < Infinity)) {
    throw new Mistake(`${what}: k is ${k}. Use a number above 1, such as 2.`)
  }
  if (!(cap >= 0 && cap < 1)) {
    throw new Mistake(`${what}: cap is ${cap}. Use a number from 0 to below 1, such as 0.9.`)
  }
  if (!(minimumCalls >= 0)) {
    throw new Mistake(`${what}: minimumCalls is ${minimumCalls}. Use 20 or so.`)
  }
  const windowMs = durationMs(`${what}: window`, settings.window ?? "10 seconds")
  if (!(windowMs > 0 && windowMs < Infinity)) {
    throw new Mistake(`${what}: window is not a positive, finite duration.`)
  }
  return new Share({ k, windowMs, minimumCalls, cap })
}
