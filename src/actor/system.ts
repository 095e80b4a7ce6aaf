import type { Supervisor } from "../task/Supervisor.ts"
import { Effect } from "effect"
import { Mistake } from "../internal/mistake.ts"
import type { DeadLetter } from "./DeadLetters.ts"
import type { ActorReading } from "../telemetry/Metrics.ts"
import type { Cell } from "./cell.ts"
import type { Kind } from "./kind.ts"
import { Tally, Totals } from "./totals.ts"

/** Names that are counted apart; the rest is one. */
const maxTallies = 1000
const other = "other"

/** A place for a kind: references find it there, also those made before it was. */
export interface Slot {
  /** Set while it is there. */
  kind: Kind | undefined
  /** It was there, and is not any more. */
  left: boolean
}

/** What became of the messages that had not ended when some kinds began to stop. */
export interface Stopping {
  /** Queued or running when the stop began. */
  readonly pending: number
  /** Still running when the grace was over. */
  readonly cancelled: number
  /** Still queued then: dead letters now. */
  readonly discarded: number
}

/** The synchronous core. */
export class System {
  private readonly slots = new Map<string, Slot>()
  /** Those that are there, the youngest last. */
  private readonly installed = new Set<Kind>()
  private readonly tallies = new Map<string, Tally>()
  /** Takes dead letters. */
  readonly publish: (letter: DeadLetter) => void
  readonly stopMs: number
  /** Of all kinds: starts it, the first time; set right after construction. */
  supervisor!: Effect.Effect<Supervisor>
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
    kind.tally.past.merge(kind.totals())
  }

  readonly tally = (name: string): Tally => {
    let tally = this.tallies.get(name)
    if (tally !== undefined) return tally
    if (this.tallies.size >= maxTallies && name !== other) return this.tally(other)
    this.tallies.set(name, tally = new Tally(name))
    return tally
  }

  /** What the metrics say, by name of a definition; children count under their own. */
  readings(): ReadonlyArray<ActorReading> {
    const rows = new Map<Tally, { readonly totals: Totals; residents: number }>()
    const row = (tally: Tally) => {
      let row = rows.get(tally)
      if (row === undefined) {
        rows.set(tally, row = { totals: new Totals(), residents: 0 })
        row.totals.merge(tally.past)
      }
      return row
    }
    const resident = ({ children, home }: Cell) => {
      row(home.tally).residents++
      if (children === undefined) return
      for (const child of children.values()) {
        row(child.home.tally).totals.add(child.mailbox)
        resident(child)
      }
    }
    for (const tally of this.tallies.values()) row(tally)
    for (const kind of this.kinds) {
      row(kind.tally).totals.merge(kind.totals())
      for (const cell of kind.residents) resident(cell)
    }
    return Array.from(rows, ([{ name, restarts, waits }, { residents, totals }]) => ({
      name,
      residents,
      restarts,
      ended: totals.ended,
      waits: waits.read(totals.started),
    }))
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
        () => {
          const after = sum(kinds)
          return {
            pending: before.pending,
            cancelled: after.cancelled - before.cancelled,
            discarded: after.discarded - before.discarded,
          }
        },
      )
    })
  }
}

const sum = (kinds: ReadonlyArray<Kind>) => {
  let pending = 0
  let cancelled = 0
  let discarded = 0
  for (const kind of kinds) {
    const { ended, queued, running } = kind.account()
    pending += queued + running
    cancelled += ended.cancelled
    discarded += ended.discarded
  }
  return { pending, cancelled, discarded }
}
