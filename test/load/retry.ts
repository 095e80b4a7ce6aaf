/**
 * When a client tries again.
 */
import type { Outcome, Retry } from "./job.ts"

const worthIt: ReadonlySet<Outcome> = new Set<Outcome>([
  "refused",
  "failed",
  "timeout",
  "broken",
  "stale",
  "unreachable",
])

/**
 * The pause before the next attempt, or `undefined` when the client gives up. `attempt` is the one
 * that just ended, the first is 0; `retryAfterMs` is NaN when the answer did not say.
 */
export const pauseBefore = (
  retry: Retry,
  attempt: number,
  outcome: Outcome,
  retryAfterMs: number,
  random: () => number,
): number | undefined => {
  if (retry.kind === "none" || attempt >= retry.retries || !worthIt.has(outcome)) return undefined
  if (retry.kind === "fixed") return retry.pauseMs
  if (retry.kind === "retry-after" && retryAfterMs >= 0) return Math.min(retryAfterMs, retry.capMs)
  return random() * Math.min(retry.capMs, retry.baseMs * 2 ** attempt)
}
