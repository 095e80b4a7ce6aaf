import { Effect } from "effect"
import { Mistake } from "../internal/mistake.ts"
import type { DeadLetter } from "./DeadLetters.ts"
import type { Kind } from "./kind.ts"

/** A place for a kind: references find it there, also those made before it was. */
export interface Slot {
  /** Set while it is there. */
  kind: Kind | undefined
  /** It was there, and is not any more. */
  left: boolean
}

/** What became of the messages that had not ended when some kinds began to stop. */
export interface Stopping {
  /** Kinds that were stopped. */
  readonly kinds: number
  /** Queued or running when the stop began. */
  readonly pending: number
  /** Queued for too long: dead letters now. */
  readonly discarded: number
}

/** The synchronous core. */
export class System {
  private readonly slots = new Map<string, Slot>()
  /** Those that are there, the youngest last. */
  private readonly installed = new Set<Kind>()
  /** Takes dead letters. */
  readonly publish: (letter: DeadLetter) => void
  readonly stopMs: number
  /** When all must have handled what they have been told; set when the process stops. */
  private stopBy: number | undefined = undefined

  constructor(publish: (letter: DeadLetter) => void, stopMs = 25_000) {
    this.publish = publish
    this.stopMs = stopMs
  }

  /** The place of that name. */
  slot(name: string): Slot {
    let slot = this.slots.get(name)
    if (slot === undefined) this.slots.set(name, slot = { kind: undefined, left: false })
    return slot
  }

  /** Puts a kind into its place. */
  install(kind: Kind): void {
    const slot = this.slot(kind.name)
    if (slot.kind !== undefined) {
      throw new Mistake(
        `Actor "${kind.name}" is there already. Give each kind of actors a name of its own.`,
      )
    }
    slot.kind = kind
    slot.left = false
    this.installed.add(kind)
  }

  /** Takes it out again. */
  remove(kind: Kind): void {
    this.installed.delete(kind)
    const slot = this.slot(kind.name)
    if (slot.kind !== kind) return
    slot.kind = undefined
    slot.left = true
  }

  /** Those that are there. */
  get kinds(): ReadonlyArray<Kind> {
    return Array.from(this.installed)
  }

  /** How long a kind that stops now may handle what is queued. */
  stopGrace(now: number, own: number): number {
    return this.stopBy === undefined ? own : Math.max(0, Math.min(own, this.stopBy - now))
  }

  /**
   * Stops kinds because the process stops, one after the other, the youngest first: what one tells
   * its elders while it drains still arrives. The first call begins the time for all of them.
   */
  stop(kinds: ReadonlyArray<Kind>): Effect.Effect<Stopping> {
    return Effect.clockWith((clock) => {
      this.stopBy ??= clock.currentTimeMillisUnsafe() + this.stopMs
      const before = sum(kinds)
      return Effect.map(
        Effect.forEach(Array.from(kinds).reverse(), (kind) => kind.stop, { discard: true }),
        () => ({
          kinds: kinds.length,
          pending: before.pending,
          discarded: sum(kinds).discarded - before.discarded,
        }),
      )
    })
  }
}

const sum = (kinds: ReadonlyArray<Kind>) => {
  let pending = 0
  let discarded = 0
  for (const kind of kinds) {
    const { ended, queued, running } = kind.account()
    pending += queued + running
    discarded += ended.discarded
  }
  return { pending, discarded }
}
