/**
 * A bulkhead: so many at once, a bounded line before it, and an honest "no" for the rest.
 *
 * @module
 */
import type { Exit } from "effect"
import { Clock, Context, type Duration, Effect, Fiber, identity, Scope } from "effect"
import type { Bounded } from "../bounded/Bounded.ts"
import * as Refused from "../bounded/Refused.ts"
import * as Saturation from "../bounded/Saturation.ts"
import { Mistake } from "../internal/mistake.ts"
import type { CancelScope } from "../task/scope.ts"
import { CurrentScope, frameOf } from "../task/scope.ts"
import { Metrics } from "../telemetry/Metrics.ts"
import * as Spans from "../telemetry/Spans.ts"
import type { Entry } from "./entry.ts"
import { problem, toMillis } from "./options.ts"
import { ReentrantAcquire } from "./reentrant.ts"
import type { SlotsStats } from "./slots.ts"
import { Slots } from "./slots.ts"

export { ReentrantAcquire }

/**
 * A bulkhead.
 *
 * @category models
 * @since 0.1.0
 */
export interface Bulkhead {
  /** Its name among the bounded things of the service. */
  readonly name: string
  /** The synchronous side: statistics, prediction, tickets. */
  readonly bounded: Bounded
  /**
   * Runs the effect in a slot, waiting for one if need be.
   *
   * **Details** – a free slot is taken without suspending. Otherwise the caller waits in line,
   * first in, first out, until its deadline (`Deadline`) or `maxWait`. A ticket of the caller's
   * request for this bulkhead is redeemed by its first acquire. The slot is held until the effect
   * and its finalizers have ended, even when its caller has been interrupted meanwhile. Completed
   * work teaches the bulkhead how long work takes; failed and cancelled work can only raise that.
   *
   * **Fails with** – `Refused`: `QueueFull`, `Infeasible`, `Late`, `Shed`, `Closed`. Dies with
   * {@link ReentrantAcquire} when the caller already runs in a slot of this bulkhead.
   *
   * **Interruption** – a waiter leaves the line in the same turn; running work is interrupted, and
   * the slot comes back after its finalizers.
   */
  readonly use: <A, E, R>(
    effect: Effect.Effect<A, E, R>,
  ) => Effect.Effect<A, E | Refused.Refused, R>
  /**
   * Takes a slot until the scope closes.
   *
   * **Details** – until then the work that follows in this fiber runs in the slot, with all that it
   * starts, so that another acquire of the same bulkhead dies at once, as in `use`. It is marked as
   * far as the scope was provided: in `Effect.scoped(…)` up to its end, but a scope that is provided
   * to `acquire` alone (`Scope.provide(acquire, scope)`) marks nothing, and a second acquire then
   * waits like any other. Prefer `use`, which has no such limit.
   *
   * **Fails with** – `Refused`, as `use` does. Dies with {@link ReentrantAcquire} likewise.
   *
   * **Interruption** – as for `use`.
   */
  readonly acquire: Effect.Effect<void, Refused.Refused, Scope.Scope>
  /** A picture of the bulkhead now. */
  readonly stats: Effect.Effect<Stats>
}

/**
 * The common statistics, and what a line before slots adds: open `tickets` (part of `waiting`),
 * work `started` so far, and the expected service time.
 *
 * @category models
 * @since 0.1.0
 */
export type Stats = SlotsStats

/**
 * Options of {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Unique among the bounded things of the service; policies name it under `uses`. */
  readonly name: string
  /** What it is called in statistics and refusals. Default `bulkhead`. */
  readonly kind?: string | undefined
  /** Slots: how much may run at once. An integer, at least 1. */
  readonly capacity: number
  /** Places in line. An integer, at least 0. Default `max(64, 16 * capacity)`. */
  readonly queueCapacity?: number | undefined
  /** Service time to assume before anything is known. Default: unknown. */
  readonly expected?: Duration.Input | undefined
  /** Reserve asked for at the door, relative to predicted wait plus work: 0.1 is 10 %. Default 0. */
  readonly margin?: number | undefined
  /**
   * Sheds work without a deadline from a standing queue (CoDel), once it has waited more than twice
   * as long as was predicted for it. Default false: such work said that it can wait, and has
   * `queueCapacity` and `maxWait` as bounds. Work with a deadline is never shed.
   */
  readonly shed?: boolean | undefined
  /** Longest wait in line, whatever the deadline. Default 30 seconds. */
  readonly maxWait?: Duration.Input | undefined
  /** Told each wait in milliseconds, 0 included, when a slot is taken. For metrics; must not throw. */
  readonly onWait?: ((waitMs: number) => void) | undefined
}

/**
 * Makes a bulkhead and registers it in `Saturation` until the scope closes.
 *
 * **Details** – when the scope closes, waiters are refused with `Closed` and running work keeps its
 * slot until it ends.
 *
 * **Fails with** – nothing; dies with one sentence when an option is invalid or the name is taken.
 *
 * **Interruption** – does not wait.
 *
 * @example At most two at once
 * ```ts
 * import { Effect } from "effect"
 * import { Bulkhead } from "@weir/runtime"
 * import { deepStrictEqual } from "node:assert/strict"
 *
 * const program = Effect.gen(function* () {
 *   const mail = yield* Bulkhead.make({ name: "mail", capacity: 2 })
 *   return yield* Effect.all([1, 2, 3].map((n) => mail.use(Effect.succeed(n))), {
 *     concurrency: "unbounded",
 *   })
 * })
 *
 * deepStrictEqual(await Effect.runPromise(Effect.scoped(program)), [1, 2, 3])
 * ```
 *
 * @example As a layer: handlers ask for the service, policies name it under `uses: ["mail"]`
 * ```ts
 * import { Context, Effect, Layer } from "effect"
 * import { Bulkhead } from "@weir/runtime"
 * import { strictEqual } from "node:assert/strict"
 *
 * class Mail extends Context.Service<Mail, Bulkhead.Bulkhead>()("shop/Mail") {
 *   static readonly layer = Layer.effect(Mail, Bulkhead.make({ name: "mail", capacity: 2 }))
 * }
 * const send = Effect.flatMap(Mail, (mail) => mail.use(Effect.succeed("sent")))
 *
 * strictEqual(await Effect.runPromise(Effect.provide(send, Mail.layer)), "sent")
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): Effect.Effect<Bulkhead, never, Scope.Scope> =>
  Effect.withFiber((fiber) => {
    const invalid = problem(options)
    if (invalid !== undefined) return Effect.die(new Mistake(invalid))
    const self = new Impl(options, fiber)
    return Effect.as(
      Effect.andThen(
        Saturation.register(self.bounded),
        Effect.addFinalizer(() =>
          Effect.withFiber((fiber) => {
            self.bounded.close(millis(fiber))
            return Effect.void
          })
        ),
      ),
      self,
    )
  })

type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

const millis = (fiber: Fiber.Fiber<unknown, unknown>): number =>
  fiber.getRef(Clock.Clock).currentTimeMillisUnsafe()

// Effect's Semaphore neither bounds its waiters nor hands a permit over, and knows no deadline.
class Impl implements Bulkhead {
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
      shed: options.shed,
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

  readonly stats: Effect.Effect<Stats> = Effect.withFiber((fiber) =>
    Effect.succeed(this.bounded.stats(millis(fiber)))
  )

  #enter(fiber: Fiber.Fiber<unknown, unknown>, scope: CancelScope): Entry | Refused.Refusal {
    const ticket = scope.ticketFor(this.bounded)
    const entered = this.bounded.enter(millis(fiber), scope.deadline, ticket)
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
    if (left > 0) return Effect.andThen(Effect.sleep(left), this.#watch)
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
