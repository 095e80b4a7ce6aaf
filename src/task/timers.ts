import { Clock, Context, Duration, Effect } from "effect"
import type { Fiber } from "effect"

/** A callback that is due at an instant; `index` is -1 once it fired or was cancelled. */
export interface Timer {
  readonly at: number
  readonly fire: () => void
  index: number
}

/**
 * The deadlines of one clock: a binary heap behind a single sleeping fiber, so that arming and
 * disarming a deadline costs no fiber and no platform timer of its own (`Effect.timeout` costs two
 * fibers and a timer). Bounded by the number of live tasks and deadline regions.
 */
export class Timers {
  readonly clock: Clock.Clock
  private readonly heap: Array<Timer> = []
  private sleeper: Fiber.Fiber<void> | undefined
  private wakeAt = Infinity

  constructor(clock: Clock.Clock) {
    this.clock = clock
  }

  /** Calls `fire` once the clock has reached `at` (absolute milliseconds), never earlier. */
  schedule(at: number, fire: () => void): Timer {
    const timer: Timer = { at, fire, index: this.heap.length }
    this.heap.push(timer)
    this.up(timer.index)
    if (at < this.wakeAt) this.arm()
    return timer
  }

  /** Forgets a timer; one that fired already is left alone. */
  cancel(timer: Timer): void {
    const index = timer.index
    if (index < 0) return
    timer.index = -1
    const last = this.heap.pop()!
    if (last !== timer) {
      this.heap[index] = last
      last.index = index
      this.up(index)
      this.down(last.index)
    }
    // An idle program must be able to end: no timer is left behind.
    if (this.heap.length === 0) this.disarm()
  }

  private arm(): void {
    this.disarm()
    const first = this.heap[0]
    if (first === undefined) return
    this.wakeAt = first.at
    const delay = Math.max(0, first.at - this.clock.currentTimeMillisUnsafe())
    const sleeper = Effect.runForkWith(Context.make(Clock.Clock, this.clock))(
      this.clock.sleep(Duration.millis(delay)),
    )
    this.sleeper = sleeper
    sleeper.addObserver(() => {
      if (this.sleeper !== sleeper) return
      this.sleeper = undefined
      this.wakeAt = Infinity
      this.fireDue()
    })
  }

  private disarm(): void {
    const sleeper = this.sleeper
    this.sleeper = undefined
    this.wakeAt = Infinity
    if (sleeper !== undefined) sleeper.interruptUnsafe()
  }

  private fireDue(): void {
    const now = this.clock.currentTimeMillisUnsafe()
    let first = this.heap[0]
    while (first !== undefined && first.at <= now) {
      this.remove(first)
      first.fire()
      first = this.heap[0]
    }
    if (first !== undefined && this.sleeper === undefined) this.arm()
  }

  private remove(first: Timer): void {
    first.index = -1
    const last = this.heap.pop()!
    if (last === first) return
    this.heap[0] = last
    last.index = 0
    this.down(0)
  }

  private up(index: number): void {
    const heap = this.heap
    const timer = heap[index]!
    while (index > 0) {
      const above = (index - 1) >> 1
      const other = heap[above]!
      if (other.at <= timer.at) break
      heap[index] = other
      other.index = index
      index = above
    }
    heap[index] = timer
    timer.index = index
  }

  private down(index: number): void {
    const heap = this.heap
    const timer = heap[index]!
    while (true) {
      let below = 2 * index + 1
      if (below >= heap.length) break
      if (below + 1 < heap.length && heap[below + 1]!.at < heap[below]!.at) below++
      const other = heap[below]!
      if (timer.at <= other.at) break
      heap[index] = other
      other.index = index
      index = below
    }
    heap[index] = timer
    timer.index = index
  }
}

const byClock = new WeakMap<Clock.Clock, Timers>()

/** The timers of that clock; virtual clocks get their own. */
export const timersOf = (clock: Clock.Clock): Timers => {
  let timers = byClock.get(clock)
  if (timers === undefined) byClock.set(clock, timers = new Timers(clock))
  return timers
}
