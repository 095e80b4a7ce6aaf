import { Effect } from "effect"

/**
 * What a supervisor still has to do, in order. It needs no bound of its own: each entry belongs to a
 * child that has ended, to a timer of a child, or to a caller that waits.
 */
export class Inbox<A> {
  private items: Array<A> = []
  private next = 0
  private wake: (() => void) | undefined
  private closed = false

  /** Appends one; false when it is closed. */
  push(item: A): boolean {
    if (this.closed) return false
    this.items.push(item)
    const wake = this.wake
    this.wake = undefined
    wake?.()
    return true
  }

  /** Waits for the next one. For one reader. */
  readonly take: Effect.Effect<A> = Effect.suspend(() =>
    this.next < this.items.length
      ? Effect.succeed(this.shift())
      : Effect.flatMap(this.filled, () => this.take)
  )

  /** Takes no more, and gives back what is left. */
  close(): ReadonlyArray<A> {
    this.closed = true
    const left = this.items.slice(this.next)
    this.items = []
    this.next = 0
    return left
  }

  private readonly filled: Effect.Effect<void> = Effect.callback<void>((resume) => {
    // A fiber may give way between two effects, and something may have come meanwhile.
    if (this.next < this.items.length) return resume(Effect.void)
    this.wake = () => resume(Effect.void)
    return Effect.sync(() => {
      this.wake = undefined
    })
  })

  private shift(): A {
    const item = this.items[this.next++]!
    if (this.next === this.items.length) {
      this.items = []
      this.next = 0
    }
    return item
  }
}
