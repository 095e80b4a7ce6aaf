import type { Scenario } from "./scenario.ts"
import type { Call } from "./call.ts"

/** Why a request is turned away, and after how many milliseconds it may come again. */
export interface No {
  readonly reason: string
  readonly retryAfterMs: number
  /** And as much later, for those who were told before. Default 0. */
  readonly backlogMs?: number | undefined
}

/** How a slot, or a request, came back. */
export type Ended = "completed" | "failed" | "cancelled"

/** What the simulator offers to those who decide. */
export interface World {
  readonly scenario: Scenario
  /** Virtual milliseconds since the beginning. */
  readonly now: () => number
  /** A random number in [0, 1), for what a policy leaves to chance. */
  readonly random: () => number
  /** The call has its slot: its work begins. */
  readonly granted: (call: Call) => void
  /** The call waited for its slot in vain. */
  readonly turnedAway: (call: Call, no: No) => void
  /** The call will get no slot any more, and what it was for has failed. */
  readonly failed: (call: Call) => void
  /** The work of the call in its slot was ended; the call waits again. */
  readonly stopped: (call: Call) => void
  /** Calls back at that time, as a timer of the process. */
  readonly timer: (at: number, task: (now: number) => void) => void
  /** Calls back in the next turn of the event loop. */
  readonly turn: (task: () => void) => void
}

/** A policy at work: decides who enters, who gets a slot when, and who is told no. */
export interface Control {
  /** A request is at the door: why it may not enter, or nothing. */
  readonly enter: (call: Call, now: number) => No | undefined
  /** A request that was let in needs a slot: answers by `granted` or `turnedAway`, now or later. */
  readonly acquire: (call: Call, pool: string, now: number) => void
  /** It waits for a slot no more. */
  readonly abandon: (call: Call, pool: string, now: number) => void
  /** Its work in the slot is over. */
  readonly release: (call: Call, pool: string, now: number, ended: Ended) => void
  /** Whether work that has just failed will be tried again: it then waits for a slot. */
  readonly keeps?: (call: Call, pool: string) => boolean
  /** A request that was let in has ended. */
  readonly leave: (call: Call, now: number, ended: Ended | "refused") => void
  /** The process shall stop. */
  readonly drain: (now: number) => void
  /** Slots, places and tickets that are taken; 0 at the end, or something leaked. */
  readonly held: () => number
  /** The longest line ever seen, and its bound. */
  readonly line: () => { readonly longest: number; readonly bound: number }
}

/** A policy by name. */
export interface Policy {
  readonly name: string
  /** What it is, in half a sentence. */
  readonly about: string
  /** Work of a client that has left is ended at once, and its place in line is free at once. */
  readonly cancels: boolean
  readonly make: (world: World) => Control
}
