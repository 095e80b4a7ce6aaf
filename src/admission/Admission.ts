/**
 * May this work enter? A place in every bounded thing that it will need, all or none, at the door.
 *
 * **Details** – *bounded by* `maxConcurrent`; *owned by* the service; *seen in* `/saturation` as
 * `admission`.
 *
 * @module
 */
import { Context, Effect, Layer } from "effect"
import type * as Bounded from "../bounded/Bounded.ts"
import { Quota } from "../bounded/quota.ts"
import { isRefusal, type Refusal } from "../bounded/Refused.ts"
import { register } from "../bounded/Saturation.ts"
import type { Caller } from "./Caller.ts"

/**
 * What a request tells admission: what bounded things ask for, and who sent it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Request extends Bounded.Request {
  /** Who sent it; asked only if something has to know. */
  readonly caller?: Caller | undefined
}

/**
 * A limit on what one caller may send. Synchronous.
 *
 * @category models
 * @since 0.1.0
 */
export interface Quotas {
  /** Counts a request of that caller, or says why not; `now` in absolute milliseconds. */
  readonly check: (caller: Caller | undefined, now: number) => Refusal | undefined
}

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
   * with what {@link Quotas} say, otherwise with the first refusal of a bounded thing. Every success must be paired with one
   * {@link Admission.leave}.
   */
  readonly enter: (
    uses: ReadonlyArray<Bounded.Bounded>,
    request: Request,
  ) => ReadonlyArray<Bounded.Ticket> | Refusal
  /** Gives back what {@link Admission.enter} took; tickets that were redeemed stay redeemed. */
  readonly leave: (tickets: ReadonlyArray<Bounded.Ticket>) => void
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
  /** Limits on single callers. Default none. */
  readonly quota?: Quotas | undefined
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
      const door = new Door(options.maxConcurrent ?? 4096, options.quota)
      return Effect.as(register(door.quota), door)
    }),
  )

const none: ReadonlyArray<Bounded.Ticket> = []

class Door implements Admission {
  readonly quota: Quota
  private readonly quotas: Quotas | undefined
  private closed = false

  constructor(capacity: number, quotas: Quotas | undefined) {
    this.quotas = quotas
    this.quota = new Quota("admission", "admission", capacity)
  }

  get inUse(): number {
    return this.quota.inUse
  }

  enter(
    uses: ReadonlyArray<Bounded.Bounded>,
    request: Request,
  ): ReadonlyArray<Bounded.Ticket> | Refusal {
    const { quota, quotas } = this
    if (this.closed) return quota.refuse("ShuttingDown", 1000)
    if (quota.inUse >= quota.capacity) return quota.refuse("QueueFull", 1000)
    const over = quotas === undefined ? undefined : quotas.check(request.caller, request.now)
    if (over !== undefined) return over
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

  leave(tickets: ReadonlyArray<Bounded.Ticket>): void {
    this.quota.leave()
    for (let i = 0; i < tickets.length; i++) tickets[i]!.release()
  }

  close(): void {
    this.closed = true
  }
}
