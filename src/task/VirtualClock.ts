/**
 * Time that jumps: where everything sleeps, the clock goes on to the instant at which the first
 * sleeper wakes. An hour takes no time, and every run has the same times.
 *
 * **Details** – for programs that show or compute something, and for tests that do not want to say
 * how far the clock goes. Effect's `TestClock` stands still until it is told how far; here nobody
 * has to. Not for a program that talks to a socket, a file or a process: see `layer`.
 *
 * @module
 */
import { Clock, Context, Duration, Effect, Layer, Scheduler } from "effect"

/**
 * Puts a virtual clock, which begins at 0, under everything that the layer is provided to.
 *
 * **Details** – wakes one sleeper at a time, the earliest, and of those of one instant the one that
 * slept first; the next only when what this one set off has come to rest: all fibers asleep or
 * waiting, all promises settled that need no help from outside. Deadlines, schedules and timeouts
 * follow it like sleeps. Bounded by the number of fibers that sleep.
 *
 * **Gotchas** – it does not see the outside: while a program waits for a socket or a timer of the
 * platform, time jumps on, and deadlines pass at once. A program in which all wait for ever waits for
 * ever, as with any clock.
 *
 * @example An hour in no time
 * ```ts
 * import { Clock, Effect } from "effect"
 * import { VirtualClock } from "@weir/runtime"
 * import { strictEqual } from "node:assert/strict"
 *
 * const program = Effect.andThen(Effect.sleep("1 hour"), Clock.currentTimeMillis)
 * strictEqual(await Effect.runPromise(Effect.provide(program, VirtualClock.layer)), 3_600_000)
 * ```
 *
 * @see `tokio::time::pause` of Rust and the `MockClock` of Trio, which jump in the same way
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<never> = Layer.effectContext(
  Effect.withFiber((fiber) => {
    const outer = fiber.getRef(Scheduler.Scheduler)
    const time = new VirtualTime(outer)
    const context: Context.Context<never> = Context.make(Clock.Clock, time)
    return Effect.succeed(Context.add(context, Scheduler.Scheduler, time.scheduler))
  }),
)

interface Sleeper {
  readonly at: number
  readonly wake: () => void
}

const nanosPerMilli = BigInt(1_000_000)

class VirtualTime implements Clock.Clock {
  /** The scheduler around, which counts what it has been given and not yet run. */
  readonly scheduler: Scheduler.Scheduler
  private now = 0
  /** The earliest first. */
  private readonly sleepers: Array<Sleeper> = []
  private scheduled = 0
  private looking = false
  /** Not counted: its turn comes after all promises that are settled by now. */
  private readonly later: Scheduler.SchedulerDispatcher

  constructor(outer: Scheduler.Scheduler) {
    this.later = outer.makeDispatcher()
    this.scheduler = {
      executionMode: outer.executionMode,
      shouldYield: (fiber) => outer.shouldYield(fiber),
      makeDispatcher: () => {
        const dispatcher = outer.makeDispatcher()
        return {
          scheduleTask: (task, priority) => {
            this.scheduled++
            dispatcher.scheduleTask(() => {
              this.scheduled--
              task()
            }, priority)
          },
          flush: () => dispatcher.flush(),
        }
      },
    }
  }

  currentTimeMillisUnsafe(): number {
    return this.now
  }

  currentTimeNanosUnsafe(): bigint {
    return BigInt(Math.round(this.now * 1000)) * nanosPerMilli / BigInt(1000)
  }

  monotonicTimeNanosUnsafe(): bigint {
    return this.currentTimeNanosUnsafe()
  }

  readonly currentTimeMillis: Effect.Effect<number> = Effect.sync(() => this.now)
  readonly currentTimeNanos: Effect.Effect<bigint> = Effect.sync(() =>
    this.currentTimeNanosUnsafe()
  )
  readonly monotonicTimeNanos: Effect.Effect<bigint> = this.currentTimeNanos

  sleep(duration: Duration.Duration): Effect.Effect<void> {
    const millis = Duration.toMillis(duration)
    if (millis <= 0) return Effect.yieldNow
    if (millis === Infinity) return Effect.never
    return Effect.callback<void>((resume) => {
      const sleeper = { at: this.now + millis, wake: () => resume(Effect.void) }
      const later = this.sleepers.findIndex(({ at }) => at > sleeper.at)
      this.sleepers.splice(later < 0 ? this.sleepers.length : later, 0, sleeper)
      this.look()
      return Effect.sync(() => {
        const index = this.sleepers.indexOf(sleeper)
        if (index >= 0) this.sleepers.splice(index, 1)
      })
    })
  }

  /** Looks in a later turn whether all is at rest. */
  private look(): void {
    if (this.looking) return
    this.looking = true
    this.later.scheduleTask(() => {
      this.looking = false
      if (this.sleepers.length === 0) return
      if (this.scheduled === 0) {
        const first = this.sleepers.shift()!
        this.now = first.at
        first.wake()
      }
      this.look()
    }, 0)
  }
}
