import type { Exit } from "effect"
import { Clock, Context, type Duration, Effect, Fiber, identity, Scope } from "effect"
import * as Refused from "../bounded/Refused.ts"
import { Mistake } from "../internal/mistake.ts"
import type { CancelScope } from "../task/scope.ts"
import { CurrentScope, frameOf } from "../task/scope.ts"
import { Metrics } from "../telemetry/Metrics.ts"
import * as Spans from "../telemetry/Spans.ts"
import type { Entry } from "./entry.ts"
import { toMillis, wrongLimit } from "./options.ts"
import { ReentrantAcquire } from "./reentrant.ts"
import { type Limits, Slots, type SlotsStats } from "./slots.ts"

/** What it takes of a bulkhead's options, which have been checked. */
interface Options extends Limits {
  readonly name: string
  readonly kind?: string | undefined
  readonly capacity: number
  readonly expected?: Duration.Input | undefined
  readonly shed?: boolean | undefined
  readonly lifo?: boolean | undefined
  readonly maxWait?: Duration.Input | undefined
  readonly onWait?: ((waitMs: number) => void) | undefined
}

type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

export const millis = (fiber: Fiber.Fiber<unknown, unknown>): number =>
  fiber.getRef(Clock.Clock).currentTimeMillisUnsafe()

/** A bulkhead: what fibers do with its slots. */
// Effect's Semaphore neither bounds its waiters nor hands a permit over, and knows no deadline.
export class Acquiring {
  readonly name: string
  readonly bounded: Slots
  readonly #maxWaitMs: number
  readonly #onWait: (waitMs: number) => void
  readonly #wake: (task: () => void) => void
  readonly #context: Context.Context<Scope.Scope>
  #watching = false

  constructor(options: Options, fiber: Fiber.Fiber<unknown, unknown>) {
    this.name = options.name
    this.#maxWaitMs = toMillis(options.maxWait ?? "30 seconds")
    const waits = fiber.getRef(Metrics).poolWait(options.name)
    const onWait = options.onWait
    this.#onWait = onWait === undefined ? (ms) => waits.observe(ms) : (ms) => {
      waits.observe(ms)
      onWait(ms)
    }
    this.bounded = new Slots({
      kind: options.kind ?? "bulkhead",
      name: options.name,
      capacity: options.capacity,
      queueCapacity: options.queueCapacity,
      margin: options.margin,
      risk: options.risk,
      shed: options.shed,
      lifo: options.lifo,
      expectedMs: options.expected === undefined ? undefined : toMillis(options.expected),
    })
    this.#context = fiber.context as Context.Context<Scope.Scope>
    // The slot is handed over at once, but the waiter starts in the next turn of the event loop:
    // where many are interrupted in one turn, none of them is started only to be interrupted.
    const dispatcher = fiber.cache.scheduler.makeDispatcher()
    this.#wake = (task) => dispatcher.scheduleTask(task, 0)
  }

  readonly use = <A, E, R>(
    effect: Effect.Effect<A, E, R>,
  ): Effect.Effect<A, E | Refused.Refused, R> =>
    // Uninterruptible from here to the release: between taking the slot and running the effect the
    // fiber may yield and be interrupted, and nobody would give the slot back.
    Effect.uninterruptibleMask((restore) => {
      const fiber = Fiber.getCurrent()!
      const scope = frameOf(fiber)
      if (scope.holding(this.bounded)) return this.#reentrant()
      const entered = this.#enter(fiber, scope)
      if (entered._tag === "Refusal") return Effect.fail(Refused.fromRefusal(entered))
      if (entered.state === "running" && !Spans.isTracing(fiber)) {
        return this.#run(restore(effect), entered, fiber, scope)
      }
      return Effect.flatMap(
        this.#slot(entered, fiber, scope, restore),
        () => this.#run(restore(effect), entered, fiber, scope),
      )
    })

  readonly acquire: Effect.Effect<void, Refused.Refused, Scope.Scope> = Effect.uninterruptibleMask(
    (restore) => {
      const fiber = Fiber.getCurrent()!
      const scope = frameOf(fiber)
      if (scope.holding(this.bounded)) return this.#reentrant()
      const entered = this.#enter(fiber, scope)
      if (entered._tag === "Refusal") return Effect.fail(Refused.fromRefusal(entered))
      const hold = Effect.suspend(() => this.#hold(entered, fiber, scope))
      return entered.state === "running" && !Spans.isTracing(fiber)
        ? hold
        : Effect.flatMap(this.#slot(entered, fiber, scope, restore), () => hold)
    },
  )

  #hold(entry: Entry, fiber: Fiber.Fiber<unknown, unknown>, scope: CancelScope) {
    const held = scope.withHold(this.bounded)
    fiber.setContext(Context.add(fiber.context, CurrentScope, held))
    return Scope.addFinalizerExit(
      Context.getUnsafe(fiber.context as Context.Context<Scope.Scope>, Scope.Scope),
      (exit) =>
        Effect.withFiber((closer) => {
          held.holds = undefined
          if (fiber.getRef(CurrentScope) === held) {
            fiber.setContext(Context.add(fiber.context, CurrentScope, scope))
          }
          this.#leave(entry, closer, exit)
          return Effect.void
        }),
    )
  }

  readonly stats: Effect.Effect<SlotsStats> = Effect.withFiber((fiber) =>
    Effect.succeed(this.bounded.stats(millis(fiber)))
  )

  readonly update = (limits: Limits): Effect.Effect<void> =>
    Effect.withFiber((fiber) => {
      const { kind } = this.bounded
      const invalid = wrongLimit(`Cannot change the ${kind} "${this.name}"`, limits)
      if (invalid !== undefined) return Effect.die(new Mistake(invalid))
      this.bounded.update(limits, millis(fiber))
      return Effect.void
    })

  #enter(fiber: Fiber.Fiber<unknown, unknown>, scope: CancelScope): Entry | Refused.Refusal {
    const ticket = scope.ticketFor(this.bounded)
    const entered = this.bounded.enter(
      millis(fiber),
      scope.deadline,
      ticket,
      scope.rank,
      scope.tenant,
    )
    if (entered._tag === "Entry" && entered.state === "running") this.#onWait(0)
    return entered
  }

  /** Waits if need be; with a tracer as a span, one of no length when there was a slot at once. */
  #slot(
    entry: Entry,
    fiber: Fiber.Fiber<unknown, unknown>,
    scope: CancelScope,
    restore: Restore,
  ): Effect.Effect<void, Refused.Refused> {
    if (!Spans.isTracing(fiber)) return this.#wait(entry, fiber, scope, restore)
    return Spans.withSpan("ResourcePool.wait", {
      attributes: () => ({ [Spans.attributes.pool]: this.name }),
      cancelReason: () => scope.effectiveReason(),
    })(
      entry.state === "running" ? Effect.void : Effect.tapError(
        this.#wait(entry, fiber, scope, restore),
        ({ reason }) => Effect.annotateCurrentSpan(Spans.attributes.refusedReason, reason),
      ),
    )
  }

  #wait(
    entry: Entry,
    fiber: Fiber.Fiber<unknown, unknown>,
    scope: CancelScope,
    restore: Restore,
  ): Effect.Effect<void, Refused.Refused> {
    const task = scope.task
    if (task !== undefined) task.waitingOn = this.name
    let wait = Effect.callback<void>((resume) => {
      if (entry.state !== "waiting") return resume(Effect.void)
      entry.wake = () => this.#wake(() => resume(Effect.void))
    })
    // The owner of an earlier deadline interrupts this fiber: no second timer. But a finalizer cannot
    // be interrupted (`uninterruptibleMask` then has nothing to restore): its deadline is kept here.
    if (entry.since + this.#maxWaitMs < entry.deadline) {
      if (!this.#watching) wait = Effect.andThen(this.#startWatch, wait)
    } else if (restore === identity && entry.deadline < Infinity) {
      wait = Effect.timeoutOrElse(wait, {
        duration: entry.deadline - entry.since,
        orElse: () => Effect.sync(() => this.bounded.expire(entry, millis(fiber))),
      })
    }
    const since = entry.since
    return Effect.flatMap(
      Effect.onExitPrimitive(restore(wait), (exit) => {
        if (task !== undefined) {
          if (task.waitingOn === this.name) task.waitingOn = undefined
          task.waitedMs += Math.max(0, millis(fiber) - since)
        }
        // Still in line, or handed a slot after the interrupt: both end here.
        if (exit._tag === "Failure") this.bounded.abandon(entry, millis(fiber))
        return undefined
      }, true),
      () => {
        if (entry.refusal !== undefined) return Effect.fail(Refused.fromRefusal(entry.refusal))
        this.#onWait(entry.waited)
        return Effect.void
      },
    )
  }

  // Everybody has the same maxWait, so the oldest waiter is the next to reach it: one fiber watches
  // the whole line, where a timeout of its own would cost each waiter two.
  readonly #startWatch: Effect.Effect<void> = Effect.suspend(() => {
    this.#watching = true
    const watch = Effect.ensuring(this.#watch, Effect.sync(() => this.#watching = false))
    return Effect.asVoid(
      Effect.forkIn(
        Effect.setContext(watch, this.#context as Context.Context<never>),
        Context.get(this.#context, Scope.Scope),
        { startImmediately: true },
      ),
    )
  })

  readonly #watch: Effect.Effect<void> = Effect.withFiber((fiber) => {
    const oldest = this.bounded.oldest
    if (oldest === undefined) {
      this.#watching = false
      return Effect.void
    }
    const now = millis(fiber)
    const left = oldest.since + this.#maxWaitMs - now
    // In whole milliseconds: a fraction is rounded, and what wakes too early would do so for ever.
    if (left > 0) return Effect.andThen(Effect.sleep(Math.ceil(left)), this.#watch)
    this.bounded.expire(oldest, now)
    return this.#watch
  })

  #run<A, E, R>(
    effect: Effect.Effect<A, E, R>,
    entry: Entry,
    fiber: Fiber.Fiber<unknown, unknown>,
    scope: CancelScope,
  ): Effect.Effect<A, E, R> {
    // Set by hand: a combinator would push a second continuation.
    const context = fiber.context
    const held = scope.withHold(this.bounded)
    fiber.setContext(Context.add(context, CurrentScope, held))
    return Effect.onExitPrimitive(effect, (exit) => {
      fiber.setContext(context)
      // A fiber that was detached meanwhile keeps the frame, but holds nothing any more.
      held.holds = undefined
      this.#leave(entry, fiber, exit)
      return undefined
    }, true)
  }

  #leave(
    entry: Entry,
    fiber: Fiber.Fiber<unknown, unknown>,
    exit: Exit.Exit<unknown, unknown>,
  ): void {
    // A failure may be as quick as a refused connection, so it says nothing about work that
    // succeeds; like a cancel it only sets a lower bound.
    this.bounded.leave(entry, millis(fiber), exit._tag === "Success" ? "completed" : "cancelled")
  }

  #reentrant(): Effect.Effect<never> {
    return Effect.die(
      new ReentrantAcquire({ kind: this.bounded.kind, resource: this.bounded.name }),
    )
  }
}
