import { Duration } from "effect"
import { Mistake } from "../internal/mistake.ts"
import { defaultRestart, type RestartPolicy } from "../task/restarts.ts"
import type { Overflow } from "./Mailbox.ts"
import type { Options as MailboxSettings } from "./store.ts"

/**
 * The mailbox of an actor.
 *
 * @category models
 * @since 0.1.0
 */
export interface MailboxOptions {
  /** Messages that may wait. A whole number above zero. Default 1024. */
  readonly capacity?: number
  /** What happens to a message for which there is no room. Default `reject`. */
  readonly overflow?: Overflow
  /** Senders that may wait for room with `offer`. Default: the capacity. */
  readonly offerers?: number
  /** Messages that may be put aside. Default: the capacity. */
  readonly stash?: number
}

/**
 * Options of an actor.
 *
 * @category models
 * @since 0.1.0
 */
export interface ActorOptions {
  /** Its mailbox. */
  readonly mailbox?: MailboxOptions
  /** Messages that it handles at once. Default 1: its state has one owner at a time. */
  readonly concurrency?: number
  /** When it is restarted after a crash. Default: 3 times in 5 seconds, at once. */
  readonly restart?: RestartPolicy
  /**
   * What follows when the restarts are used up: `escalate` (the default) crashes its parent, or,
   * for an actor without one, restarts all actors of its kind; `stop` stops just this one.
   */
  readonly exhausted?: "escalate" | "stop"
  /**
   * Time for each step of a stop: to handle what is queued, and then for cancelled handlers and
   * finalizers. Default 5 seconds.
   */
  readonly grace?: Duration.Input
  /** After how long without a message a keyed actor leaves memory. Default 1 minute. */
  readonly idle?: Duration.Input
  /** Keyed actors in memory at once. Default 10,000. */
  readonly residents?: number
  /** HTTP status of `ActorFailed`, from 400 to 599. Default 500. */
  readonly failedStatus?: number
  /** How long a message takes, before anything is known. Default: unknown. */
  readonly expected?: Duration.Input
}

/** Options of a kind, with every default filled in. */
export interface Settings {
  readonly mailbox: MailboxSettings
  readonly restart: RestartPolicy
  /** What follows when the restarts are used up. */
  readonly exhausted: "escalate" | "stop"
  /** Time for each step of a stop: to drain, to clean up, to close. */
  readonly graceMs: number
  readonly idleMs: number
  readonly residents: number
  /** Status of `ActorFailed` over HTTP. */
  readonly failedStatus: number
  readonly expectedMs: number | undefined
}

/** The options with every default filled in; throws one sentence when one makes no sense. */
export const resolve = (
  name: string,
  options: ActorOptions,
  lanes: number,
  keyed: boolean,
): Settings => {
  const capacity = count(name, "mailbox.capacity", options.mailbox?.capacity, 1024, 1)
  const overflow = options.mailbox?.overflow ?? "reject"
  if (!["reject", "dropOldest", "dropNewest"].includes(overflow)) {
    throw new Mistake(
      `Actor "${name}": mailbox.overflow is ${JSON.stringify(overflow)}. ` +
        "Use reject, dropOldest or dropNewest.",
    )
  }
  const exhausted = options.exhausted ?? "escalate"
  if (exhausted !== "escalate" && exhausted !== "stop") {
    throw new Mistake(
      `Actor "${name}": exhausted is ${JSON.stringify(exhausted)}. Use escalate or stop.`,
    )
  }
  return {
    mailbox: {
      capacity,
      overflow,
      concurrency: count(name, "concurrency", options.concurrency, 1, 1),
      offerers: count(name, "mailbox.offerers", options.mailbox?.offerers, capacity, 0),
      stash: count(name, "mailbox.stash", options.mailbox?.stash, capacity, 0),
      lanes,
    },
    restart: options.restart ?? defaultRestart,
    exhausted,
    graceMs: millis(name, "grace", options.grace, 5000),
    idleMs: keyed ? millis(name, "idle", options.idle, 60_000) : Infinity,
    residents: keyed ? count(name, "residents", options.residents, 10_000, 1) : 1,
    failedStatus: status(name, options.failedStatus),
    expectedMs: options.expected === undefined
      ? undefined
      : millis(name, "expected", options.expected, 0),
  }
}

const count = (
  name: string,
  option: string,
  value: number | undefined,
  otherwise: number,
  least: number,
): number => {
  if (value === undefined) return otherwise
  if (Number.isSafeInteger(value) && value >= least) return value
  throw new Mistake(
    `Actor "${name}": ${option} is ${value}. It must be a whole number, at least ${least}.`,
  )
}

const status = (name: string, value = 500): number => {
  if (Number.isSafeInteger(value) && value >= 400 && value <= 599) return value
  throw new Mistake(
    `Actor "${name}": failedStatus is ${value}. It must be a whole number from 400 to 599.`,
  )
}

const millis = (
  name: string,
  option: string,
  value: Duration.Input | undefined,
  otherwise: number,
): number => {
  if (value === undefined) return otherwise
  let ms = NaN
  try {
    ms = Duration.toMillis(Duration.fromInputUnsafe(value))
  } catch { /* told below */ }
  if (ms >= 0) return ms
  throw new Mistake(
    `Actor "${name}": ${option} is ${JSON.stringify(value)}. Give a duration, such as "5 seconds".`,
  )
}
