import { ranks, usual } from "../bounded/rank.ts"
import { Quota } from "../bounded/quota.ts"
import type { Stats } from "../bounded/Bounded.ts"
import type { Request } from "./models.ts"

/** From which value on which classes are refused: the ranks from `ranks[i]` on above `above[i]`. */
export interface Step {
  readonly above: number
  /** The most critical rank that is refused. */
  readonly rank: number
}

/**
 * The step in force, counted from 1; 0 is none. It is reached above its threshold, and left only below
 * `release` times that, so that a value that swings round a threshold does not make it flap.
 */
export const stepOf = (
  steps: ReadonlyArray<Step>,
  before: number,
  value: number,
  release: number,
): number => {
  let now = steps.length
  while (now > 0) {
    const { above } = steps[now - 1]!
    if (value > above || (now <= before && value >= above * release)) return now
    now--
  }
  return 0
}

/**
 * A layer of admission that looks at the process, not at what the work needs. As a bounded thing it has
 * a place for each step, and those in force are in use; nobody can wait for one.
 */
export abstract class Guard extends Quota {
  abstract readonly retryAfterMs: number
  private readonly steps: ReadonlyArray<Step>
  private readonly release: number
  /** The most critical rank that is refused now; `ranks` when none is. */
  private floor = ranks

  constructor(kind: string, steps: ReadonlyArray<Step>, release: number) {
    super(kind, kind, steps.length)
    this.steps = steps
    this.release = release
  }

  /** Looks again, if it is time to. */
  protected abstract look(now: number): void

  /** The value has been looked at. */
  protected found(value: number): void {
    const step = stepOf(this.steps, this.inUse, value, this.release)
    this.inUse = step
    this.floor = step === 0 ? ranks : this.steps[step - 1]!.rank
  }

  /** Whether such a request is to be refused; its class is asked for only in need. */
  refuses(request: Request): boolean {
    this.look(request.now)
    return this.floor < ranks && (request.criticality ?? usual) >= this.floor
  }

  override stats(now: number): Stats {
    this.look(now)
    return super.stats(now)
  }
}
