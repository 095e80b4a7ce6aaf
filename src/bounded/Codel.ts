/**
 * Controlled delay: recognizes a queue that stands instead of draining.
 *
 * @see Nichols and Jacobson, "Controlling Queue Delay" (2012); the request variant is folly's Codel
 * @module
 */

/**
 * State of one queue. Synchronous, and allocates nothing after it was made.
 *
 * @category models
 * @since 0.1.0
 */
export interface Codel {
  /** True when even the shortest wait of the last interval was above the target. */
  readonly overloaded: boolean
  /** Reports a wait at dequeue; true when this one is to be shed. All in milliseconds. */
  readonly dequeued: (now: number, wait: number, service: number, capacity: number) => boolean
  /** Reports that the queue was empty at some point of the interval: it drains. */
  readonly drained: () => void
}

/**
 * Acceptable standing wait: `max(5 ms, service / capacity)`, the time between two departures. The
 * classic 5 ms alone would shed healthy bursts of slow work.
 *
 * @category accessors
 * @since 0.1.0
 */
export const target = (service: number, capacity: number): number => Math.max(5, service / capacity)

/**
 * Time over which the shortest wait is taken: `max(100 ms, 2 * service)`.
 *
 * @category accessors
 * @since 0.1.0
 */
export const interval = (service: number): number => Math.max(100, 2 * service)

/**
 * Makes the state of one queue.
 *
 * **Details** – at the end of each interval the queue counts as overloaded if the shortest wait
 * seen in it was above {@link target}. While overloaded, whoever waited longer than twice the
 * target is shed. There is no drop schedule: services do better by refusing over a slough time.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (): Codel => new State()

class State implements Codel {
  overloaded = false
  #shortest = 0
  #end = -Infinity

  dequeued(now: number, wait: number, service: number, capacity: number): boolean {
    const accepted = target(service, capacity)
    if (now >= this.#end) {
      this.overloaded = this.#shortest > accepted
      this.#shortest = wait
      this.#end = now + interval(service)
    } else if (wait < this.#shortest) {
      this.#shortest = wait
    }
    return this.overloaded && wait > 2 * accepted
  }

  drained(): void {
    this.#shortest = 0
  }
}
