import type { DependencyReading } from "../telemetry/Metrics.ts"
import type { Caller } from "./calling.ts"

const phases = { closed: 0, "half-open": 1, open: 2 } as const

/** What the metrics show of a dependency. */
export const readingOf = (caller: Caller, now: number): DependencyReading => {
  const { parts, totals } = caller
  return {
    name: parts.name,
    calls: totals.calls,
    attempts: totals.attempts,
    denied: totals.denied,
    duration: totals.duration.read(0),
    breaker: phases[parts.circuit?.phase(now) ?? "closed"],
    failureRatio: parts.circuit?.rates(now).failure ?? 0,
    throttleRatio: parts.share?.chance(now) ?? 0,
    retryBudget: parts.budget.balance(now),
  }
}
