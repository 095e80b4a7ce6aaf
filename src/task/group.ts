import { type Cause, Effect, type Scope } from "effect"
import * as CancelReason from "./CancelReason.ts"
import { type Failure, handle, type Options, outcome, type Task } from "./handle.ts"
import { Members } from "./members.ts"

/**
 * The open group inside {@link group}: starts tasks that end before the group does.
 *
 * @category models
 * @since 0.1.0
 */
export interface Group<in E> {
  /**
   * Starts a task in the group. A group that is ending, or has ended, cancels it without running
   * it. The task has the deadline of the group, wherever it is started from.
   */
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
 * body that fails cancels the tasks with `ParentEnded`, and one that was cancelled passes its reason
 * on. The body is cancelled first, then the tasks, the youngest first; all clean up at the same
 * time. A task that somebody cancels by itself is no failure; one whose own deadline passes is.
 * Failures of the others, and defects of any cleanup, are kept in the cause behind the first one.
 * Members are not limited in number: bound what starts them. What they may fail with cannot be
 * inferred: write it, as in `(group: Task.Group<Refused.Refused | Database.NoRow>) => …`.
 *
 * **Fails with** – the first failure, of a task or of the body; {@link CleanupAbandoned} of a task
 * whose cleanup overran.
 *
 * **Interruption** – cancels body and tasks, and waits for their cleanup, at most their budgets.
 *
 * @example One failure stops the other task
 * ```ts
 * import { Effect, Exit } from "effect"
 * import { Task } from "@weir/runtime"
 * import { strictEqual } from "node:assert/strict"
 *
 * const program = Task.group((group: Task.Group<string>) =>
 *   Effect.gen(function* () {
 *     yield* group.start("slow", Effect.never)
 *     yield* group.start("broken", Effect.fail("disk full"))
 *   })
 * )
 * strictEqual(await Effect.runPromise(Effect.flip(program)), "disk full")
 * ```
 *
 * @see the nursery of Trio and `errgroup` of Go
 * @category constructors
 * @since 0.1.0
 */
export const group = <A, E, R, E2 = never>(
  body: (group: Group<E2>) => Effect.Effect<A, E, R>,
  options?: { readonly name?: string },
): Effect.Effect<A, E | E2 | Failure, Exclude<R, Scope.Scope>> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.withFiber((fiber) => {
      const name = options?.name ?? "group"
      const members = new Members(fiber, name)
      const open: Group<E2> = {
        start: (childName, effect, childOptions) =>
          Effect.withFiber((starter) =>
            Effect.sync(() =>
              handle(members.start(starter, childName, effect, childOptions, (member, failed) => {
                if (failed) members.cancel(CancelReason.SiblingFailed(member.name))
              }))
            )
          ),
      }
      const bodied = Effect.suspend(() => body(open))
      const main = members.start(fiber, name, bodied, { kind: "group" }, (member) => {
        if (member.exit()?._tag === "Success") return
        members.cancel(member.record.scope.reason ?? CancelReason.ParentEnded(name))
      })
      members.leader = main
      members.seal()
      const exit = (): Effect.Effect<A, E | E2 | Failure> =>
        members.failures.length > 0
          ? Effect.failCause(members.cause() as Cause.Cause<E | E2 | Failure>)
          : outcome(main)
      return members.closed ? exit() : Effect.flatMap(members.drain(restore), exit)
    })
  )
