import { Backlog } from "./backlog.ts"
import type { Reason, Refusal } from "../bounded/Refused.ts"
import { Tally } from "../bounded/tally.ts"
import { probeEveryMs } from "./estimate.ts"

/** Slots at the moment of a refusal. */
export interface Picture {
  readonly kind: string
  readonly name: string
  readonly service: { readonly mean: number }
  readonly inUse: number
  readonly capacity: number
}

/** What slots say no with, and how often they did. */
export class Refusals {
  readonly tally = new Tally()
  readonly #backlog = new Backlog()

  /**
   * Counts it; `waiting` and `waitMs` are what the newcomer met. Others are told to come later because of
   * it only if it `returns` to something that will be there: else whoever asks for the impossible again
   * and again would send everybody else away for a minute.
   */
  of(
    reason: Reason,
    slots: Picture,
    waiting: number,
    waitMs: number,
    now: number,
    returns: boolean,
  ): Refusal {
    this.tally.refuse(reason)
    // What is refused for lack of time alone gets the time after which the estimate is tried again.
    const drain = waitMs > 0 ? waitMs : probeEveryMs
    return {
      _tag: "Refusal",
      reason,
      kind: slots.kind,
      resource: slots.name,
      inUse: slots.inUse,
      capacity: slots.capacity,
      waiting,
      predictedWaitMs: waitMs,
      retryAfterMs: Math.max(1, drain),
      backlogMs: returns && reason !== "Closed" && reason !== "ShuttingDown"
        ? this.#backlog.next(now, slots.service.mean / slots.capacity)
        : 0,
    }
  }
}
