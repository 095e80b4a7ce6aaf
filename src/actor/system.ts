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

/** The synchronous core. */
export class System {
  private readonly slots = new Map<string, Slot>()
  /** Takes dead letters. */
  readonly publish: (letter: DeadLetter) => void

  constructor(publish: (letter: DeadLetter) => void) {
    this.publish = publish
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
  }

  /** Takes it out again. */
  remove(kind: Kind): void {
    const slot = this.slot(kind.name)
    if (slot.kind !== kind) return
    slot.kind = undefined
    slot.left = true
  }

  /** Those that are there. */
  get kinds(): ReadonlyArray<Kind> {
    return Array.from(this.slots.values(), (slot) => slot.kind).filter((kind) => kind !== undefined)
  }
}
