import { CancelReason, TaskTree } from "@weir/runtime"
import { Clock, Context, Duration, Effect, type Fiber, Logger, Metric, Scheduler } from "effect"
import * as Saturation from "../../../src/bounded/Saturation.ts"
import { timersOf } from "../../../src/task/timers.ts"

interface Sleep {
  readonly at: number
  readonly order: number
  readonly wake: () => void
}

/** More turns than any program needs in one instant: something goes round in circles. */
const tooMany = 50_000

/**
 * A process of its own, in virtual time, whose turns the test takes itself: so "no fiber can run" is
 * a fact and not a guess, and thousands of programs take seconds. Like a TestClock and its
 * scheduler, but synchronous; it also counts fibers and keeps the log.
 */
export class World {
  now = 0
  /** Fibers that have started and not ended. */
  live = 0
  readonly log: Array<string> = []
  readonly tree: TaskTree.TaskTree = TaskTree.makeUnsafe()
  readonly clock: Clock.Clock
  readonly context: Context.Context<never>
  private ready: Array<() => void> = []
  private sleeps: Array<Sleep> = []
  private order = 0
  private readonly firm = new WeakMap<object, number>()

  private readonly together: boolean

  /**
   * With `yields`, a fiber gives way between any two steps with that probability. With `together`,
   * all timers that are due at one instant fire before anything else runs, as those of a busy process
   * do.
   */
  constructor(draw: () => number, yields = 0, together = false) {
    this.together = together
    const mixed = new Scheduler.MixedScheduler("async", (task) => {
      const job = { task: task as (() => void) | undefined }
      this.ready.push(() => job.task?.())
      return () => {
        job.task = undefined
      }
    })
    const scheduler: Scheduler.Scheduler = {
      executionMode: "async",
      shouldYield: (fiber) => {
        const steps = this.firm.get(fiber) ?? 0
        if (steps > 0) {
          this.firm.set(fiber, steps - 1)
          return false
        }
        // Whatever resumes gets a few steps in which nothing comes between: to write down what it saw.
        if (yields > 0 && fiber.currentOpCount > 8) return draw() < yields
        return mixed.shouldYield(fiber)
      },
      makeDispatcher: () => mixed.makeDispatcher(),
    }
    const nanos = () => BigInt(this.now) * 1_000_000n
    this.clock = {
      currentTimeMillisUnsafe: () => this.now,
      currentTimeMillis: Effect.sync(() => this.now),
      currentTimeNanosUnsafe: nanos,
      currentTimeNanos: Effect.sync(nanos),
      monotonicTimeNanosUnsafe: nanos,
      monotonicTimeNanos: Effect.sync(nanos),
      sleep: (duration) => this.sleep(Duration.toMillis(duration)),
    } as Clock.Clock
    const logger = Logger.make(({ cause, message }) => {
      this.log.push(`${String(message)} ${cause.reasons.map((reason) => reason._tag).join()}`)
    })
    let context = Context.make(Clock.Clock, this.clock) as Context.Context<never>
    context = Context.add(context, Scheduler.Scheduler, scheduler)
    context = Context.add(context, TaskTree.TaskTree, this.tree)
    context = Context.add(context, Saturation.Saturation, Saturation.makeUnsafe())
    context = Context.add(context, Logger.CurrentLoggers, new Set([logger]))
    this.context = Context.add(context, Metric.FiberRuntimeMetrics, {
      recordFiberStart: () => {
        this.live++
      },
      recordFiberEnd: () => {
        this.live--
      },
    })
    // The timers of a clock take the scheduler of the fiber that first asks for them.
    this.run(Effect.sync(() => timersOf(this.clock)))
  }

  private sleep(ms: number): Effect.Effect<void> {
    if (ms <= 0) return Effect.yieldNow
    if (ms === Infinity) return Effect.never
    return Effect.callback<void>((resume) => {
      const entry: Sleep = {
        at: this.now + ms,
        order: this.order++,
        wake: () => resume(Effect.void),
      }
      let low = 0
      let high = this.sleeps.length
      while (low < high) {
        const middle = (low + high) >>> 1
        if (this.sleeps[middle]!.at > entry.at) low = middle + 1
        else high = middle
      }
      this.sleeps.splice(low, 0, entry)
      return Effect.sync(() => {
        const index = this.sleeps.indexOf(entry)
        if (index >= 0) this.sleeps.splice(index, 1)
      })
    })
  }

  /** The next steps of that fiber follow at once. */
  atomic(fiber: Fiber.Fiber<unknown, unknown>): void {
    this.firm.set(fiber, 12)
  }

  /** Starts a fiber on this stack. */
  run<A, E>(effect: Effect.Effect<A, E>, context = this.context): Fiber.Fiber<A, E> {
    return Effect.runForkWith(context)(effect)
  }

  /** Lets everything run that can run at this instant. */
  settle(): void {
    let turns = 0
    while (this.ready.length > 0) {
      const ready = this.ready
      this.ready = []
      for (const turn of ready) turn()
      if ((turns += ready.length) > tooMany) throw new Error(`Endless turns at ${this.now} ms.`)
    }
  }

  /** Moves the clock, and lets everything run on the way; calls back whenever nothing can run. */
  advance(ms: number, quiescent: () => void = () => {}): void {
    const until = this.now + ms
    this.settle()
    quiescent()
    let next = this.sleeps.at(-1)
    while (next !== undefined && next.at <= until) {
      this.sleeps.pop()
      this.now = next.at
      next.wake()
      if (this.together && this.sleeps.at(-1)?.at === this.now) {
        next = this.sleeps.at(-1)
        continue
      }
      this.settle()
      quiescent()
      next = this.sleeps.at(-1)
    }
    this.now = until
  }

  /** What is left: nothing of it may be there at the end. */
  leftovers(): Record<string, unknown> {
    return {
      fibers: this.live,
      turns: this.ready.length,
      sleeps: this.sleeps.length,
      timers: timersOf(this.clock).size,
      tasks: Array.from(this.tree.unsafe.live, (record) => `${record.name} ${record.state}`),
    }
  }

  /** Cancels one of the live tasks. */
  kill(nth: number): string | undefined {
    const live = Array.from(this.tree.unsafe.live)
    const record = live[nth % Math.max(1, live.length)]
    record?.cancel(CancelReason.Requested("test"))
    return record?.name
  }
}

export const nothing: Record<string, unknown> = {
  fibers: 0,
  turns: 0,
  sleeps: 0,
  timers: 0,
  tasks: [],
}
