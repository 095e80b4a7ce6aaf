import { Cause, Effect, Exit } from "effect"

/** What a cleanup died of, as a failure: it must not be lost with the exit of what was interrupted. */
export const defectsOf = (exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> => {
  const dies = Exit.isFailure(exit)
    ? exit.cause.reasons.filter((reason) => reason._tag === "Die")
    : []
  return dies.length === 0 ? Effect.void : Effect.failCause(Cause.fromReasons<never>(dies))
}
