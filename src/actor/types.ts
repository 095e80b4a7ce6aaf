import type { Duration, Effect, Scope } from "effect"
import type { Rpc, RpcSchema } from "effect/rpc"
import type { ActorFailed, AskCycle, AskTimeout, MailboxFull, Stopped } from "./errors.ts"
import type { Account } from "./Mailbox.ts"
import type { Terminated } from "./terminated.ts"

/**
 * A message, as its handler sees it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Message<R extends Rpc.Any> {
  /** Which message of the protocol. */
  readonly tag: R["_tag"]
  /** What it carries. */
  readonly payload: Rpc.Payload<R>
}

/**
 * One handler for each message of a protocol.
 *
 * @category models
 * @since 0.1.0
 */
export type HandlersFrom<Rpcs extends Rpc.Any> = {
  readonly [R in Rpcs as R["_tag"]]: (
    message: Message<R>,
    // deno-lint-ignore no-explicit-any
  ) => Effect.Effect<Rpc.Success<R>, Rpc.Error<R>, any>
}

/**
 * What the handlers need.
 *
 * @category models
 * @since 0.1.0
 */
export type HandlersServices<Handlers> = {
  [K in keyof Handlers]: Handlers[K] extends // deno-lint-ignore no-explicit-any
  (message: any) => Effect.Effect<any, any, infer R> ? R
    : never
}[keyof Handlers]

/**
 * Rejects a protocol with a stream in it: a mailbox delivers one answer for each message.
 *
 * @category models
 * @since 0.1.0
 */
export type NoStreams<Rpcs extends Rpc.Any> = [StreamTags<Rpcs>] extends [never] ? unknown
  : `An actor cannot answer with a stream: ${StreamTags<Rpcs>}`

type StreamTags<Rpcs extends Rpc.Any> = Rpcs extends Rpc.Any
  ? Rpc.SuccessSchema<Rpcs> extends RpcSchema.Stream<infer _A, infer _E> ? Rpcs["_tag"] : never
  : never

/**
 * Options of a tell and of an offer.
 *
 * @category models
 * @since 0.1.0
 */
export interface SendOptions {
  /**
   * How long it may wait, for room and then in the mailbox; after that it never runs. An offer that
   * found no room in that time fails with `MailboxFull`. Default: for ever.
   */
  readonly expires?: Duration.Input
}

/**
 * Options of an ask.
 *
 * @category models
 * @since 0.1.0
 */
export interface AskOptions {
  /** How long to wait for the answer. Default: what is left of the deadline in force, else 5 seconds. */
  readonly timeout?: Duration.Input
  /**
   * What happens to a handler that is running when its asker leaves: `interrupt` (the default)
   * cancels it with the asker's reason, and the asker waits for its cleanup; `detach` lets it run,
   * and its answer becomes a dead letter.
   */
  readonly onCancel?: "interrupt" | "detach"
}

/** Payload and options, the payload left out when there is none. */
export type Arguments<R extends Rpc.Any, Options> = [Rpc.Payload<R>] extends [void]
  ? [payload?: void, options?: Options]
  : [payload: Rpc.Payload<R>, options?: Options]

/**
 * Sends without waiting for an answer; one method for each message.
 *
 * @category models
 * @since 0.1.0
 */
export type Tell<Rpcs extends Rpc.Any> = {
  readonly [R in Rpcs as R["_tag"]]: (
    ...args: Arguments<R, SendOptions>
  ) => Effect.Effect<void, MailboxFull | Stopped>
}

/**
 * Sends and waits for the answer; one method for each message.
 *
 * @category models
 * @since 0.1.0
 */
export type Ask<Rpcs extends Rpc.Any> = {
  readonly [R in Rpcs as R["_tag"]]: (
    ...args: Arguments<R, AskOptions>
  ) => Effect.Effect<Rpc.Success<R>, Rpc.Error<R> | AskFailure>
}

/**
 * How an ask can fail besides with the errors of its message.
 *
 * @category errors
 * @since 0.1.0
 */
export type AskFailure = MailboxFull | Stopped | AskTimeout | ActorFailed | AskCycle

/**
 * An actor that one can talk to. It stays valid across restarts, and, for a keyed actor, across
 * passivation.
 *
 * @category models
 * @since 0.1.0
 */
export interface Ref<Rpcs extends Rpc.Any> extends AnyRef {
  /**
   * Puts a message into the mailbox and goes on.
   *
   * **Fails with** – `MailboxFull`, `Stopped`.
   *
   * **Interruption** – does not wait. The message outlives its sender.
   */
  readonly tell: Tell<Rpcs>
  /**
   * Like tell, but waits while the mailbox is full.
   *
   * **Fails with** – `MailboxFull` when too many wait already, or when the actor would wait for
   * itself; `Stopped`.
   *
   * **Interruption** – the message leaves the line in the same turn and never runs.
   */
  readonly offer: Tell<Rpcs>
  /**
   * Sends a message and returns its answer.
   *
   * **Fails with** – the message's own errors, and {@link AskFailure}.
   *
   * **Interruption** – a queued message is removed and never runs; a running one is cancelled with
   * the asker's reason, and the asker waits for its cleanup, at most the actor's grace.
   */
  readonly ask: Ask<Rpcs>
}

/**
 * What every reference has, whatever the protocol.
 *
 * @category models
 * @since 0.1.0
 */
export interface AnyRef {
  /** Where it is: the kind and the key, below the path of its parent. */
  readonly path: string
  /** Its key; the empty string for a single actor. */
  readonly key: string
  /**
   * Stops it: what is queued is handled within the grace, then it is cancelled and closed. A keyed
   * actor starts again with its next message.
   *
   * **Fails with** – nothing; does nothing when it is not running.
   *
   * **Interruption** – only ends the wait.
   */
  readonly stop: Effect.Effect<void>
  /**
   * Waits for its end, and says how it ended; at once, with `not-running`, when it is not running.
   *
   * **Fails with** – nothing.
   *
   * **Interruption** – only ends the wait.
   */
  readonly terminated: Effect.Effect<Terminated>
  /** The account of its mailbox; undefined when it is not running. */
  readonly account: Effect.Effect<Account | undefined>
}

/** What a layer must provide for an actor. */
export type Needed<RX, Handlers, Inside> =
  | Exclude<RX, Scope.Scope | Inside>
  | Exclude<HandlersServices<Handlers>, Scope.Scope | Inside>
