/**
 * An actor: state with one owner, reached by messages.
 *
 * **Details** – *Bounded by* its mailbox, its stash and its residents; *owned by* the layer that it
 * is built in, or by the actor that spawned it; *seen in* `/saturation`, `/tasks` and `/metrics`.
 *
 * @module
 */
import { Effect, Layer } from "effect"
import type { Rpc } from "effect/rpc"
import { Mistake } from "../internal/mistake.ts"
import { ActorContext } from "./ActorContext.ts"
import { ActorSystem } from "./ActorSystem.ts"
import type { Cell } from "./cell.ts"
import type { How } from "./entry.ts"
import { Stopped } from "./errors.ts"
import type { Handlers } from "./home.ts"
import { type Reachable, reachOf } from "./inside.ts"
import { installed } from "./installed.ts"
import { initOf, Kind } from "./kind.ts"
import type { ActorOptions } from "./options.ts"
import { plansOf } from "./plans.ts"
import { type RefMaker, refMaker } from "./refs.ts"
import type { Absent } from "./sending.ts"
import type { Slot } from "./system.ts"
import type { HandlersFrom, Needed, NoStreams, Ref } from "./types.ts"

export { ActorFailed, AskCycle, AskTimeout, MailboxFull, Stopped } from "./errors.ts"
export { type ActorOptions, type MailboxOptions } from "./options.ts"
export { Priority, Reentrant, Retries, Uninterruptible } from "./plans.ts"
export { type Ending, type Terminated } from "./terminated.ts"
export {
  type AnyRef,
  type Ask,
  type AskFailure,
  type AskOptions,
  type HandlersFrom,
  type HandlersServices,
  type Message,
  type NoStreams,
  type Ref,
  type SendOptions,
  type Tell,
} from "./types.ts"

/**
 * What keyed and single actors have in common.
 *
 * @category models
 * @since 0.1.0
 */
export interface Base<in out Rpcs extends Rpc.Any> {
  /** Unique in a system. */
  readonly name: string
  /** Its messages. */
  readonly protocol: ReadonlyArray<Rpcs>
  /** Its options, as given. */
  readonly options: ActorOptions
  /** Types the handlers; returns them as they are. */
  readonly of: <Handlers extends HandlersFrom<Rpcs>>(handlers: Handlers) => Handlers
  /**
   * The actor's own reference, in its `init` and handlers.
   *
   * **Fails with** – nothing.
   *
   * **Interruption** – does not wait.
   */
  readonly self: Effect.Effect<Ref<Rpcs>, never, ActorContext>
  /**
   * Runs actors of this kind in the system, until the layer closes.
   *
   * **Details** – `init` runs once for each incarnation, in a scope of its own, and returns the
   * handlers; what it acquires is released when the incarnation ends. A typed error of `init` is a
   * crash. When the layer closes, what is queued is handled within the grace.
   *
   * **Fails with** – nothing; dies when the name is taken or an option makes no sense.
   */
  readonly toLayer: <Handlers extends HandlersFrom<Rpcs>, E = never, R = never>(
    init: Handlers | Effect.Effect<Handlers, E, R>,
    options?: ActorOptions,
  ) => Layer.Layer<never, never, ActorSystem | Needed<R, Handlers, ActorContext>>
}

/**
 * Actors of which there is one for each key: started by their first message, and out of memory
 * again when they have been idle for a while.
 *
 * @category models
 * @since 0.1.0
 */
export interface Actor<in out Rpcs extends Rpc.Any> extends Base<Rpcs> {
  /**
   * Finds the actor of a key.
   *
   * **Fails with** – nothing; messages to a kind that no layer provides die with one sentence.
   *
   * **Interruption** – does not wait.
   */
  readonly client: Effect.Effect<(key: string) => Ref<Rpcs>, never, ActorSystem>
}

/**
 * An actor of which there is one, started with its layer.
 *
 * @category models
 * @since 0.1.0
 */
export interface Single<in out Rpcs extends Rpc.Any> extends Base<Rpcs> {
  /**
   * Finds the actor.
   *
   * **Fails with** – nothing; messages to an actor that no layer provides die with one sentence.
   *
   * **Interruption** – does not wait.
   */
  readonly client: Effect.Effect<Ref<Rpcs>, never, ActorSystem>
}

/**
 * Defines actors of which there is one for each key.
 *
 * **Details** – `protocol` is a list of `Rpc.make(…)`: what is not a stream can be a message. Payloads
 * and answers are passed as they are, without being encoded or checked again.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <Rpcs extends Rpc.Any>(
  name: string,
  protocol: ReadonlyArray<Rpcs> & NoStreams<Rpcs>,
  options: ActorOptions = {},
): Actor<Rpcs> => {
  const definition = new Definition<Rpcs>(name, protocol, options, true)
  return definition as unknown as Actor<Rpcs>
}

/**
 * Defines an actor of which there is one. It is started with its layer and never passivated.
 *
 * @category constructors
 * @since 0.1.0
 */
export const single = <Rpcs extends Rpc.Any>(
  name: string,
  protocol: ReadonlyArray<Rpcs> & NoStreams<Rpcs>,
  options: ActorOptions = {},
): Single<Rpcs> => new Definition<Rpcs>(name, protocol, options, false) as unknown as Single<Rpcs>

class Definition<Rpcs extends Rpc.Any> {
  readonly name: string
  readonly protocol: ReadonlyArray<Rpcs>
  readonly options: ActorOptions
  readonly keyed: boolean
  private readonly ref: RefMaker<Rpcs>

  constructor(
    name: string,
    protocol: ReadonlyArray<Rpcs>,
    options: ActorOptions,
    keyed: boolean,
  ) {
    this.name = name
    this.protocol = protocol
    this.options = options
    this.keyed = keyed
    this.ref = refMaker(plansOf(name, protocol).plans)
  }

  readonly of = <Handlers>(handlers: Handlers): Handlers => handlers

  get client(): Effect.Effect<unknown, never, ActorSystem> {
    return Effect.map(ActorSystem, ({ unsafe }) => {
      const slot = unsafe.slot(this.name)
      return this.keyed ? (key: string) => this.at(slot, key) : this.at(slot, "")
    })
  }

  get self(): Effect.Effect<Ref<Rpcs>, never, ActorContext> {
    return Effect.map(
      ActorContext,
      (inside) => this.ref(inside.key, reachOf(inside as never)),
    )
  }

  readonly toLayer = (
    init: Handlers | Effect.Effect<Handlers, unknown, unknown>,
    options?: ActorOptions,
  ): Layer.Layer<never, never, ActorSystem> =>
    Layer.effectDiscard(Effect.flatMap(ActorSystem, ({ unsafe }) =>
      Effect.withFiber((fiber) => {
        const kind = new Kind(
          unsafe,
          this,
          this.keyed,
          { ...this.options, ...options },
          initOf(init),
          fiber,
        )
        return installed(unsafe, kind, kind.bounded)
      })))

  private at(slot: Slot, key: string): Ref<Rpcs> {
    return this.ref(key, new Address(slot, this.name, key, this.keyed))
  }
}

/** Where the actor of a key is found, if it is there. A class: one is made for each look-up. */
class Address implements Reachable {
  readonly slot: Slot
  private readonly name: string
  private readonly key: string
  private readonly keyed: boolean

  constructor(slot: Slot, name: string, key: string, keyed: boolean) {
    this.slot = slot
    this.name = name
    this.key = key
    this.keyed = keyed
  }

  get path(): string {
    return this.keyed ? `${this.name}/${this.key}` : this.name
  }

  peek(): Cell | undefined {
    return this.slot.kind?.peek(this.key)
  }

  resolve(tag: string, how: How, payload: unknown): Cell | Absent {
    const { kind, left } = this.slot
    if (kind !== undefined) return kind.resolve(this.key, tag, payload, how)
    return {
      absent: left ? new Stopped({ actor: this.path, tag, started: false }) : new Mistake(
        `Actor "${this.name}" is not running. Provide the layer that its toLayer made.`,
      ),
    }
  }
}
