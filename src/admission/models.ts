import type * as Bounded from "../bounded/Bounded.ts"
import type { Refusal } from "../bounded/Refused.ts"
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
  /**
   * Counts a request of that caller, or says why not; `now` in absolute milliseconds. With `dark`
   * nobody is refused for what it says.
   */
  readonly check: (caller: Caller | undefined, now: number, dark?: boolean) => Refusal | undefined
  /**
   * Takes back what `check` has just counted, with the same arguments: the request was let in by it,
   * and then refused for want of capacity.
   */
  readonly refund?: ((caller: Caller | undefined, now: number) => void) | undefined
}

/**
 * What a layer does: `on` refuses, `dark` counts what it would refuse and refuses nothing, `off` is
 * not asked.
 *
 * @category models
 * @since 0.1.0
 */
export type Mode = "on" | "dark" | "off"

/**
 * The layers, in the order in which they are asked: the cheapest first.
 *
 * @category models
 * @since 0.1.0
 */
export interface Modes {
  /** Refuses by class while memory is short; see `MemoryGuard`. */
  readonly memory: Mode
  /** Refuses by class while the event loop is late; see `LoopLag`. */
  readonly loopLag: Mode
  /** Refuses above `maxConcurrent`. */
  readonly concurrency: Mode
  /** Refuses what exceeds the quota of a caller. */
  readonly quota: Mode
  /**
   * Refuses what could not end in time in a bounded thing that it uses. In the dark predictions are
   * counted, and nobody is refused for one; the bounds on lines hold all the same. With `off` no
   * tickets are taken, and each acquire decides for itself.
   */
  readonly tickets: Mode
}

/**
 * What can be changed while the service runs; fields that are left out stay.
 *
 * @category models
 * @since 0.1.0
 */
export interface Limits {
  /** Requests inside at once. A whole number above zero. */
  readonly maxConcurrent?: number | undefined
  /** What each layer does. */
  readonly modes?: Partial<Modes> | undefined
}
