/** The mapping of what an ask or a tell can fail with; a part of the one in `Problem.ts`. */
import {
  ActorFailed,
  AskCycle,
  AskTimeout,
  MailboxFull,
  type MailboxFull as Full,
  Stopped,
} from "../actor/Actor.ts"
import type { Reason } from "../bounded/Refused.ts"

/** The shape of `Problem.Problem`. */
interface AskProblem {
  readonly slug: string
  readonly status: number
  readonly title: string
  readonly detail: string
  readonly extensions?: Readonly<Record<string, unknown>>
  readonly retryAfterMs?: number
}

/** The slug of a bug that nobody but the edge could log. */
export const cycle = "ask-cycle"

/** Titles, the same in every occurrence. */
export const titles = {
  full: "The actor takes no more messages",
  timeout: "No answer in time",
  failed: "The actor crashed on this message",
  stopped: "The actor has stopped",
  cycle: "The ask would have waited for itself",
} as const

/**
 * Nothing of an actor leaves but the name of its kind: a key may be somebody's data, and what it
 * crashed of is its own affair.
 */
export const kindOf = (path: string): string => path.split("/", 1)[0]!

const halves: Readonly<Record<Full["reason"], string>> = {
  Full: "its mailbox is full",
  Infeasible: "it would not have been answered before the deadline",
  Offerers: "its mailbox is full, and too many wait for room",
  Residents: "all actors of its kind that may be in memory are busy",
  Stash: "it was to be put aside, and the stash is full",
  Dropped: "its mailbox is full and drops messages",
  OwnMailbox: "its mailbox is full, and would stay so while the sender waits for room",
}

/** The problem for one error value, if an actor failed with it. */
export const fromAsk = (error: unknown): AskProblem | undefined => {
  if (error instanceof MailboxFull) {
    const { capacity, predictedWaitMs, reason, retryAfterMs, tag, waiting } = error
    const actor = kindOf(error.actor)
    return {
      slug: "mailbox-full",
      status: 503,
      title: titles.full,
      detail: `Actor "${actor}" did not take ${tag}: ${halves[reason]}.`,
      extensions: {
        reason,
        actor,
        tag,
        waiting,
        capacity,
        predictedWaitMs: Math.round(predictedWaitMs),
        retryAfterMs: Math.round(retryAfterMs),
      },
      retryAfterMs,
    }
  }
  if (error instanceof AskTimeout) {
    const { afterMs, state, tag } = error
    const actor = kindOf(error.actor)
    return {
      slug: "ask-timeout",
      status: 504,
      title: titles.timeout,
      detail: `Actor "${actor}" did not answer ${tag}: the message ` +
        (state === "queued"
          ? "was still queued and never ran."
          : "was running, and was cancelled."),
      extensions: { actor, tag, state, afterMs: Math.round(afterMs) },
    }
  }
  if (error instanceof ActorFailed) {
    const { status, tag } = error
    const actor = kindOf(error.actor)
    return {
      slug: "actor-failed",
      status,
      title: titles.failed,
      detail: `Actor "${actor}" crashed on ${tag}; it has been logged.`,
      extensions: { actor, tag },
      ...(status === 503 ? { retryAfterMs: 1000 } : {}),
    }
  }
  if (error instanceof Stopped) {
    const { started, tag } = error
    const actor = kindOf(error.actor)
    return {
      slug: "stopped",
      status: 503,
      title: titles.stopped,
      detail: started
        ? `Actor "${actor}" stopped while it handled ${tag}: whether that took effect is unknown.`
        : `Actor "${actor}" did not take ${tag}.`,
      extensions: { actor, tag, started },
      // What may have taken effect is not to be repeated unseen.
      ...(started ? {} : { retryAfterMs: 1000 }),
    }
  }
  if (error instanceof AskCycle) {
    return {
      slug: cycle,
      status: 500,
      title: titles.cycle,
      detail: "This is a bug in the service; it has been logged.",
      extensions: { tag: error.tag },
    }
  }
  return undefined
}

/** As what the request counts when an actor turned it away; undefined for anything else. */
export const turnedAway = (error: unknown): Reason | undefined =>
  error instanceof MailboxFull
    ? error.reason === "Infeasible" ? "Infeasible" : "QueueFull"
    : error instanceof Stopped && !error.started
    ? "Closed"
    : undefined
