import { type Context, Effect, type Exit } from "effect"
import type { Outcome } from "../task/events.ts"
import { CancelScope } from "../task/scope.ts"
import type { Entry } from "./entry.ts"
import type { Handling } from "./handling.ts"

/** Code of an actor that runs: a message's handler, a callback. */
export abstract class Frame extends CancelScope {
  abstract override get task(): Handling
  /** Whether its task has been cancelled. */
  abstract get isCancelled(): boolean
  /** Told how it ended, once its scope is closed; `late` when it ended in a later turn. */
  abstract finished(exit: Exit.Exit<unknown, unknown>, late: boolean): void
}

/** What a frame of a message needs of its actor. */
export interface Host {
  readonly handlingOf: (entry: Entry) => Handling
  readonly finish: (
    frame: MessageFrame,
    exit: Exit.Exit<unknown, unknown>,
    late: boolean,
  ) => void
}

/**
 * The frame of a message. Its task is made when somebody looks for it: most handlers end in the turn
 * in which they begin, and then nobody can have looked but they themselves.
 */
export class MessageFrame extends Frame {
  readonly entry: Entry
  /** What its actor gives it. */
  services: Context.Context<never>
  /** What is to run. */
  code: Effect.Effect<unknown, unknown, unknown> = Effect.void
  private readonly host: Host
  private outcome: Outcome | undefined = undefined

  constructor(host: Host, entry: Entry, { context, frame }: Life) {
    const deadline = entry.how === "ask" ? entry.expires : Infinity
    super(frame, deadline, undefined, entry.tickets, undefined, entry.rank, entry.tenant >>> 0)
    this.host = host
    this.entry = entry
    this.services = context
  }

  /** The task, if there is one. */
  get made(): Handling | undefined {
    return this.account as Handling | undefined
  }

  override get task(): Handling {
    if (this.account !== undefined) return this.account as Handling
    const handling = this.host.handlingOf(this.entry)
    this.account = handling
    handling.scope = this
    if (this.outcome !== undefined) handling.end(this.outcome)
    return handling
  }

  override get left(): boolean {
    return this.outcome !== undefined
  }

  override get isCancelled(): boolean {
    return this.account !== undefined && this.made!.cancelledAt >= 0
  }

  override finished(exit: Exit.Exit<unknown, unknown>, late: boolean): void {
    this.host.finish(this, exit, late)
  }

  /** The run is over. */
  ended(outcome: Outcome): void {
    this.outcome = outcome
    if (this.account !== undefined) this.made!.end(outcome)
  }
}

/** What a message runs in. */
interface Life {
  readonly frame: CancelScope
  readonly context: Context.Context<never>
}

/** The frame of work of the actor's own. */
export class ControlFrame extends Frame {
  private readonly then: (exit: Exit.Exit<unknown, unknown>, late: boolean) => void

  constructor(
    handling: Handling,
    parent: CancelScope,
    then: (exit: Exit.Exit<unknown, unknown>, late: boolean) => void,
  ) {
    super(parent, Infinity, handling, undefined, undefined)
    this.then = then
    handling.scope = this
  }

  override get task(): Handling {
    return this.account as Handling
  }

  override get isCancelled(): boolean {
    return this.task.cancelledAt >= 0
  }

  override finished(exit: Exit.Exit<unknown, unknown>, late: boolean): void {
    this.then(exit, late)
  }
}
