import { CountWindow, TimeWindow, type Window } from "./window.ts"

/** What a call says about its dependency; `ignored` says nothing. */
export type Outcome = "success" | "failure" | "ignored"

export type Phase = "closed" | "open" | "half-open"

export interface CircuitOptions {
  /** Calls that are looked at: the last so many, or those of the last so many milliseconds. */
  readonly window: { readonly calls: number } | { readonly ms: number }
  /** Below so many calls in the window it stays closed. */
  readonly minimumCalls: number
  /** Opens at this share of failures. */
  readonly failureRate: number
  /** A call that took longer is slow. */
  readonly slowAfterMs: number
  /** Opens at this share of slow calls. */
  readonly slowRate: number
  /** How long the n-th opening in a row lasts; the last one repeats. */
  readonly openMs: ReadonlyArray<number>
  /** An opening lasts between `1 - jitter` and 1 times that. */
  readonly jitter: number
  /** Calls that are let through half-open, in all. */
  readonly probes: number
  /** How long half-open waits for probes that do not end. */
  readonly probeMs: number
  readonly random: () => number
  readonly onTransition?: ((from: Phase, to: Phase, at: number) => void) | undefined
}

export const refused = -1

/**
 * The state machine of a breaker, synchronous, with the time as an argument.
 *
 * - Each phase has a generation, and each call carries that in which it began: an outcome of another
 *   generation changes nothing, so calls from before the opening cannot close or re-open it.
 * - A call that was neither a failure nor slow never opens it. Good calls that have grown too old make
 *   the share of failures grow too; whether they matter still, the next bad call says.
 * - Half-open lets so many calls through in all, not one after the other for ever, and gives each of
 *   them so much time: a probe that hangs opens it again. There is no timer that concurrent
 *   failures could cancel: the phase is a function of the time.
 * - The phase ends as soon as the rest of the probes cannot change the answer.
 */
export class Circuit {
  refusals = 0
  #options: CircuitOptions
  #window: Window
  #phase: Phase = "closed"
  #generation = 0
  #tokens = 0
  /** End of the opening. */
  #until = 0
  #openings = 0
  #lastOpenMs = 0
  #closedAt = -Infinity
  /** Since when each probe has been in flight, by its token; the oldest is the first. */
  readonly #probing = new Map<number, number>()
  #settled = 0
  #failed = 0
  #slow = 0

  constructor(options: CircuitOptions) {
    this.#options = options
    const { window } = options
    this.#window = "calls" in window ? new CountWindow(window.calls) : new TimeWindow(window.ms)
  }

  /** A token for {@link settle}, or {@link refused}. */
  enter(now: number): number {
    this.#advance(now)
    if (this.#phase === "half-open") {
      if (this.#probing.size + this.#settled >= this.#options.probes) return this.#refuse()
      const token = ++this.#tokens
      this.#probing.set(token, now)
      return token
    }
    return this.#phase === "open" ? this.#refuse() : this.#generation
  }

  /** Whether a call that has waited since it got its token may still begin; one that may not is counted. */
  admits(token: number, now: number): boolean {
    this.#advance(now)
    if (this.#phase === "closed" || this.#probing.has(token)) return true
    this.refusals++
    return false
  }

  /** Told once for each token. */
  settle(token: number, now: number, outcome: Outcome, elapsedMs: number): void {
    this.#advance(now)
    const probe = this.#probing.delete(token)
    if (outcome === "ignored" || !probe && token !== this.#generation) return
    const failed = outcome === "failure"
    const slow = elapsedMs > this.#options.slowAfterMs
    if (probe) {
      this.#settled++
      if (failed) this.#failed++
      if (slow) this.#slow++
      this.#judgeProbes(now)
    } else {
      this.#window.record(now, failed, slow)
      const { calls, failures, slow: slowCalls } = this.#window
      if ((failed || slow) && this.#bad(calls, failures, slowCalls)) this.#open(now)
    }
  }

  phase(now: number): Phase {
    this.#advance(now)
    return this.#phase
  }

  /** Until a call may be let through, in milliseconds; 0 when one may now. */
  opensIn(now: number): number {
    this.#advance(now)
    if (this.#phase === "open") return this.#until - now
    if (this.#phase === "closed") return 0
    if (this.#probing.size + this.#settled < this.#options.probes) return 0
    // Its probes decide; at the latest when the time of the oldest is up.
    return Math.max(1, this.#overdueAt() - now)
  }

  /** Share of failures and of slow calls in the window, and how many calls these are. */
  rates(now: number): { readonly calls: number; readonly failure: number; readonly slow: number } {
    this.#window.roll(now)
    const { calls, failures, slow } = this.#window
    return {
      calls,
      failure: calls === 0 ? 0 : failures / calls,
      slow: calls === 0 ? 0 : slow / calls,
    }
  }

  get pending(): number {
    return this.#probing.size
  }

  #bad(calls: number, failures: number, slow: number): boolean {
    const { failureRate, minimumCalls, slowRate } = this.#options
    return calls >= minimumCalls &&
      (failures > 0 && failures >= failureRate * calls || slow > 0 && slow >= slowRate * calls)
  }

  #judgeProbes(now: number): void {
    const { failureRate, probes, slowRate } = this.#options
    const left = probes - this.#settled
    const bad = (n: number, rate: number) => n > 0 && n >= rate * probes
    if (bad(this.#failed, failureRate) || bad(this.#slow, slowRate)) this.#open(now)
    else if (!bad(this.#failed + left, failureRate) && !bad(this.#slow + left, slowRate)) {
      this.#close(now)
    }
  }

  #advance(now: number): void {
    if (this.#phase === "closed") return
    if (this.#phase === "half-open" && now >= this.#overdueAt()) this.#open(this.#overdueAt())
    if (this.#phase === "open" && now >= this.#until) this.#to("half-open", this.#until)
  }

  /** When the oldest probe has had its time; never while there is none. */
  #overdueAt(): number {
    for (const since of this.#probing.values()) return since + this.#options.probeMs
    return Infinity
  }

  #open(at: number): void {
    const { jitter, openMs, random } = this.#options
    // The growth begins anew once it has been closed for as long as it was last open.
    if (this.#phase === "closed" && at - this.#closedAt >= this.#lastOpenMs) this.#openings = 0
    const full = openMs[Math.min(this.#openings++, openMs.length - 1)]!
    this.#lastOpenMs = full * (1 - jitter * random())
    this.#until = at + this.#lastOpenMs
    this.#to("open", at)
  }

  #close(at: number): void {
    this.#closedAt = at
    this.#window.clear()
    this.#to("closed", at)
  }

  #to(phase: Phase, at: number): void {
    const from = this.#phase
    this.#phase = phase
    this.#generation = ++this.#tokens
    this.#probing.clear()
    this.#settled =
      this.#failed =
      this.#slow =
        0
    this.#options.onTransition?.(from, phase, at)
  }

  #refuse(): number {
    this.refusals++
    return refused
  }
}
