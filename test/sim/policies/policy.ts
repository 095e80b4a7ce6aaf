/** A limit on concurrency that learns from what it sees: the shape all policies here have. */
export interface LimitPolicy {
  /** How much may run at once. */
  readonly limit: number
  /**
   * A call has ended: `now` and `rttMs` in milliseconds, `inFlight` how many ran when it began, itself
   * included, `dropped` when the other side said no or did not answer.
   */
  onSample(now: number, rttMs: number, inFlight: number, dropped: boolean): void
}
