import type { Entry, Recipient } from "./entry.ts"
import { Handling } from "./handling.ts"
import type { Runner } from "./runner.ts"

/**
 * Whether an ask from that run to that actor could never be answered: the paths of the actors that
 * wait for one another, from the asker back to itself.
 *
 * The edges of the graph are asks that have not been answered. One that is queued waits for a place
 * of its actor, so for all that run there; one that runs waits for its own run. There are few edges:
 * at most as many as actors that wait at this moment.
 */
export const findCycle = (asker: Handling, target: Runner): ReadonlyArray<string> | undefined => {
  const seen = new Map<Recipient, ReadonlyArray<string> | undefined>()
  const toActor = (to: Runner, path: ReadonlyArray<string>): ReadonlyArray<string> | undefined => {
    if (to.mailbox.running + to.controls < to.home.settings.mailbox.concurrency) return undefined
    if (seen.has(to)) return seen.get(to)
    seen.set(to, undefined)
    let found: ReadonlyArray<string> | undefined
    for (const run of to.runs()) {
      const way = toRun(run, [...path, to.path])
      if (way === undefined) return undefined
      if (found === undefined || way.length > found.length) found = way
    }
    seen.set(to, found)
    return found
  }
  const toRun = (run: Handling, path: ReadonlyArray<string>): ReadonlyArray<string> | undefined => {
    if (run === asker) return path
    if (run.waitsFor !== undefined) {
      for (const entry of run.waitsFor) {
        const way = toEntry(entry, path)
        if (way !== undefined) return way
      }
    }
    return undefined
  }
  const toEntry = (
    entry: Entry,
    path: ReadonlyArray<string>,
  ): ReadonlyArray<string> | undefined => {
    if (entry.state === "running" && entry.record instanceof Handling) {
      return toRun(entry.record, [...path, entry.to.path])
    }
    return entry.state === "queued" && !entry.reentrant
      ? toActor(entry.to as Runner, path)
      : undefined
  }
  const way = toActor(target, [])
  return way === undefined ? undefined : [asker.cell.path, ...way]
}
