/**
 * May this work enter? A place in every bounded thing that it will need, all or none, at the door.
 *
 * **Details** – *bounded by* `maxConcurrent`; *owned by* the service; *seen in* `/saturation` as
 * `admission`.
 *
 * @module
 */
import { Context, Effect, Layer } from "effect"
import type { Bounded, Request, Ticket } from "../bounded/Bounded.ts"
import { Quota } from "../bounded/quota.ts"
import { isRefusal, type Refusal } from "../bounded/Refused.ts"
import { register } from "../bounded/Saturation.ts"

/**
 * The door of a service. Synchronous.
 *
 * @category models
 * @since 0.1.0
 */
export interface Admission {
  /**
   * Admits work that will use those bounded things: a ticket in each, all or none.
   *
   * **Details** – refuses with `ShuttingDown` once closed, with `QueueFull` above `maxConcurrent`,
   * otherwise with the first refusal of a bounded thing. Every success must be paired with one
   * {@link Admission.leave}.
   */
  readonly enter: (
    uses: ReadonlyArray<Bounded>,
    request: Request,
  ) => ReadonlyArray<Ticket> | Refusal
  /** Gives back what {@link Admission.enter} took; tickets that were redeemed stay redeemed. */
  readonly leave: (tickets: ReadonlyArray<Ticket>) => void
  /** Refuses everything from now on with `ShuttingDown`; what is inside may finish. */
  readonly close: () => void
  /** Work inside. */
  readonly inUse: number
}

/**
 * Options of {@link layer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Requests inside at once, whatever they use. A whole number above zero. Default 4096. */
  readonly maxConcurrent?: number
}

/**
 * The admission in force.
 *
 * @category services
 * @since 0.1.0
 */
export const Admission: Context.Service<Admission, Admission> = Context.Service<Admission>(
  "weir/admission/Admission",
)

/**
 * Builds the door and registers it as the bounded thing `admission`.
 *
 * **Fails with** – nothing; dies with one sentence when `maxConcurrent` makes no sense.
 *
 * **Interruption** – does not wait.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options = {}): Layer.Layer<Admission> =>
  Layer.effect(
    Admission,
    Effect.suspend(() => {
      const door = new Door(options.maxConcurrent ?? 4096)
      return Effect.as(register(door.quota), door)
    }),
  )

const none: ReadonlyArray<Ticket> = []

class Door implements Admission {
  readonly quota: Quota
  private closed = false

  constructor(capacity: number) {
    this.quota = new Quota("admission", "admission", capacity)
  }

  get inUse(): number {
    return this.quota.inUse
  }

  enter(uses: ReadonlyArray<Bounded>, request: Request): ReadonlyArray<Ticket> | Refusal {
    const { quota } = this
    if (this.closed) return quota.refuse("ShuttingDown", 1000)
    if (quota.inUse >= quota.capacity) return quota.refuse("QueueFull", 1000)
    let tickets = none
    if (uses.length > 0) {
      const first = uses[0]!.reserve(request)
      if (isRefusal(first)) return first
      // A literal has one place; the first push to an empty array makes seventeen.
      const taken = [first]
      for (let i = 1; i < uses.length; i++) {
        const ticket = uses[i]!.reserve(request)
        if (isRefusal(ticket)) {
          for (const other of taken) other.release()
          return ticket
        }
        taken.push(ticket)
      }
      tickets = taken
    }
    quota.took()
    return tickets
  }

  leave(tickets: ReadonlyArray<Ticket>): void {
    this.quota.leave()
    for (let i = 0; i < tickets.length; i++) tickets[i]!.release()
  }

  close(): void {
    this.closed = true
  }
}
