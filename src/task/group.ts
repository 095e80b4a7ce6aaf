import { Cause, Effect, type Fiber, type Scope } from "effect"
import * as CancelReason from "./CancelReason.ts"
import {
  Cancelled,
  type Failure,
  handle,
  type Options,
  outcome,
  resolve,
  type Task,
} from "./handle.ts"
import { CancelScope, CurrentScope } from "./scope.ts"
import { type Started, startUnsafe } from "./start.ts"

/**
 * The open group inside {@link group}: starts tasks that end before the group does.
 *
 * @category models
 * @since 0.1.0
 */
export interface Group<in E> {
  /** Starts a task in the group; a group that is ending cancels it at once. */
  readonly start: <A, E1 extends E, R>(
    name: string,
    effect: Effect.Effect<A, E1, R>,
    options?: Options,
  ) => Effect.Effect<Task<A, E1>, never, Exclude<R, Scope.Scope>>
}

/**
 * Opens a group, runs the body, and returns its value once every task of the group has ended.
 *
 * **Details** – the first task that fails cancels the others and the body with `SiblingFailed`; a
 * body that fails cancels the tasks with `ParentEnded`. Failures of the others, and defects of any
 * cleanup, are kept in the cause behind the first one.
 *
 * **Fails with** – the first failure, of a task or of the body.
 *
 * **Interruption** – cancels body and tasks, and waits for their cleanup, at most their budgets.
 *
 * @see the nursery of Trio and `errgroup` of Go
 * @category constructors
 * @since 0.1.0
 */
export const group = <A, E, R, E2 = never>(
  body: (group: Group<E2>) => Effect.Effect<A, E, R>,
  options?: { readonly name?: string },
): Effect.Effect<A, E | E2 | Failure, Exclude<R, Scope.Scope>> =>
  Effect.withFiber((fiber) => {
    const name = options?.name ?? "group"
    const state = new GroupState(fiber, name)
    const handleOf: Group<E2> = {
      start: (childName, effect, childOptions) =>
        Effect.withFiber((starter) =>
          Effect.sync(() => handle(state.start(starter, childName, effect, childOptions)))
        ),
    }
    const main = state.start(fiber, name, Effect.suspend(() => body(handleOf)), { kind: "group" })
    return Effect.flatMap(
      state.ended,
      () => state.hasFailed ? Effect.failCause(state.cause()) : outcome(main),
    ) as Effect.Effect<A, E | E2 | Failure>
  })

/**
 * Runs every branch as a task; the first success wins, and the others are cancelled and cleaned up
 * before the winner's value is returned.
 *
 * **Details** – losers read `Requested` by `Task.race`, with the winner's name as the note.
 *
 * **Fails with** – all causes together, when no branch succeeds.
 *
 * **Interruption** – cancels every branch and waits for its cleanup, at most its budget.
 *
 * @category combinators
 * @since 0.1.0
 */
export const race = <A, E, R>(
  branches: Readonly<Record<string, Effect.Effect<A, E, R>>>,
): Effect.Effect<A, E | Failure, Exclude<R, Scope.Scope>> =>
  Effect.withFiber((fiber) => {
    const state = new GroupState(fiber, "race")
    state.failFast = false
    let winner: Started<A, E> | undefined
    for (const [name, effect] of Object.entries(branches)) {
      const started = state.start(fiber, name, effect, {})
      started.record.onSettled(() => {
        if (winner !== undefined || started.exit()?._tag !== "Success") return
        winner = started as Started<A, E>
        state.cancel(CancelReason.Requested("Task.race", `${name} won`))
      })
      if (winner !== undefined) break
    }
    return Effect.flatMap(state.ended, () => {
      const exit = winner?.exit()
      return exit !== undefined ? exit : Effect.failCause(state.cause())
    }) as Effect.Effect<A, E | Failure>
  })

/** The members of one group or race, and what has become of them. */
class GroupState {
  readonly scope: CancelScope
  failFast = true
  private readonly name: string
  private readonly members = new Set<Started<unknown, unknown>>()
  private readonly failures: Array<Cause.Cause<unknown>> = []
  private waiter: (() => void) | undefined

  constructor(fiber: Fiber.Fiber<unknown, unknown>, name: string) {
    const outer = fiber.getRef(CurrentScope)
    this.name = name
    this.scope = new CancelScope(outer, outer.deadline, outer.task, outer.tickets, undefined)
  }

  start<A, E, R>(
    fiber: Fiber.Fiber<unknown, unknown>,
    name: string,
    effect: Effect.Effect<A, E, R>,
    options: Options | undefined,
  ): Started<A, E> {
    const ending = this.scope.effectiveReason() !== undefined
    const started = startUnsafe(
      fiber,
      name,
      ending ? Effect.interrupt as Effect.Effect<never> : effect,
      resolve(options),
      this.scope,
    )
    this.members.add(started)
    started.record.onSettled(() => this.onSettled(started))
    return started as Started<A, E>
  }

  cancel(reason: CancelReason.CancelReason): void {
    this.scope.cancel(reason)
    this.cancelMembers()
  }

  /** Waits for every member; interrupted, it cancels them and waits at most their budgets. */
  readonly ended: Effect.Effect<void> = Effect.suspend(() =>
    Effect.onInterrupt(this.drained, () =>
      Effect.suspend(() => {
        this.cancelMembers()
        return this.drained
      }))
  )

  /** The first failure leads; the causes of the others stand behind it. */
  cause(): Cause.Cause<unknown> {
    return this.failures.length === 0
      ? Cause.interrupt()
      : Cause.fromReasons(this.failures.flatMap((cause) => [...cause.reasons]))
  }

  get hasFailed(): boolean {
    return this.failures.length > 0
  }

  private readonly drained: Effect.Effect<void> = Effect.callback<void>((resume) => {
    if (this.members.size === 0) return resume(Effect.void)
    this.waiter = () => resume(Effect.void)
    return Effect.sync(() => {
      this.waiter = undefined
    })
  })

  private cancelMembers(): void {
    for (const member of Array.from(this.members)) member.record.cancelByOwner(this.name)
  }

  private onSettled(started: Started<unknown, unknown>): void {
    this.members.delete(started)
    const exit = outcome(started)
    if (exit._tag === "Failure") {
      // A member that somebody cancelled, we ourselves or its owner, is no failure of the group;
      // a defect in its cleanup is.
      const reasons = exit.cause.reasons.filter((reason) =>
        reason._tag !== "Interrupt" &&
        !(reason._tag === "Fail" && reason.error instanceof Cancelled)
      )
      if (reasons.length > 0) {
        this.failures.push(Cause.fromReasons(reasons))
        if (this.failFast) {
          this.cancel(
            started.record.kind === "group"
              ? CancelReason.ParentEnded(this.name)
              : CancelReason.SiblingFailed(started.name),
          )
        }
      }
    }
    if (this.members.size === 0) this.waiter?.()
  }
}
