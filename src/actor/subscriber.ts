import { type Array as Arr, Cause, Clock, Duration, Effect } from "effect"
import type { DeadLetter, Delivery } from "./DeadLetters.ts"
import { Ring } from "./ring.ts"

/** What a subscriber that answers each letter with another one may at most be given. */
const lettersPerSecond = 1000

/** One reader of dead letters: a bounded buffer that drops the oldest and says how many. */
export class Subscriber {
  private readonly buffer: Ring<DeadLetter>
  readonly capacity: number
  private readonly later: (task: () => void) => void
  /** Letters that it did not get since the last one that it did get. */
  private missed = 0
  private closed = false
  private wake: (() => void) | undefined = undefined
  private second = -Infinity
  private given = 0

  constructor(capacity: number, later: (task: () => void) => void) {
    this.buffer = new Ring(capacity)
    this.capacity = capacity
    this.later = later
  }

  /** Letters in the buffer. */
  get size(): number {
    return this.buffer.size
  }

  /** When the oldest one in the buffer was written. */
  get oldestAt(): number | undefined {
    return this.buffer.oldest?.at
  }

  /** Adds a letter; true when the oldest had to go. The reader runs in a later turn. */
  push(letter: DeadLetter): boolean {
    if (this.closed) return false
    const lost = this.buffer.push(letter)
    if (lost) this.missed++
    this.stir()
    return lost
  }

  /** Ends the stream after what is buffered. */
  close(): void {
    this.closed = true
    this.stir()
  }

  /** What there is, as soon as there is something. */
  get pull(): Effect.Effect<Arr.NonEmptyReadonlyArray<Delivery>, Cause.Done> {
    return Effect.withFiber((fiber) => {
      if (this.buffer.size === 0) {
        return this.closed ? Cause.done() : Effect.flatMap(this.woken, () => this.pull)
      }
      const now = fiber.getRef(Clock.Clock).currentTimeMillisUnsafe()
      if (now - this.second >= 1000) {
        this.second = now
        this.given = 0
      }
      const left = lettersPerSecond - this.given
      if (left <= 0) {
        const rest = Duration.millis(Math.max(1, this.second + 1000 - now))
        return Effect.flatMap(Effect.sleep(rest), () => this.pull)
      }
      return Effect.succeed(this.take(left))
    })
  }

  private take(most: number): Arr.NonEmptyReadonlyArray<Delivery> {
    const deliveries: Array<Delivery> = []
    let missed = this.missed
    this.missed = 0
    while (deliveries.length < most) {
      const letter = this.buffer.shift()
      if (letter === undefined) break
      deliveries.push({ letter, missed })
      missed = 0
    }
    this.given += deliveries.length
    return deliveries as unknown as Arr.NonEmptyReadonlyArray<Delivery>
  }

  private stir(): void {
    const { wake } = this
    if (wake === undefined) return
    this.wake = undefined
    // The reader is foreign code: it must not run where a letter is written.
    this.later(wake)
  }

  private get woken(): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      this.wake = () => resume(Effect.void)
      return Effect.sync(() => {
        this.wake = undefined
      })
    })
  }
}
