import { Cause, Context, Effect, Exit, Scope } from "effect"
import type { Ticket } from "../bounded/Bounded.ts"
import { interrupt } from "../task/commit.ts"
import { CancelScope, CurrentScope } from "../task/scope.ts"
import { fork } from "../task/turn.ts"
import type { Handling, LateLedger } from "./handling.ts"
import type { Handlers } from "./home.ts"

/** One life of an actor: from an init to the next. */
export interface Incarnation {
  readonly number: number
  readonly frame: CancelScope
  readonly resources: Scope.Closeable
  readonly context: Context.Context<never>
  handlers: Handlers
}

/** Told how a run ended, once its scope is closed; `late` when it ended in a later turn. */
export type Then = (exit: Exit.Exit<unknown, unknown>, late: boolean) => void

/** Starts code of an actor as a run of its own, in the context of that incarnation. */
export const launch = (
  incarnation: Incarnation,
  ledger: LateLedger,
  handling: Handling,
  deadline: number,
  tickets: ReadonlyArray<Ticket> | undefined,
  effect: () => Effect.Effect<unknown, unknown, unknown>,
  then: Then,
): void => {
  const scope = new CancelScope(incarnation.frame, deadline, handling, tickets, undefined)
  handling.scope = scope
  let self: Effect.Effect<unknown, unknown>
  try {
    self = effect() as Effect.Effect<unknown, unknown>
  } catch (defect) {
    self = Effect.die(defect)
  }
  // Nothing is left to run: the message needs neither a fiber nor what a fiber lives in.
  if (Exit.isExit(self)) return then(self, false)
  const resources = Scope.makeUnsafe()
  const context: Context.Context<never> = Context.addUnsafe(
    Context.addUnsafe(incarnation.context, CurrentScope.key, scope),
    Scope.Scope.key,
    resources,
  )
  const fiber = fork(context, self)
  const exit = fiber.pollUnsafe()
  if (exit !== undefined) return close(ledger, handling, resources, exit, context, then, false)
  handling.fiber = fiber
  ledger.list(handling)
  // It may have been cancelled before it had a fiber that could be interrupted.
  if (handling.cancelledAt >= 0) interrupt(fiber, undefined, undefined)
  fiber.addObserver((exit) => close(ledger, handling, resources, exit, context, then, true))
}

/** Closes the scope of a run; the run is over only then. */
const close = (
  ledger: LateLedger,
  handling: Handling,
  resources: Scope.Closeable,
  exit: Exit.Exit<unknown, unknown>,
  context: Context.Context<never>,
  then: Then,
  late: boolean,
): void => {
  const closing = Scope.closeUnsafe(resources, exit)
  if (closing === undefined) return then(exit, late)
  const fiber = fork(context, closing, true)
  const done = fiber.pollUnsafe()
  if (done !== undefined) return then(merge(exit, done), late)
  // What ran has ended; from now on the record speaks for the cleanup.
  handling.fiber = fiber
  ledger.list(handling)
  fiber.addObserver((done) => then(merge(exit, done), true))
}

const merge = (
  exit: Exit.Exit<unknown, unknown>,
  done: Exit.Exit<void>,
): Exit.Exit<unknown, unknown> =>
  Exit.isSuccess(done)
    ? exit
    : Exit.failCause(Exit.isSuccess(exit) ? done.cause : Cause.combine(exit.cause, done.cause))
