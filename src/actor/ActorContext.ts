/**
 * What an actor can do that other code cannot: put a message aside, spawn, watch, keep time.
 *
 * @module
 */
import type { Duration, Effect, Scope } from "effect"
import { Context } from "effect"
import type { Rpc } from "effect/rpc"
import type { ActorOptions } from "./options.ts"
import type { Terminated } from "./terminated.ts"
import type { AnyRef, HandlersFrom, HandlersServices, Ref } from "./types.ts"

/**
 * What a child is made from: an actor's definition.
 *
 * @category models
 * @since 0.1.0
 */
export interface Definition<Rpcs extends Rpc.Any> {
  /** Its name. */
  readonly name: string
  /** Its messages. */
  readonly protocol: ReadonlyArray<Rpcs>
  /** Its options. */
  readonly options: ActorOptions
}

/**
 * The running actor, for its own `init` and handlers.
 *
 * **Details** – timers, watches and children belong to the incarnation: they end with it, and a
 * restart begins without them. What a timer or a watch runs takes its turn like a message, before
 * those that are queued, and is never dropped. An actor that has any of them is not passivated.
 *
 * @category models
 * @since 0.1.0
 */
export interface ActorContext {
  /** Where it is. */
  readonly path: string
  /** Its key; the empty string for a single actor. */
  readonly key: string
  /** 1 for the first life, one more after each restart. */
  readonly incarnation: number
  /**
   * Puts the message that is being handled aside and ends the handler. When the stash is full, the
   * message ends as `rejected`, and its asker gets `MailboxFull`.
   *
   * **Fails with** – nothing; it does not return.
   *
   * **Interruption** – does not wait.
   */
  readonly stash: Effect.Effect<never>
  /**
   * Puts everything that was set aside back before all that is queued, in its old order.
   *
   * **Fails with** – nothing.
   *
   * **Interruption** – does not wait.
   */
  readonly unstashAll: Effect.Effect<void>
  /**
   * Starts a child: it is stopped before this incarnation ends, and when it has crashed once too
   * often, this actor crashes too (unless its options say `exhausted: "stop"`).
   *
   * **Fails with** – nothing; dies when a child of that name is alive.
   *
   * **Interruption** – does not wait.
   */
  readonly spawn: <Rpcs extends Rpc.Any, Handlers extends HandlersFrom<Rpcs>, E = never, R = never>(
    actor: Definition<Rpcs>,
    name: string,
    init: Handlers | Effect.Effect<Handlers, E, R>,
    options?: ActorOptions,
  ) => Effect.Effect<
    Ref<Rpcs>,
    never,
    Exclude<R | HandlersServices<Handlers>, Scope.Scope | ActorContext>
  >
  /**
   * Runs that effect once when the other actor has ended; at once, with `not-running`, when it is
   * not there. A second watch of the same actor replaces the first.
   *
   * **Fails with** – nothing.
   *
   * **Interruption** – does not wait.
   */
  readonly watch: <R>(
    ref: AnyRef,
    then: (terminated: Terminated) => Effect.Effect<void, never, R>,
  ) => Effect.Effect<void, never, R>
  /**
   * Takes a watch back: its effect will not run any more.
   *
   * **Fails with** – nothing.
   *
   * **Interruption** – does not wait.
   */
  readonly unwatch: (ref: AnyRef) => Effect.Effect<void>
  /**
   * Runs that effect after some time, or every so often. A timer of the same name is replaced. One
   * that is due while its last run has not ended is left out.
   *
   * **Fails with** – nothing; dies when `every` is less than 1 millisecond.
   *
   * **Interruption** – does not wait.
   */
  readonly timer: <R>(
    name: string,
    when: { readonly after: Duration.Input } | { readonly every: Duration.Input },
    effect: Effect.Effect<void, never, R>,
  ) => Effect.Effect<void, never, R>
  /**
   * Takes a timer back: its effect will not run any more.
   *
   * **Fails with** – nothing.
   *
   * **Interruption** – does not wait.
   */
  readonly cancelTimer: (name: string) => Effect.Effect<void>
  /**
   * Runs that effect when no message has been started for that long, and again after as long.
   *
   * **Fails with** – nothing; dies when that is less than 1 millisecond.
   *
   * **Interruption** – does not wait.
   */
  readonly receiveTimeout: <R>(
    duration: Duration.Input,
    effect: Effect.Effect<void, never, R>,
  ) => Effect.Effect<void, never, R>
  /**
   * Stops this actor after what it is doing: what is queued is handled first, within the grace.
   *
   * **Fails with** – nothing.
   *
   * **Interruption** – does not wait.
   */
  readonly stop: Effect.Effect<void>
}

/**
 * The running actor.
 *
 * @category services
 * @since 0.1.0
 */
export const ActorContext: Context.Service<ActorContext, ActorContext> = Context.Service<
  ActorContext
>("weir/actor/ActorContext")
