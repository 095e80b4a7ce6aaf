import { Cause, Clock, Context, Duration, Effect, Exit, type Fiber, Scope } from "effect"
import type { CancelReason } from "./CancelReason.ts"
import { DeadlineExceeded } from "./Deadline.ts"
import { type Outcome, TaskRecord } from "./record.ts"
import { CancelScope, CurrentScope, root } from "./scope.ts"
import { TaskTree } from "./TaskTree.ts"

/** Options of every constructor of tasks, with the durations already in milliseconds. */
export interface StartOptions {
  readonly kind: string
  readonly deadlineMs: number
  readonly cleanupMs: number
  readonly detached: boolean
}

/** How long a cancelled task may clean up before it is reported as abandoned. */
export const defaultCleanupMs = 5000

export const millis = (input: Duration.Input | undefined, otherwise: number): number =>
  input === undefined ? otherwise : Duration.toMillis(Duration.fromInputUnsafe(input))

/** A started task: its record, and its exit once its fiber is done. */
export interface Started<A, E> {
  readonly record: TaskRecord
  readonly name: string
  readonly exit: () => Exit.Exit<A, E> | undefined
}

/**
 * Starts an effect as an observed root fiber of its own, which is what makes a bounded wait for its
 * cleanup possible: a plain `forkChild` makes its parent wait without limit. It runs on the
 * caller's stack until it first suspends.
 */
export const startUnsafe = <A, E, R>(
  fiber: Fiber.Fiber<unknown, unknown>,
  name: string,
  effect: Effect.Effect<A, E, R>,
  options: StartOptions,
  owner?: CancelScope,
): Started<A, E> => {
  const clock = fiber.getRef(Clock.Clock)
  const tree = fiber.getRef(TaskTree).unsafe
  const outer = options.detached ? root : owner ?? fiber.getRef(CurrentScope)
  const now = clock.currentTimeMillisUnsafe()
  const record = new TaskRecord(
    tree,
    clock,
    name,
    options.kind,
    outer.task as TaskRecord | undefined,
    now,
    options.cleanupMs,
  )
  const scope = new CancelScope(
    outer,
    Math.min(outer.deadline, now + options.deadlineMs),
    record,
    options.detached ? undefined : outer.tickets,
    undefined,
  )
  record.scope = scope
  const resources = Scope.makeUnsafe()
  const context = Context.add(
    Context.add(fiber.context, CurrentScope, scope),
    Scope.Scope,
    resources,
  ) as Context.Context<unknown>
  tree.add(record)
  let result: Exit.Exit<A, E> | undefined
  const child = Effect.runForkWith(context)(
    Effect.withFiber((self) => {
      record.fiber = self
      return Effect.onExit(effect, (exit) => Scope.close(resources, exit))
    }) as Effect.Effect<A, E>,
  )
  const finish = (exit: Exit.Exit<A, E>) => {
    result = exit
    record.end(outcomeOf(exit))
  }
  const done = child.pollUnsafe()
  if (done !== undefined) finish(done)
  else {
    child.addObserver(finish)
    record.armDeadline()
    // An owner that was cancelled while the task started could not reach it yet.
    const reason = scope.effectiveReason()
    if (reason !== undefined && record.cancelledAt < 0) record.cancelByOwner("the owner")
  }
  return { record, name, exit: () => result }
}

export const outcomeOf = (exit: Exit.Exit<unknown, unknown>): Outcome =>
  exit._tag === "Success" ? "completed" : Cause.hasInterrupts(exit.cause) ? "cancelled" : "failed"

/** Waits for the end, or for the cleanup to be abandoned; interruption only stops the waiting. */
export const settled = (record: TaskRecord): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    const callback = () => resume(Effect.void)
    record.onSettled(callback)
    return Effect.sync(() => record.offSettled(callback))
  })

/** Cancels on behalf of an owner that ends, and waits at most the cleanup budget. */
export const stop = (record: TaskRecord, owner: string): Effect.Effect<void> =>
  Effect.suspend(() => {
    record.cancelByOwner(owner)
    return record.outcome === undefined && !record.abandoned ? settled(record) : Effect.void
  })

/** The exit as its readers see it: a cancel is a typed failure that says why. */
export const result = <A, E>(
  started: Started<A, E>,
  cancelled: (record: TaskRecord, reason: CancelReason) => E,
  abandoned: (record: TaskRecord) => E,
): Exit.Exit<A, E | DeadlineExceeded> => {
  const { record } = started
  const exit = started.exit()
  if (exit === undefined) return Exit.fail(abandoned(record))
  if (exit._tag === "Success" || !Cause.hasInterrupts(exit.cause)) return exit
  const reason = record.scope.effectiveReason()
  if (reason === undefined) return exit
  return Exit.failCause(Cause.fromReasons<E | DeadlineExceeded>([
    Cause.makeFailReason<E | DeadlineExceeded>(
      reason._tag === "DeadlineExceeded"
        ? new DeadlineExceeded({ deadline: reason.deadline, name: record.name })
        : cancelled(record, reason),
    ),
    ...exit.cause.reasons.filter((other) => other._tag !== "Interrupt"),
  ]))
}
