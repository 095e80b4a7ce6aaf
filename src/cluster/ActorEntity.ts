/**
 * The same actor on Effect Cluster: one definition, one set of handlers, many machines.
 *
 * **Details** – what is guaranteed differs; `docs/cluster.md` says how.
 *
 * @module
 */
import { Context, Duration, Effect, type Layer, type Scope } from "effect"
import { ClusterSchema, Entity, type Sharding } from "effect/cluster"
import type { Rpc } from "effect/rpc"
import * as Actor from "../actor/Actor.ts"

/**
 * What is needed of an actor: its name, its messages, its options.
 *
 * @category models
 * @since 0.1.0
 */
export type Definition<Rpcs extends Rpc.Any> = Pick<
  Actor.Base<Rpcs>,
  "name" | "protocol" | "options"
>

/**
 * Makes the entity of a keyed actor: same name, same messages. Messages marked
 * `Actor.Uninterruptible` are uninterruptible on the side of the entity too.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <Rpcs extends Rpc.Any>(
  actor: Definition<Rpcs>,
): Entity.Entity<string, Rpcs> =>
  Entity.make(
    actor.name,
    actor.protocol.map((rpc) => {
      const known = rpc as unknown as Rpc.AnyWithProps & {
        readonly annotate: (key: unknown, value: unknown) => Rpc.AnyWithProps
      }
      return Context.get(known.annotations, Actor.Uninterruptible)
        ? known.annotate(ClusterSchema.Uninterruptible, "server")
        : known
    }),
  ) as unknown as Entity.Entity<string, Rpcs>

/**
 * Runs an actor's `init` and handlers, unchanged, as that entity.
 *
 * **Details** – capacity, concurrency and idle time come from the actor's options; Cluster's mailbox
 * counts running messages too, so it gets that many more places. `init` runs at each activation, in
 * the entity's scope. An `init` or a handler that uses `ActorContext` (stash, spawn, watch, timers)
 * does not type-check here, because Cluster has none of it.
 *
 * **Fails with** – nothing; a typed failure of `init` is a defect of the entity.
 *
 * @category layers
 * @since 0.1.0
 */
export const toLayer = <
  Rpcs extends Rpc.Any,
  Handlers extends Actor.HandlersFrom<Rpcs>,
  E = never,
  R = never,
>(
  actor: Definition<Rpcs>,
  init: Handlers | Effect.Effect<Handlers, E, R>,
): Layer.Layer<
  never,
  never,
  Sharding.Sharding | Exclude<R | Actor.HandlersServices<Handlers>, Scope.Scope>
> => {
  const { concurrency = 1, idle = "1 minute", mailbox } = actor.options
  const built = Effect.isEffect(init) ? init : Effect.succeed(init)
  const handlers = Effect.map(Effect.orDie(built), (handlers) => {
    const adapted: Record<string, (request: Actor.Message<Rpcs>) => unknown> = {}
    for (const [tag, handler] of Object.entries(handlers)) {
      adapted[tag] = ({ payload }) =>
        (handler as (message: Actor.Message<Rpcs>) => unknown)({ tag, payload })
    }
    return adapted
  })
  return make(actor).toLayer(handlers as never, {
    concurrency,
    maxIdleTime: Duration.fromInputUnsafe(idle),
    mailboxCapacity: (mailbox?.capacity ?? 1024) + concurrency,
  }) as never
}
