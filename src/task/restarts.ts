/** When a child that crashed is started again. A first, small version: no back-off yet. */
export interface RestartPolicy {
  readonly intensity: number
  readonly periodMs: number
}

export const defaultRestart: RestartPolicy = { intensity: 3, periodMs: 5000 }

export type Verdict =
  | { readonly _tag: "Restart"; readonly attempt: number; readonly delayMs: number }
  | { readonly _tag: "Exhausted"; readonly restarts: number; readonly withinMs: number }

/** The restarts of one child, in a sliding period. */
export class Restarts {
  private readonly policy: RestartPolicy
  private recent: Array<number> = []

  constructor(policy: RestartPolicy) {
    this.policy = policy
  }

  crashed(now: number, _cause: unknown): Verdict {
    const { intensity, periodMs } = this.policy
    this.recent = this.recent.filter((at) => at > now - periodMs)
    if (this.recent.length >= intensity) {
      return { _tag: "Exhausted", restarts: this.recent.length, withinMs: periodMs }
    }
    this.recent.push(now)
    return { _tag: "Restart", attempt: this.recent.length, delayMs: 0 }
  }
}
