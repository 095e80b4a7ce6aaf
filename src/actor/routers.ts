import type { Effect, Exit } from "effect"
import type { Rpc } from "effect/rpc"
import type { RestartPolicy } from "../task/restarts.ts"
import type { Stopped } from "./errors.ts"
import type { ActorOptions } from "./options.ts"
import type { Arguments, Ask, AskFailure, AskOptions, Message, Ref, Tell } from "./types.ts"

/** The types of `Router`, in a file of their own. */

/**
 * How a router picks the one actor for a message.
 *
 * - `round-robin`: each in turn. One whose mailbox is full, or that is being restarted, is passed over
 *   while there is another.
 * - `least-loaded`: the one with the fewest messages queued and running, also in turn where several
 *   have as few.
 * - {@link ByKey}: the one to which the message's key belongs.
 *
 * A sender that holds a ticket in one of the mailboxes goes there, unless it goes by key.
 *
 * @category models
 * @since 0.1.0
 */
export type Strategy<Rpcs extends Rpc.Any> = "round-robin" | "least-loaded" | ByKey<Rpcs>

/**
 * Sends all messages for which the function gives the same text to the same actor.
 *
 * **Details** – rendezvous hashing over the paths of the actors. Of n actors, one more or one less
 * moves about 1/n of the texts, and no others. An actor that is being restarted keeps its texts; those
 * of one that is gone are spread over the others until it is there again.
 *
 * @category models
 * @since 0.1.0
 */
export interface ByKey<Rpcs extends Rpc.Any> {
  /** A function of the message: the same text, the same actor. */
  readonly hash: (message: Routing<Rpcs>) => string
}

/**
 * A message that is to be routed: one of the protocol's, told apart by `tag`.
 *
 * @category models
 * @since 0.1.0
 */
export type Routing<Rpcs extends Rpc.Any> = Rpcs extends Rpc.Any ? Message<Rpcs> : never

/**
 * What every router has.
 *
 * @category models
 * @since 0.1.0
 */
export interface Common<in out Rpcs extends Rpc.Any> {
  /** Its name, in errors and in the log. */
  readonly name: string
  /**
   * The actors that take messages now.
   *
   * **Fails with** – nothing.
   *
   * **Interruption** – does not wait.
   */
  readonly routees: Effect.Effect<ReadonlyArray<Ref<Rpcs>>>
}

/**
 * A router that sends each message to one actor.
 *
 * @category models
 * @since 0.1.0
 */
export interface Router<in out Rpcs extends Rpc.Any> extends Common<Rpcs> {
  /**
   * Puts a message into a mailbox and goes on.
   *
   * **Fails with** – `MailboxFull`; `Stopped` when no actor is left.
   *
   * **Interruption** – does not wait. The message outlives its sender.
   */
  readonly tell: Tell<Rpcs>
  /**
   * Like tell, but waits while the mailbox is full; when that actor stops meanwhile, in the line of
   * another one.
   *
   * **Fails with** – `MailboxFull` when too many wait already; `Stopped` when no actor is left.
   *
   * **Interruption** – the message leaves the line in the same turn and never runs.
   */
  readonly offer: Tell<Rpcs>
  /**
   * Sends a message and returns its answer.
   *
   * **Details** – it is sent once: when that actor stops or crashes, nobody else is asked. In `Stopped`,
   * `started` says whether the handler had begun; if it had not, asking again is safe.
   *
   * **Fails with** – the message's own errors, and what an ask fails with.
   *
   * **Interruption** – as for the ask of one actor.
   */
  readonly ask: Ask<Rpcs>
}

/**
 * What one of several actors answered.
 *
 * @category models
 * @since 0.1.0
 */
export interface Answer<A, E> {
  /** Path of the actor. */
  readonly from: string
  /** Its answer. */
  readonly exit: Exit.Exit<A, E>
}

/**
 * Sends to all and waits for all answers; one method for each message.
 *
 * @category models
 * @since 0.1.0
 */
export type AskAll<Rpcs extends Rpc.Any> = {
  readonly [R in Rpcs as R["_tag"]]: (
    ...args: Arguments<R, AskOptions>
  ) => Effect.Effect<
    ReadonlyArray<Answer<Rpc.Success<R>, Rpc.Error<R> | AskFailure>>,
    Stopped
  >
}

/**
 * A router that sends each message to all actors.
 *
 * @category models
 * @since 0.1.0
 */
export interface Broadcast<in out Rpcs extends Rpc.Any> extends Common<Rpcs> {
  /**
   * Puts a message into every mailbox and goes on.
   *
   * **Fails with** – the first failure, when all others have got it; `Stopped` when no actor is left.
   *
   * **Interruption** – does not wait. The messages outlive their sender.
   */
  readonly tell: Tell<Rpcs>
  /**
   * Like tell, but waits until there was room in every mailbox.
   *
   * **Fails with** – as tell.
   *
   * **Interruption** – those that still wait leave their lines and never run.
   */
  readonly offer: Tell<Rpcs>
  /**
   * Asks all of them at once, and returns all answers, failures too, in the order of the actors.
   *
   * **Fails with** – `Stopped` when no actor is left. The failures of single actors are in their
   * answers.
   *
   * **Interruption** – takes all of the asks back.
   */
  readonly ask: AskAll<Rpcs>
}

/**
 * Options of `Router.make`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Group<Rpcs extends Rpc.Any> {
  /** In errors and in the log. */
  readonly name: string
  /** The actors, at least one; all of the same protocol. */
  readonly routees: ReadonlyArray<Ref<Rpcs>>
}

/**
 * Options of a pool: those of its actors, and its own.
 *
 * @category models
 * @since 0.1.0
 */
export interface PoolOptions extends Omit<ActorOptions, "exhausted" | "idle" | "residents"> {
  /** Default: the name of the actor. */
  readonly name?: string
  /**
   * When an actor that has used up its restarts is replaced by a new one, counted for each place.
   * Default: 3 times in 5 seconds, at once.
   */
  readonly replace?: RestartPolicy
  /** What follows when no actor is left and the last one failed. Default `escalate`. */
  readonly exhausted?: "escalate" | "stop"
}

/**
 * Picks one actor for each message.
 *
 * @category models
 * @since 0.1.0
 */
export interface ToOne<Rpcs extends Rpc.Any> {
  /** Default `round-robin`. */
  readonly strategy?: Strategy<Rpcs>
}

/**
 * Sends each message to all actors.
 *
 * @category models
 * @since 0.1.0
 */
export interface ToAll {
  /** The name of this strategy. */
  readonly strategy: "broadcast"
}
