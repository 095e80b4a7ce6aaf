import { Cause, type Context, Effect, type Scope } from "effect"
import * as CancelReason from "./CancelReason.ts"
import { type Failure, outcome } from "./handle.ts"
import { Members } from "./members.ts"
import { diesOf, type Started } from "./start.ts"

/**
 * Runs every branch as a task; the first success wins, and the others are cancelled and cleaned up
 * before the winner's value is returned.
 *
 * **Details** – losers read `Requested` by `Task.race`, with the winner's name in the note. The wait
 * for each loser's cleanup is bounded by its budget (5 seconds). A branch that succeeds without
 * suspending wins at once, and those behind it never start. A defect in a loser's cleanup is logged;
 * it does not take the winner's value away.
 *
 * **Fails with** – all causes together, when no branch succeeds, in the order in which they failed.
 * Dies when there is no branch.
 *
 * **Interruption** – cancels every branch and waits for its cleanup, at most its budget.
 *
 * @category combinators
 * @since 0.1.0
 */
export const race = <
  const Branches extends Readonly<Record<string, Effect.Effect<unknown, unknown, unknown>>>,
>(
  branches: Branches,
): Effect.Effect<
  Effect.Success<Branches[keyof Branches]>,
  Effect.Error<Branches[keyof Branches]> | Failure,
  Exclude<Effect.Services<Branches[keyof Branches]>, Scope.Scope>
> => {
  type A = Effect.Success<Branches[keyof Branches]>
  type E = Effect.Error<Branches[keyof Branches]>
  return Effect.uninterruptibleMask((restore) =>
    Effect.withFiber((fiber) => {
      let winner: Started<A, E> | undefined
      let last: Started<A, E> | undefined
      const members = new Members(fiber, "race")
      for (const [name, effect] of Object.entries(branches)) {
        members.start(fiber, name, effect as Effect.Effect<A, E>, undefined, (member, failed) => {
          last = member
          if (winner !== undefined) {
            if (failed) report(member, fiber.context)
          } else if (member.exit()?._tag === "Success") {
            winner = member
            members.cancel(CancelReason.Requested("Task.race", `${name} won`))
          }
        })
        if (winner !== undefined) break
      }
      members.seal()
      const exit = (): Effect.Effect<A, E | Failure> => {
        if (winner !== undefined) return winner.exit()!
        if (last === undefined) return Effect.die(new Error("Task.race needs at least one branch."))
        return members.failures.length === 0
          ? outcome(last)
          : Effect.failCause(members.cause() as Cause.Cause<E | Failure>)
      }
      return members.closed ? exit() : Effect.flatMap(members.drain(restore), exit)
    })
  )
}

/** The winner's value is not lost by it, but a defect must not be silent either. */
const report = (loser: Started<unknown, unknown>, context: Context.Context<never>): void => {
  const exit = loser.exit()
  if (exit?._tag !== "Failure" || !Cause.hasDies(exit.cause)) return
  Effect.runForkWith(context)(Effect.logWarning(
    `The cleanup of "${loser.name}", which lost a race, died.`,
    Cause.fromReasons(diesOf(exit.cause)),
  )).addObserver(() => {})
}
