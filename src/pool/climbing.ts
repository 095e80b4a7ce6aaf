/** The bounds of a limit that learns. */
export interface ClimbingOptions {
  readonly initial: number
  readonly min: number
  readonly max: number
}

/** The higher of the two limits that are compared is so much above the lower one. */
const step = 0.2
/** Weight of what earlier pairs of windows have shown, at each new pair. */
const memory = 0.9
/** From here on latency grows with the concurrency: the other side queues. */
const saturated = 0.75
/** Up to here it does not: there is room. */
const free = 0.4
/** A latency that changes by that factor (as a logarithm) between two windows is a new regime. */
const jump = 0.6
/** Never below that share of what throughput and quickest latency say is needed (Little's law). */
const floor = 0.95
/** Share of calls that were turned away which makes the limit shrink, and by how much. */
const tolerable = 0.1
const backoff = 0.9
/** A window ends with so many samples, after so many milliseconds at least and at most. */
const minSamples = 10
const maxSamples = 60
const minWindowMs = 100
const maxWindowMs = 10_000

/**
 * How much to send at once to something whose capacity nobody knows: Vegas, which takes latency
 * beyond the quickest for a queue, corrected by the question "does adding concurrency still add
 * throughput?" of Cinnamon and failsafe-go. Synchronous; a sample allocates nothing.
 *
 * While the limit is in force it alternates between two values, 20 % apart, of which the lower one is
 * meant to be enough. Comparing neighbouring windows gives the elasticity of the latency: 0 while
 * more concurrency is served at the same time, 1 when it only queues (by Little's law the throughput
 * then stays the same). Differences between neighbours are blind to slow drift, which is what
 * misleads a baseline: a service that became slower by itself shows an elasticity of 0, and the
 * baseline follows it; one that is overloaded shows 1, and the baseline stays.
 *
 * Nothing is refused in order to measure: the lower value is the working point, the higher one is
 * tried. A limit that is not in force (fewer calls in flight) is left alone.
 */
export class Climbing {
  readonly #options: ClimbingOptions
  #base: number
  #trying = false
  /** The limit of the window before. */
  #last = Infinity
  /** Latency without a queue, and whether it was seen while there was room. */
  #quick = 0
  #sure = false
  /** Calls per millisecond, following a rise quickly and a fall slowly. */
  #throughput = 0
  /** The limit before calls were turned away: up to nine tenths of it, it doubles. 0 when there is none. */
  #known = 0
  // Sums over pairs of windows: their quotient is the elasticity.
  #product = 0
  #square = 0
  #before: { readonly inFlight: number; readonly rtt: number } | undefined = undefined
  // The window.
  #since: number | undefined = undefined
  #samples = 0
  #rtt = 0
  #inFlight = 0
  #dropped = 0
  #ended = 0

  constructor(options: ClimbingOptions) {
    this.#options = options
    this.#base = options.initial
  }

  /** How much may run at once. */
  get limit(): number {
    const { max, min } = this.#options
    const lower = Math.floor(this.#base)
    return Math.min(max, Math.max(min, this.#trying ? lower + this.#step : lower))
  }

  /** Of the limit, what was in force in the window before too, so that its latency is known. */
  get sure(): number {
    return Math.min(this.limit, this.#last)
  }

  /** Latency without a queue, in milliseconds; 0 while unknown. */
  get baseline(): number {
    return this.#quick
  }

  /**
   * A call has ended. `inFlight` is how many ran when it began, itself included; `dropped` says that
   * it was turned away, so that its latency means nothing.
   */
  onSample(now: number, rttMs: number, inFlight: number, dropped: boolean): void {
    const began = now - rttMs
    this.#since ??= began
    this.#ended++
    if (dropped) this.#dropped++
    // What began under the limit before says nothing about this one.
    else if (began >= this.#since) {
      this.#samples++
      this.#rtt += rttMs
      this.#inFlight += inFlight
    }
    const elapsed = now - this.#since
    const enough = Math.min(maxSamples, Math.max(minSamples, 3 * this.limit))
    const full = this.#samples >= enough || this.#dropped >= minSamples
    if (elapsed >= maxWindowMs || full && elapsed >= minWindowMs) this.#close(now)
  }

  get #step(): number {
    return Math.max(1, Math.round(this.#base * step))
  }

  #close(now: number): void {
    const samples = this.#samples
    const lost = this.#dropped / this.#ended
    const rtt = this.#rtt / samples
    const inFlight = this.#inFlight / samples
    this.#since = now
    this.#last = this.limit
    this.#samples =
      this.#rtt =
      this.#inFlight =
      this.#dropped =
      this.#ended =
        0
    if (lost > tolerable) {
      this.#trying = false
      this.#before = undefined
      this.#known = Math.max(this.#known, this.#base)
      this.#set(this.#base * backoff)
    } else if (samples > 0 && rtt > 0) this.#judge(rtt, inFlight)
  }

  #judge(rtt: number, inFlight: number): void {
    const limit = this.limit
    const inForce = inFlight >= 0.9 * limit
    const before = this.#before
    this.#before = inForce ? { inFlight, rtt } : undefined
    if (inForce && before !== undefined) {
      const slower = Math.log(rtt / before.rtt)
      if (Math.abs(slower) > jump) {
        this.#product = this.#square = 0
        this.#throughput = inFlight / rtt
      } else {
        const more = Math.log(inFlight / before.inFlight)
        const square = more * more
        this.#product = memory * this.#product +
          Math.max(-square, Math.min(2 * square, more * slower))
        this.#square = memory * this.#square + square
      }
    }
    const known = this.#square > 2 * step * step
    const elasticity = known ? this.#product / this.#square : 0.5
    const room = elasticity < free
    const queues = elasticity > saturated
    if (known && room) this.#sure = true
    this.#follow(rtt, inFlight, inForce, room, queues)
    if (!inForce) {
      this.#trying = false
      return
    }
    // Not all of it: that may have been why calls were turned away.
    const goal = backoff * this.#known
    if (this.#base < goal && !queues) {
      this.#set(Math.min(2 * this.#base, goal))
      return
    }
    this.#known = 0
    const tried = this.#trying
    this.#trying = !tried
    const unit = Math.max(1, Math.log10(this.#base))
    const queue = limit * (1 - this.#quick / rtt)
    if (queue > 6 * unit && !room) {
      this.#down(Math.max(1, Math.min(queue / 2, 0.3 * this.#base)))
    } else if (tried) {
      const short = queue < 3 * unit
      if (queues && short) this.#down(this.#sure ? this.#step : 0.3 * this.#base)
      else if (room || !queues && short) this.#set(this.#base + this.#step)
    }
  }

  /** What is known without a limit's help: the quickest latency, and the throughput. */
  #follow(rtt: number, inFlight: number, inForce: boolean, room: boolean, queues: boolean): void {
    if (this.#quick === 0) this.#quick = rtt
    const weight = rtt < this.#quick || !inForce || room ? 0.3 : queues ? 0 : 0.02
    this.#quick += weight * (rtt - this.#quick)
    const throughput = inFlight / rtt
    if (inForce) {
      this.#throughput += (throughput > this.#throughput ? 0.2 : 0.03) *
        (throughput - this.#throughput)
    }
  }

  #down(by: number): void {
    const needed = this.#sure ? floor * this.#throughput * this.#quick : 0
    this.#set(Math.max(Math.min(this.#base, needed), this.#base - by))
  }

  #set(base: number): void {
    this.#base = Math.min(this.#options.max, Math.max(this.#options.min, base))
  }
}
