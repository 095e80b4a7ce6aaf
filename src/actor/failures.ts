import type { Entry } from "./entry.ts"
import { ActorFailed, AskTimeout, MailboxFull, Stopped } from "./errors.ts"
import type { Settings } from "./options.ts"
import type { Rejection } from "./store.ts"

/** The actor that an error speaks of. */
export interface Speaker {
  readonly path: string
  readonly home: { readonly settings: Settings }
}

export const timedOut = (
  { path }: Speaker,
  entry: Entry,
  state: "queued" | "running",
): AskTimeout =>
  new AskTimeout({
    actor: path,
    tag: entry.tag,
    afterMs: Math.max(0, entry.expires - entry.at),
    state,
  })

export const hasStopped = ({ path }: Speaker, tag: string, started = false): Stopped =>
  new Stopped({ actor: path, tag, started })

export const rejected = (speaker: Speaker, tag: string, rejection: Rejection): MailboxFull =>
  isFull(speaker, tag, rejection.reason, rejection.waiting, rejection.predictedWaitMs)

export const isFull = (
  { home, path }: Speaker,
  tag: string,
  reason: MailboxFull["reason"],
  waiting: number,
  predictedWaitMs = 0,
): MailboxFull =>
  new MailboxFull({
    actor: path,
    tag,
    reason,
    waiting,
    capacity: reason === "Stash" ? home.settings.mailbox.stash : home.settings.mailbox.capacity,
    predictedWaitMs,
    // A mailbox of quick handlers is empty again in a moment; a second is the least HTTP can say.
    retryAfterMs: predictedWaitMs > 0 ? predictedWaitMs : 1000,
  })

/** Of a message that left the queue without a run. */
export const neverRan = (
  speaker: Speaker,
  entry: Entry,
  outcome: "expired" | "dropped",
  waiting: number,
): AskTimeout | MailboxFull =>
  outcome === "expired"
    ? timedOut(speaker, entry, "queued")
    : isFull(speaker, entry.tag, "Dropped", waiting)

export const crashedOn = ({ home, path }: Speaker, entry: Entry, defect: unknown): ActorFailed =>
  new ActorFailed({ actor: path, tag: entry.tag, defect, status: home.settings.failedStatus })
