import { Cause, Effect } from "effect"
import { Mistake } from "../internal/mistake.ts"
import type { SupervisorExhausted } from "./giveup.ts"
import type { Verdict } from "./restarts.ts"

/** What a supervisor says in the log, and nothing else. */

/** The cause of an end that was no failure: there is none. */
export const endedNormally: Cause.Cause<unknown> = Cause.empty

const named = (supervisor: string, child: string, more?: Record<string, unknown>) =>
  Effect.annotateLogs({ supervisor, child, ...more })

/** A restart, once for each, with the wait before it. */
export const restarts = (
  supervisor: string,
  child: string,
  cause: Cause.Cause<unknown> | undefined,
  what: "ended" | "not started",
  { attempt, delayMs }: Extract<Verdict, { readonly _tag: "Restart" }>,
  others: number,
): Effect.Effect<void> => {
  const happened = what === "not started"
    ? "did not start"
    : cause === undefined
    ? "ended"
    : "failed"
  const when = delayMs > 0 ? `in ${delayMs} ms` : "now"
  const group = others === 0 ? "" : `, together with ${others} ${others === 1 ? "other" : "others"}`
  return Effect.logWarning(
    `Child "${child}" of supervisor "${supervisor}" ${happened}. ` +
      `Restart ${attempt} follows ${when}${group}.`,
    ...(cause === undefined ? [] : [cause]),
  ).pipe(named(supervisor, child, { attempt, delayMs }))
}

/** The failure of a temporary child. */
export const notRestarted = (
  supervisor: string,
  child: string,
  cause: Cause.Cause<unknown>,
): Effect.Effect<void> =>
  Effect.logWarning(
    `Child "${child}" of supervisor "${supervisor}" failed. It is temporary: no restart follows.`,
    cause,
  ).pipe(named(supervisor, child))

/** A failure of the cleanup, or one that came just before the stop. */
export const stopFailed = (
  supervisor: string,
  child: string,
  cause: Cause.Cause<unknown>,
): Effect.Effect<void> =>
  Effect.logWarning(
    `Child "${child}" of supervisor "${supervisor}" failed while it was being stopped.`,
    cause,
  ).pipe(named(supervisor, child))

/** A supervisor that nobody supervises gave up. */
export const gaveUp = (error: SupervisorExhausted): Effect.Effect<void> =>
  Effect.logError(error.message, error.cause).pipe(named(error.supervisor, error.child))

/** Two children of one id. */
export const twice = (supervisor: string, child: string): Mistake =>
  new Mistake(
    `Cannot make the supervisor "${supervisor}": two of its children are called "${child}". ` +
      "Give each an id of its own.",
  )
