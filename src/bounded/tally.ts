import type { Stats } from "./Bounded.ts"
import { counters, type Reason } from "./Refused.ts"

/** Refusals of one bounded thing, and those that were only tried. */
export class Tally {
  private readonly refused = counters()
  /** Made when there is something. */
  private spared: Record<Reason, number> | undefined = undefined

  refuse(reason: Reason): void {
    this.refused[reason]++
  }

  /** What would have been refused. */
  spare(reason: Reason): void {
    this.spared ??= counters()
    this.spared[reason]++
  }

  get stats(): Pick<Stats, "refused" | "wouldRefuse"> {
    const refused = { ...this.refused }
    return this.spared === undefined ? { refused } : { refused, wouldRefuse: { ...this.spared } }
  }
}
