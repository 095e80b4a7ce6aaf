import type { Request } from "../bounded/Bounded.ts"
import * as ServiceTime from "../bounded/ServiceTime.ts"

/** Shortest time without a completion before a probe, and between two probes. */
export const probeEveryMs = 1000

/** A mean that has grown by more than this since the ticket was given is a change, not noise. */
const changed = 1.25

/** How a slot came back: only completed work tells how long work takes. */
export type Outcome = "completed" | "cancelled"

/** Work, and what its caller said of it. */
export type Declared = Pick<Request, "service" | "expectation"> & {
  /** See {@link Estimate.limit}, when that was said. */
  readonly limit?: number
}

/**
 * What is known of the service time, and when to doubt it.
 *
 * An old estimate does not refuse for ever: while slots are free and nothing has completed for a
 * second, one piece of work per second is let in as a probe, and the first completion after such a
 * drought replaces the estimate. So one outage, in which all work was cancelled at its deadline, is
 * over within a second of its end.
 */
export class Estimate {
  readonly service: ServiceTime.ServiceTime
  /** How much may run at once, where that moves by itself; else 0. */
  limit = 0
  /** The estimate is what a caller expects; the first sample replaces it. */
  #assumed = false
  #completedAt: number | undefined = undefined
  #probedAt = -Infinity
  /** When the estimate was last replaced. */
  #epoch = -Infinity
  /** Cancelled work has raised the estimate since anything completed. */
  #raised = false

  constructor(expectedMs: number | undefined) {
    this.service = ServiceTime.make({ expectedMs })
  }

  /** Believes what a caller declares, while nothing else is known. */
  declared(service: number | undefined): void {
    if (this.service.known || service === undefined || !(service > 0)) return
    this.service.replace(service)
    this.#assumed = true
  }

  /**
   * How long that work will hold its slot. What a request declares covers all of its work, part of
   * which may be behind it when it gets here: what counts from now on is the time in the slot. And it
   * is as old as its ticket: work that has become slower since is judged by what is known now.
   */
  own(work: Declared | undefined): number {
    const inSlot = this.#assumed ? 0 : this.service.estimate
    const declared = work?.service
    if (declared === undefined) return inSlot
    const mean = work!.expectation?.mean ?? 0
    // Who declares nothing at all is let in to find out. Single samples move the mean by less.
    const slower = declared > 0 && mean > declared * changed ? mean : declared
    // With more at once the other side only queues, at worst: then all takes longer by as much.
    const more = work!.limit ? Math.max(1, this.limit / work!.limit) : 1
    return Math.min(slower * more, inSlot)
  }

  /** Work has ended that got its slot at `since`; true when it is the first of which anything is known. */
  ended(since: number, probe: boolean, now: number, outcome: Outcome): boolean {
    const elapsed = Math.max(0, now - since)
    if (outcome === "completed") return this.#completed(elapsed, probe, now)
    // Work from before a drought ended says nothing about the time after it.
    if (since < this.#epoch) return false
    const before = this.service.estimate
    this.service.observeCensored(elapsed)
    if (this.service.estimate > before) this.#raised = true
    return false
  }

  /** Whether work that seems hopeless may find out; `spare` slots are left for it. */
  mayProbe(now: number, deadline: number, spare: number): boolean {
    const since = Math.max(this.#completedAt ??= now, this.#probedAt)
    if (deadline <= now || spare <= 0 || now - since < probeEveryMs) return false
    this.#probedAt = now
    return true
  }

  #completed(elapsed: number, probe: boolean, now: number): boolean {
    const blind = !this.service.known
    const drought = this.#raised && now - (this.#completedAt ?? now) >= probeEveryMs
    if (probe || drought || this.#assumed) {
      this.service.replace(elapsed)
      this.#epoch = now
    } else this.service.observe(elapsed)
    this.#completedAt = now
    this.#raised = this.#assumed = false
    return blind
  }
}
