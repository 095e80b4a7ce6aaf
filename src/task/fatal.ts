import { Context } from "effect"

/**
 * Told when the program as a whole cannot go on. A service drains, and exits with 1; outside one
 * nobody listens.
 */
export const Fatal: Context.Reference<(error: Error) => void> = Context.Reference<
  (error: Error) => void
>(
  "weir/task/Fatal",
  { defaultValue: () => (_error: Error) => {} },
)
