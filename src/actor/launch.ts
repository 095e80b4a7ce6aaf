import { Cause, Context, type Effect, Exit, type Fiber, Scope } from "effect"
import { makeResources } from "../internal/resources.ts"
import { interrupt } from "../task/commit.ts"
import { type CancelScope, CurrentScope } from "../task/scope.ts"
import { fork } from "../task/turn.ts"
import type { Frame } from "./frame.ts"
import type { LateLedger } from "./handling.ts"
import type { Handlers } from "./home.ts"

/** One life of an actor: from an init to the next. */
export interface Incarnation {
  readonly number: number
  readonly frame: CancelScope
  readonly resources: Scope.Closeable
  readonly context: Context.Context<never>
  handlers: Handlers
}

/** Starts code of an actor as a run of its own, in that context. */
export const launch = (
  context: Context.Context<never>,
  ledger: LateLedger,
  frame: Frame,
  effect: Effect.Effect<unknown, unknown, unknown>,
): void => {
  const self = effect as Effect.Effect<unknown, unknown>
  // Nothing is left to run: the message needs neither a fiber nor what a fiber lives in.
  if (Exit.isExit(self)) return frame.finished(self, false)
  const resources = makeResources()
  const own: Context.Context<never> = Context.addUnsafe(
    Context.addUnsafe(context, CurrentScope.key, frame),
    Scope.Scope.key,
    resources,
  )
  const fiber = fork(own, self)
  const exit = fiber.pollUnsafe()
  if (exit !== undefined) return close(ledger, frame, resources, exit, own, false)
  follow(ledger, frame, fiber)
  fiber.addObserver((exit) => close(ledger, frame, resources, exit, own, true))
}

/** From now on the run is one that others see, and may cancel. */
export const follow = (
  ledger: LateLedger,
  frame: Frame,
  fiber: Fiber.Fiber<unknown, unknown>,
): void => {
  const { task } = frame
  task.fiber = fiber
  ledger.list(task)
  // It may have been cancelled before it had a fiber that could be interrupted.
  if (task.cancelledAt >= 0) interrupt(fiber, undefined, undefined)
}

/** Closes the scope of a run; the run is over only then. */
export const close = (
  ledger: LateLedger,
  frame: Frame,
  resources: Scope.Closeable,
  exit: Exit.Exit<unknown, unknown>,
  context: Context.Context<never>,
  late: boolean,
): void => {
  const closing = Scope.closeUnsafe(resources, exit)
  if (closing === undefined) return frame.finished(exit, late)
  const fiber = fork(context, closing, true)
  const done = fiber.pollUnsafe()
  if (done !== undefined) return frame.finished(merge(exit, done), late)
  // What ran has ended; from now on the record speaks for the cleanup.
  const { task } = frame
  task.fiber = fiber
  ledger.list(task)
  fiber.addObserver((done) => frame.finished(merge(exit, done), true))
}

const merge = (
  exit: Exit.Exit<unknown, unknown>,
  done: Exit.Exit<void>,
): Exit.Exit<unknown, unknown> =>
  Exit.isSuccess(done)
    ? exit
    : Exit.failCause(Exit.isSuccess(exit) ? done.cause : Cause.combine(exit.cause, done.cause))
