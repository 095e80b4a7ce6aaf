/**
 * The actors of a service: where they are found, and who supervises them.
 *
 * @module
 */
import { Context, Duration, Effect, Layer, type Scope } from "effect"
import * as Saturation from "../bounded/Saturation.ts"
import * as Metrics from "../telemetry/Metrics.ts"
import type * as DeadLetters from "./DeadLetters.ts"
import * as Supervisor from "../task/Supervisor.ts"
import type { Account } from "./Mailbox.ts"
import { Office } from "./office.ts"
import { System } from "./system.ts"

/**
 * One kind of actors, as the system lists it.
 *
 * @category models
 * @since 0.1.0
 */
export interface KindInfo {
  /** Its name. */
  readonly name: string
  /** Actors in memory. */
  readonly residents: number
  /** Restarts so far. */
  readonly restarts: number
  /** The account of all its mailboxes together, those of actors that are gone included. */
  readonly account: Pick<Account, "sent" | "queued" | "running" | "ended">
}

/**
 * The actors of a service.
 *
 * @category models
 * @since 0.1.0
 */
export interface ActorSystem {
  /**
   * Every kind of actors, also those that are not there any more; children under their own name.
   *
   * **Details** – the counts never go back. Beyond the first 1,000 names, the rest is `other`.
   *
   * **Fails with** – nothing.
   *
   * **Interruption** – does not wait.
   */
  readonly kinds: Effect.Effect<ReadonlyArray<KindInfo>>
  /** What was accepted and not handled, and what was told in vain. */
  readonly deadLetters: DeadLetters.DeadLetters
  /** The synchronous side, for the library. */
  readonly unsafe: System
}

/**
 * The system in force.
 *
 * @category services
 * @since 0.1.0
 */
export const ActorSystem: Context.Service<ActorSystem, ActorSystem> = Context.Service<ActorSystem>(
  "weir/actor/ActorSystem",
)

/**
 * Options of {@link layer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /**
   * Time for all actors together to handle what they have been told when the service stops; each
   * has its own `grace` within it. Default 25 seconds.
   */
  readonly stop?: Duration.Input
  /** Bounds on the dead letters. */
  readonly deadLetters?: DeadLetters.Options
}

/**
 * Builds an empty system. `Service.layer` does it for every service.
 *
 * **Details** – a supervisor named `actors`, started with the first kind, has one child for each kind
 * (one-for-one, 3 restarts in 5 seconds). When one of them has used these up, all actors stop, and a service ends with exit code 1.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options = {}): Layer.Layer<ActorSystem> =>
  Layer.effect(
    ActorSystem,
    Effect.withFiber((fiber) => {
      const registry = fiber.getRef(Saturation.Saturation)
      const office = new Office(freeName(registry), options.deadLetters ?? {}, fiber)
      const system = new System(
        office.publish,
        Duration.toMillis(Duration.fromInputUnsafe(options.stop ?? "25 seconds")),
      )
      // That of the layer: the fiber that builds it goes on with others.
      const context = fiber.context as Context.Context<Scope.Scope>
      const supervisor = Effect.orDie(Supervisor.make({ name: "actors" })).pipe(
        Effect.uninterruptible,
        Effect.updateContext((_: Context.Context<never>) => context),
      )
      return Effect.as(
        Effect.andThen(
          Saturation.register(office.bounded),
          Effect.andThen(
            Metrics.source(() => ({ actors: system.readings(), deadLetters: office.countsNow() })),
            Effect.acquireRelease(Effect.void, () => office.close),
          ),
        ).pipe(
          // Started with the first kind: a service without actors does not show it among its tasks.
          Effect.andThen(Effect.cached(supervisor)),
          Effect.tap((supervisor) => Effect.sync(() => system.supervisor = supervisor)),
        ),
        {
          unsafe: system,
          deadLetters: office,
          kinds: Effect.sync(() => system.infos()),
        },
      )
    }),
  )

/** A second system that is registered in the same place gets a number. */
const freeName = (registry: Saturation.Saturation): string => {
  let name = "dead-letters"
  for (let n = 2; registry.get(name) !== undefined; n++) name = `dead-letters ${n}`
  return name
}
