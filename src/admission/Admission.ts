/**
 * May this work enter? A place in every bounded thing that it will need, all or none, at the door.
 *
 * **Details** – *bounded by* `maxConcurrent`; *owned by* the service; *seen in* `/saturation` as
 * `admission`. The service's own endpoints (health, metrics, tasks) do not come here.
 *
 * @module
 */
import { Context, Effect, Layer } from "effect"
import type * as Bounded from "../bounded/Bounded.ts"
import type { Refusal } from "../bounded/Refused.ts"
import { register } from "../bounded/Saturation.ts"
import { Entrance } from "./entrance.ts"
import type { Guard } from "./guard.ts"
import * as LoopLag from "./LoopLag.ts"
import * as MemoryGuard from "./MemoryGuard.ts"
import type { Limits, Modes, Quotas, Request } from "./models.ts"

export type { Limits, Mode, Modes, Quotas, Request } from "./models.ts"

/**
 * The door of a service. Synchronous.
 *
 * @category models
 * @since 0.1.0
 */
export interface Admission {
  /**
   * Admits work that will use those bounded things: a ticket in each, all or none.
   *
   * **Details** – the cheapest question first: `ShuttingDown` once closed; `Overloaded` by class while
   * memory is short or the event loop late; `QueueFull` above `maxConcurrent`; what {@link Quotas}
   * say; otherwise the first refusal of a bounded thing. Every success must be paired with one
   * {@link Admission.leave}.
   */
  readonly enter: (
    uses: ReadonlyArray<Bounded.Bounded>,
    request: Request,
  ) => ReadonlyArray<Bounded.Ticket> | Refusal
  /** Gives back what {@link Admission.enter} took; tickets that were redeemed stay redeemed. */
  readonly leave: (tickets: ReadonlyArray<Bounded.Ticket>) => void
  /** Refuses everything from now on with `ShuttingDown`; what is inside may finish. */
  readonly close: () => void
  /** Work inside. */
  readonly inUse: number
  /** The limits in force. */
  readonly limits: { readonly maxConcurrent: number; readonly modes: Modes }
  /**
   * Changes limits; those that are left out stay, and nobody who is inside has to go. Throws one
   * sentence for what makes no sense, and then changes nothing.
   */
  readonly update: (limits: Limits) => void
}

/**
 * Options of {@link layer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** What each layer does. Default all `on`. */
  readonly modes?: Partial<Modes> | undefined
  /** When the event loop counts as late; for {@link layerGuarded}. */
  readonly loopLag?: LoopLag.Options | undefined
  /** When memory counts as short; for {@link layerGuarded}. */
  readonly memory?: MemoryGuard.Options | undefined
  /** Requests inside at once, whatever they use. A whole number above zero. Default 4096. */
  readonly maxConcurrent?: number
  /** Limits on single callers. Default none. */
  readonly quota?: Quotas | undefined
}

/**
 * The admission in force.
 *
 * @category services
 * @since 0.1.0
 */
export const Admission: Context.Service<Admission, Admission> = Context.Service<Admission>(
  "weir/admission/Admission",
)

/**
 * Builds the door and registers it as the bounded thing `admission`.
 *
 * **Details** – looks at memory and at the event loop if `MemoryGuard` and `LoopLag` are there.
 *
 * **Fails with** – nothing; dies with one sentence when an option makes no sense.
 *
 * **Interruption** – does not wait.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options = {}): Layer.Layer<Admission> =>
  Layer.effect(
    Admission,
    Effect.withFiber((fiber) => {
      const context = fiber.context as Context.Context<never>
      const door = new Entrance(
        { maxConcurrent: options.maxConcurrent ?? 4096, modes: options.modes },
        options.quota,
        Context.getOrUndefined(context, MemoryGuard.MemoryGuard) as Guard | undefined,
        Context.getOrUndefined(context, LoopLag.LoopLag) as Guard | undefined,
      )
      return Effect.as(register(door.places), door)
    }),
  )

/**
 * The door together with `MemoryGuard` and `LoopLag`: what a service has.
 *
 * **Fails with** – nothing; dies with one sentence when an option makes no sense.
 *
 * **Interruption** – does not wait. The probe of the event loop ends with the scope.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerGuarded = (options: Options = {}): Layer.Layer<Admission> =>
  Layer.provide(
    layer(options),
    Layer.merge(LoopLag.layer(options.loopLag), MemoryGuard.layer(options.memory)),
  )

/**
 * Changes limits of the admission in force; see {@link Admission.update}.
 *
 * **Fails with** – nothing; dies with one sentence for what makes no sense.
 *
 * **Interruption** – does not wait.
 *
 * @example Half as many, and the event loop only watched
 * ```ts
 * import { Effect } from "effect"
 * import { Admission } from "@weir/runtime"
 * import { deepStrictEqual } from "node:assert/strict"
 *
 * const program = Effect.gen(function* () {
 *   yield* Admission.update({ maxConcurrent: 2048, modes: { loopLag: "dark" } })
 *   return yield* Admission.limits
 * })
 *
 * const limits = await Effect.runPromise(program.pipe(Effect.provide(Admission.layer())))
 * deepStrictEqual([limits.maxConcurrent, limits.modes.loopLag], [2048, "dark"])
 * ```
 *
 * @category operations
 * @since 0.1.0
 */
export const update = (limits: Limits): Effect.Effect<void, never, Admission> =>
  Effect.map(Admission, (admission) => admission.update(limits))

/**
 * The limits of the admission in force.
 *
 * **Fails with** – nothing.
 *
 * **Interruption** – does not wait.
 *
 * @category accessors
 * @since 0.1.0
 */
export const limits: Effect.Effect<Admission["limits"], never, Admission> = Effect.map(
  Admission,
  (admission) => admission.limits,
)
