import type { Entry as Letter } from "../../src/actor/entry.ts"
import type { Bounded, Ticket } from "../../src/bounded/Bounded.ts"
import type { Entry } from "../../src/pool/entry.ts"
import type { Call } from "./call.ts"
import type { Ended } from "./control.ts"

/** What a request is to admission, and what it holds. */
export interface Held {
  readonly rank: number
  readonly tenant: number
  readonly tickets: ReadonlyArray<Ticket>
  entry: Entry | undefined
  letter: Letter | undefined
}

export const held = (call: Call): Held => call.memo as Held

export const ticketFor = (call: Call, bounded: Bounded): Ticket | undefined =>
  held(call).tickets.find((ticket) => ticket.open && ticket.bounded === bounded)

/** What waits behind it: slots of a pool, an actor with its mailbox, a dependency. */
export interface Place {
  readonly bounded: Bounded
  readonly acquire: (call: Call, now: number) => void
  readonly abandon: (call: Call, now: number) => void
  readonly release: (call: Call, now: number, ended: Ended) => void
  /** Work of the call has failed, but it is not over: it is tried again. */
  readonly keeps?: (call: Call) => boolean
  readonly bound: number
}
