import type { Clock, Exit } from "effect"
import type { Happening, Ledger, Outcome } from "../task/events.ts"
import { TaskRecord } from "../task/record.ts"
import type { Tree } from "../task/tree.ts"
import type { Entry, Recipient } from "./entry.ts"
import type { Outcome as MessageOutcome } from "./Mailbox.ts"

/** How a message is to end whose run is being cancelled, and what its asker gets. */
export interface Verdict {
  readonly outcome: MessageOutcome
  readonly exit: Exit.Exit<unknown, unknown>
  /** It is to be tried again instead, if it ends in time. */
  readonly again?: boolean
}

/**
 * One run of an actor's code: of a message's handler, of `init`, of a callback. A task like any
 * other, but for one thing: it enters the task tree only when its fiber suspends, because before
 * that nobody could see it there.
 */
export class Handling extends TaskRecord {
  readonly cell: Recipient
  readonly entry: Entry | undefined
  /** The asks and offers that it waits for. */
  waitsFor: Array<Entry> | undefined = undefined
  listed = false
  /** Set by whoever cancels it. */
  verdict: Verdict | undefined = undefined
  /** The handler wants its message put aside. */
  stashing = false

  constructor(
    ledger: Ledger<TaskRecord>,
    clock: Clock.Clock,
    cell: Recipient,
    name: string,
    entry: Entry | undefined,
    parent: TaskRecord | undefined,
    now: number,
    cleanupMs: number,
  ) {
    super(ledger, clock, name, "actor", parent, now, cleanupMs)
    this.cell = cell
    this.entry = entry
    this.background = parent === undefined ? true : parent.background
  }
}

/** The actor code that a task belongs to, if any. */
export const handlingOf = (task: unknown): Handling | undefined => {
  let record = task as TaskRecord | undefined
  while (record !== undefined) {
    if (record instanceof Handling) return record
    record = record.parent
  }
  return undefined
}

/** Lists a run in the tree the first time that somebody could see it. */
export class LateLedger implements Ledger<TaskRecord> {
  readonly tree: Tree

  constructor(tree: Tree) {
    this.tree = tree
  }

  list(record: TaskRecord): void {
    const handling = record as Handling
    if (handling.listed || handling.ended) return
    handling.listed = true
    this.tree.add(record)
  }

  remove(record: TaskRecord, outcome: Outcome): void {
    if ((record as Handling).listed) this.tree.remove(record, outcome)
  }

  abandoned(record: TaskRecord): void {
    this.list(record)
    this.tree.abandoned(record)
  }

  named(record: TaskRecord, id: string): void {
    this.list(record)
    this.tree.named(record, id)
  }

  observed(record: TaskRecord): boolean {
    return (record as Handling).listed && this.tree.observed(record)
  }

  emit(record: TaskRecord, happening: Happening): void {
    this.tree.emit(record, happening)
  }
}
