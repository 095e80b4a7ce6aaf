import type { Clock } from "effect"
import type { Child } from "./child.ts"
import { type Timer, timersOf } from "./timers.ts"

/**
 * The restarts that wait for their instant: one for each child, or, where children restart together,
 * one for all of them, at the latest of their instants.
 */
export class Waits {
  private readonly clock: Clock.Clock
  private readonly together: boolean
  private readonly own = new Map<Child, Timer>()
  private common: Timer | undefined
  private commonAt = 0

  constructor(clock: Clock.Clock, together: boolean) {
    this.clock = clock
    this.together = together
  }

  /** Has `go` called at that instant; false when it is there already. */
  until(child: Child, dueAt: number, go: () => void): boolean {
    const timers = timersOf(this.clock)
    if (this.together) {
      if (this.common !== undefined) timers.cancel(this.common)
      this.commonAt = this.common === undefined ? dueAt : Math.max(this.commonAt, dueAt)
      this.common = undefined
    }
    const at = this.together ? this.commonAt : dueAt
    if (at <= this.clock.currentTimeMillisUnsafe()) return false
    const timer = timers.schedule(at, () => {
      if (this.together) this.common = undefined
      else this.own.delete(child)
      go()
    })
    if (this.together) this.common = timer
    else this.own.set(child, timer)
    return true
  }

  /** The child does not wait any more; `others` says whether another one does. */
  withdraw(child: Child, others: () => boolean): void {
    if (this.together ? this.common === undefined : !this.own.has(child)) return
    const timer = this.together ? this.common : this.own.get(child)
    if (this.together && others()) return
    if (timer !== undefined) timersOf(this.clock).cancel(timer)
    this.own.delete(child)
    this.common = undefined
  }

  /** Nobody waits any more. */
  clear(): void {
    const timers = timersOf(this.clock)
    for (const timer of this.own.values()) timers.cancel(timer)
    if (this.common !== undefined) timers.cancel(this.common)
    this.own.clear()
    this.common = undefined
  }
}
