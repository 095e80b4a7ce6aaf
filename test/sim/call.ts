import type { Client, Route } from "./scenario.ts"

/** How an attempt ended, as its client sees it. */
export type Outcome = "ok" | "refused" | "late" | "failed" | "left"

/** A client of a scenario, with its place among them. */
export interface Sender extends Client {
  readonly name: string
  readonly index: number
  readonly deadlineMs: number
  readonly routeName: string
  readonly routeData: Route
  /** Pools, then mailboxes, in the order in which a request needs them. */
  readonly things: ReadonlyArray<string>
}

/** One attempt of one request. */
export class Call {
  readonly sender: Sender
  readonly operation: number
  readonly attempt: number
  readonly phase: number
  readonly sentAt: number
  /** When its client gives up. */
  readonly deadline: number
  readonly tenant: number
  /** Work in each thing that it needs. */
  readonly works: ReadonlyArray<number>
  /** In [0, 1): whether it fails while a share of the work fails. */
  readonly luck: number
  readonly bodyMs: number
  /** Leaves before the deadline, for reasons of its own. */
  leavesAt = Infinity
  /** When the process first saw it. */
  seenAt = 0
  /** The thing it is at, or has come to. */
  step = 0
  state: "sent" | "admitted" | "waiting" | "running" | "ended" = "sent"
  /** What the client has come to think of it; undefined until then. */
  outcome: Outcome | undefined = undefined
  /** The client has gone, so that no answer reaches it. */
  gone = false
  waitSince = 0
  waitedMs = 0
  startedAt = 0
  /** Time in slots. */
  heldMs = 0
  /** Planned end of the work in the slot; a plan of an earlier slot is void. */
  turn = 0
  /** How often work has begun at this thing. */
  tries = 0
  /** What a policy keeps about it. */
  memo: unknown = undefined
  /** Of refusals while this was the last in line: when, and what they were told. */
  watched: Array<number> | undefined = undefined

  constructor(
    sender: Sender,
    operation: number,
    attempt: number,
    phase: number,
    sentAt: number,
    tenant: number,
    works: ReadonlyArray<number>,
    luck: number,
    bodyMs: number,
  ) {
    this.sender = sender
    this.operation = operation
    this.attempt = attempt
    this.phase = phase
    this.sentAt = sentAt
    this.deadline = sentAt + sender.deadlineMs
    this.tenant = tenant
    this.works = works
    this.luck = luck
    this.bodyMs = bodyMs
  }
}
