import { Clock, Context, Duration, Effect, Fiber, Scheduler } from "effect"
import { rooted } from "../internal/rooted.ts"
import { attempt } from "./turn.ts"

/** A callback that is due at an instant; `index` is -1 once it fired or was cancelled. */
export interface Timer {
  readonly at: number
  readonly order: number
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
  private readonly context: Context.Context<never>
  private readonly heap: Array<Timer> = []
  private sleeper: Fiber.Fiber<void> | undefined
  private wakeAt = Infinity
  private firing = false
  private order = 0
  /** Keeps its sleeper until the end of the turn; where time is virtual nothing may be left over. */
  private readonly lingers: Scheduler.SchedulerDispatcher | undefined
  private lingering = false

  constructor(clock: Clock.Clock) {
    this.clock = clock
    // A test clock comes with a scheduler that knows what its wakes set off.
    const scheduler = Fiber.getCurrent()?.getRef(Scheduler.Scheduler)
    const context = Context.make(Clock.Clock, clock) as Context.Context<never>
    this.context = scheduler === undefined
      ? context
      : Context.add(context, Scheduler.Scheduler, scheduler)
    this.lingers = clock === platform
      ? Context.get(this.context, Scheduler.Scheduler).makeDispatcher()
      : undefined
  }

  /** How many are armed. */
  get size(): number {
    return this.heap.length
  }

  /** Whether a fiber sleeps until the first one is due. */
  get asleep(): boolean {
    return this.sleeper !== undefined
  }

  /**
   * Calls `fire` once the clock has reached `at` (absolute milliseconds), never a nanosecond earlier;
   * of those due at one instant the first scheduled comes first. What a callback throws does not stop the others.
   */
  schedule(at: number, fire: () => void): Timer {
    const timer: Timer = { at, order: this.order++, fire, index: this.heap.length }
    this.heap.push(timer)
    this.up(timer.index)
    if (at < this.wakeAt && !this.firing) this.arm()
    return timer
  }

  /** Forgets a timer; one that fired already is left alone. */
  cancel(timer: Timer): void {
    if (timer.index < 0) return
    this.remove(timer)
    // An idle program must be able to end: no timer is left behind.
    if (this.heap.length > 0) return
    if (this.lingers === undefined) this.disarm()
    else this.linger(this.lingers)
  }

  /**
   * To arm costs a fiber, a platform timer and an interrupt, more than the rest of a short task. Most
   * of those whose deadline is the only one are followed by another in the same turn.
   */
  private linger(dispatcher: Scheduler.SchedulerDispatcher): void {
    if (this.lingering) return
    this.lingering = true
    dispatcher.scheduleTask(() => {
      this.lingering = false
      if (this.heap.length === 0) this.disarm()
    }, 0)
  }

  private arm(): void {
    this.disarm()
    const first = this.heap[0]
    if (first === undefined) return
    this.wakeAt = first.at
    const left = Math.max(0, first.at - this.clock.currentTimeMillisUnsafe())
    // A fraction is rounded to nanoseconds: one more, or it may wake too early, again and again.
    const delay = Number.isInteger(left) ? left : left + 1e-6
    const sleeper = rooted(() =>
      Effect.runForkWith(this.context)(this.clock.sleep(Duration.millis(delay)))
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
    this.firing = true
    let first = this.heap[0]
    // A sleep counts in nanoseconds: one to a fraction of them may end just before the instant. A
    // difference, because next to the milliseconds of today a nanosecond is rounded away.
    while (first !== undefined && first.at - now < nanosecond) {
      this.remove(first)
      attempt(first.fire)
      first = this.heap[0]
    }
    this.firing = false
    if (first !== undefined) this.arm()
  }

  private remove(timer: Timer): void {
    const index = timer.index
    timer.index = -1
    const last = this.heap.pop()!
    if (last === timer) return
    this.heap[index] = last
    last.index = index
    this.up(index)
    this.down(last.index)
  }

  private up(index: number): void {
    const heap = this.heap
    const timer = heap[index]!
    while (index > 0) {
      const above = (index - 1) >> 1
      const other = heap[above]!
      if (before(other, timer)) break
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
      if (below + 1 < heap.length && before(heap[below + 1]!, heap[below]!)) below++
      const other = heap[below]!
      if (before(timer, other)) break
      heap[index] = other
      other.index = index
      index = below
    }
    heap[index] = timer
    timer.index = index
  }
}

/** In milliseconds. */
const nanosecond = 1e-6

/** The clock of the platform: what the reference stands for where nobody has set it. */
const platform = Context.get(Context.empty(), Clock.Clock)

const before = (a: Timer, b: Timer): boolean => a.at < b.at || (a.at === b.at && a.order < b.order)

const byClock = new WeakMap<Clock.Clock, Timers>()

/** The timers of that clock; virtual clocks get their own. */
export const timersOf = (clock: Clock.Clock): Timers => {
  let timers = byClock.get(clock)
  if (timers === undefined) byClock.set(clock, timers = new Timers(clock))
  return timers
}
