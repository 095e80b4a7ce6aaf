/**
 * A bulkhead: so many at once, a bounded line before it, and an honest "no" for the rest.
 *
 * @module
 */
import { type Duration, Effect, type Scope } from "effect"
import type { Bounded } from "../bounded/Bounded.ts"
import type * as Refused from "../bounded/Refused.ts"
import * as Saturation from "../bounded/Saturation.ts"
import { Mistake } from "../internal/mistake.ts"
import { Acquiring, millis } from "./acquiring.ts"
import { problem } from "./options.ts"
import { ReentrantAcquire } from "./reentrant.ts"
import type { SlotsStats } from "./slots.ts"

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
   * **Details** – a free slot is taken without suspending. Otherwise the caller waits in line until
   * its deadline (`Deadline`) or `maxWait`: first in, first out, as long as all who wait are of one
   * class and one tenant; else classes below their share come first, then the more critical ones,
   * and tenants of a class take turns. Class and tenant are those of the caller's request. A ticket of the caller's
   * request for this bulkhead is redeemed by its first acquire. The slot is held until the effect
   * and its finalizers have ended, even when its caller has been interrupted meanwhile. Completed
   * work teaches the bulkhead how long work takes; failed and cancelled work can only raise that.
   *
   * **Fails with** – `Refused`: `QueueFull`, `Infeasible`, `Late`, `Shed`, `Displaced`, `Closed`. Dies with
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
  /**
   * Changes limits; those that are left out stay.
   *
   * **Details** – more slots are handed to waiters before this returns. Fewer slots, or a shorter
   * line, cut nobody short who was let in: they hold for newcomers.
   *
   * **Fails with** – nothing; dies with one sentence when a limit makes no sense.
   *
   * **Interruption** – does not wait.
   */
  readonly update: (limits: Limits) => Effect.Effect<void>
}

/**
 * The limits that can be changed while work goes on; see {@link Options}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Limits {
  /** Slots. An integer, at least 1. */
  readonly capacity?: number | undefined
  /** Places in line. An integer, at least 0. */
  readonly queueCapacity?: number | undefined
  /** Fixed reserve asked for at the door. A number of at least 0. */
  readonly margin?: number | undefined
  /** Chance of being late above which work is refused. Above 0, up to 0.5. */
  readonly risk?: number | undefined
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
  /** Fixed reserve asked for at the door, relative to predicted wait plus work: 0.1 is 10 %. Default 0. */
  readonly margin?: number | undefined
  /**
   * Chance of being late above which work that has to wait is refused at the door: above 0, up to 0.5.
   * Default 0.001. The reserve follows the measured service times, and is none while they are all
   * equal. With 0.5 there is none either, and the line is filled up to the last request that can just
   * make it. Work that need not wait, or is the first in line, is never refused for this: its slot would be
   * idle until somebody else comes. And none is refused for less than twice the risk that
   * it would have without a wait.
   */
  readonly risk?: number | undefined
  /**
   * Sheds work without a deadline from a standing queue (CoDel), once it has waited more than twice
   * as long as was predicted for it. Default false: such work said that it can wait, and has
   * `queueCapacity` and `maxWait` as bounds. Work with a deadline is never shed.
   */
  readonly shed?: boolean | undefined
  /**
   * Serves the newest first, while the queue stands (CoDel), of those at its head that have waited
   * more than twice as long as was predicted for them (adaptive LIFO). Default false: whose prediction
   * holds is never overtaken in either case, and where deadlines are known it changes little.
   */
  readonly lifo?: boolean | undefined
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
    const self = new Acquiring(options, fiber)
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
