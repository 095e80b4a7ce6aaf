import type { Cause, Clock, Context, Effect, Fiber } from "effect"
import type { Rpc } from "effect/rpc"
import type { ServiceTime } from "../bounded/ServiceTime.ts"
import type { ActorContext, Definition } from "./ActorContext.ts"
import type { DeadLetter } from "./DeadLetters.ts"
import type { LateLedger } from "./handling.ts"
import type { ActorOptions, Settings } from "./options.ts"
import type { Plan } from "./plan.ts"
import type { Line } from "./store.ts"
import type { Tally } from "./totals.ts"
import type { AnyRef } from "./types.ts"

/** The handlers of one incarnation, by message. */
export type Handlers = Readonly<
  Record<string, (message: never) => Effect.Effect<unknown, unknown, unknown>>
>

/** What all actors of a kind share, as one of them sees it. */
export interface Home<C> {
  readonly name: string
  readonly plans: Readonly<Record<string, Plan>>
  readonly settings: Settings
  /** Of the layer in which the kind was built. */
  readonly context: Context.Context<never>
  readonly init: Effect.Effect<Handlers, unknown, unknown>
  readonly clock: Clock.Clock
  readonly ledger: LateLedger
  readonly service: ServiceTime
  /** Where the tickets for its mailbox are, when they outlast it. */
  readonly line: Line | undefined
  /** What the metrics say of it. */
  readonly tally: Tally
  /** Runs it in a later turn of the event loop. */
  later(task: () => void): void
  publish(letter: DeadLetter): void
  /** What init and the handlers of this actor get, besides the services of the layer. */
  inside(cell: C): ActorContext
  /** Nothing is left to do. */
  idle(cell: C, now: number): void
  /** There is something to do again. */
  busy(cell: C): void
  /** Makes a child of an actor. */
  spawn(
    parent: C,
    actor: Definition<Rpc.Any>,
    name: string,
    init: Handlers | Effect.Effect<Handlers, unknown, unknown>,
    options: ActorOptions | undefined,
    fiber: Fiber.Fiber<unknown, unknown>,
  ): AnyRef
  /** Its restarts are used up, and its parent must decide. */
  failed(cell: C, cause: Cause.Cause<unknown>): void
  /** It crashed, but that life of it was ending anyway: all that is left is to tell. */
  crashedLate(cell: C, cause: Cause.Cause<unknown>): void
  /** It has stopped for good. */
  gone(cell: C): void
  /** It was sent a message while it stopped, or after. */
  turnedAway(cell: C): void
  /** What was left running when it stopped has ended too. */
  over(cell: C): void
  /** Counts and logs. */
  restarted(cell: C, cause: Cause.Cause<unknown>, attempt: number, delayMs: number): void
}
