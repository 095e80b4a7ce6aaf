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

/** One name, as an operator sees it. */
interface Info extends Pick<ActorReading, "name" | "residents" | "restarts"> {
  readonly account: Totals["account"]
}

interface Row {
  readonly totals: Totals
  residents: number
}

/** The synchronous core. */
export class System {
  private readonly slots = new Map<string, Slot>()
  /** Those that are there, the youngest last. */
  private readonly installed = new Set<Kind>()
  /** Those that were taken out while something of them still ran. */
  private readonly departed = new Set<Kind>()
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
    this.depart(kind)
  }

  readonly tally = (name: string): Tally => {
    let tally = this.tallies.get(name)
    if (tally !== undefined) return tally
    if (this.tallies.size >= maxTallies && name !== other) return this.tally(other)
    this.tallies.set(name, tally = new Tally(name))
    return tally
  }

  /** What is counted, by name of a definition; children count under their own. */
  private rows(): Map<Tally, Row> {
    const rows = new Map<Tally, Row>()
    const row = (tally: Tally) => {
      let row = rows.get(tally)
      if (row === undefined) {
        rows.set(tally, row = { totals: new Totals(), residents: 0 })
        row.totals.merge(tally.past)
        for (const mailbox of tally.children) row.totals.add(mailbox)
      }
      return row
    }
    const resident = ({ children, home }: Cell) => {
      row(home.tally).residents++
      if (children === undefined) return
      for (const child of children.values()) resident(child)
    }
    for (const kind of this.departed) this.depart(kind)
    for (const tally of this.tallies.values()) row(tally)
    for (const kind of this.departed) row(kind.tally).totals.merge(kind.totals())
    for (const kind of this.kinds) {
      row(kind.tally).totals.merge(kind.totals())
      for (const cell of kind.residents) resident(cell)
    }
    return rows
  }

  /** What an operator sees. */
  infos(): ReadonlyArray<Info> {
    return Array.from(this.rows(), ([{ name, restarts }, { residents, totals }]) => ({
      name,
      residents,
      restarts,
      account: totals.account,
    }))
  }

  /** What the metrics say. */
  readings(): ReadonlyArray<ActorReading> {
    return Array.from(this.rows(), ([{ name, restarts, waits }, { residents, totals }]) => ({
      name,
      residents,
      restarts,
      ended: totals.ended,
      waits: waits.read(totals.started),
    }))
  }

  /** Keeps the counts of a kind that is not there any more, once nothing of it runs. */
  private depart(kind: Kind): void {
    if (kind.alive > 0) {
      this.departed.add(kind)
      return
    }
    this.departed.delete(kind)
    kind.departed = true
    kind.tally.past.merge(kind.totals())
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
