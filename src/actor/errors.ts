import type { Cause } from "effect"
import { Schema } from "effect"

/** The errors of `Actor`, in a file of their own. */

type FullReason = Schema.Literals<
  readonly ["Full", "Infeasible", "Offerers", "Residents", "Stash", "Dropped", "OwnMailbox"]
>

type FullFieldTypes = {
  readonly actor: Schema.String
  readonly tag: Schema.String
  readonly reason: FullReason
  readonly waiting: Schema.Number
  readonly capacity: Schema.Number
  readonly predictedWaitMs: Schema.Number
  readonly retryAfterMs: Schema.Number
}

const FullFields: FullFieldTypes = {
  actor: Schema.String,
  tag: Schema.String,
  reason: Schema.Literals([
    "Full",
    "Infeasible",
    "Offerers",
    "Residents",
    "Stash",
    "Dropped",
    "OwnMailbox",
  ]),
  waiting: Schema.Number,
  capacity: Schema.Number,
  predictedWaitMs: Schema.Number,
  retryAfterMs: Schema.Number,
}

const MailboxFullBase: Schema.Class<
  MailboxFull,
  Schema.TaggedStruct<"MailboxFull", FullFieldTypes>,
  Cause.YieldableError
> = Schema.TaggedError<MailboxFull>()("MailboxFull", FullFields)

/**
 * The actor took no more. `tag` is the message, `waiting` and `capacity` count messages, the times
 * are in milliseconds and without jitter.
 *
 * - `Full`: as many messages wait as the mailbox may hold.
 * - `Infeasible`: the ask could not have been answered before its deadline.
 * - `Offerers`: too many senders wait for room already.
 * - `Residents`: as many actors of this kind are busy as may be in memory.
 * - `Stash`: the handler put the message aside, but the stash was full.
 * - `Dropped`: the overflow policy dropped it.
 * - `OwnMailbox`: the actor would wait for room in a full mailbox that only its own going on could
 *   empty: its own, or that of an actor that waits for it.
 *
 * **Details** – over HTTP a 503 problem with Retry-After.
 *
 * @category errors
 * @since 0.1.0
 */
export class MailboxFull extends MailboxFullBase {
  /** One sentence with the numbers and the next step. */
  override get message(): string {
    return `Actor "${this.actor}" did not take ${this.tag}: ${explain(this.reason)} ` +
      `(${this.waiting}/${this.capacity} waiting). ` +
      `Try again in ${Math.ceil(this.retryAfterMs)} ms` +
      `${this.reason === "Full" ? ", or offer it and wait for room" : ""}.`
  }
}

const explain = (reason: MailboxFull["reason"]): string => {
  switch (reason) {
    case "Full":
      return "its mailbox is full"
    case "Infeasible":
      return "it would not have been answered before its deadline"
    case "Offerers":
      return "its mailbox is full, and too many senders wait for room"
    case "Residents":
      return "all actors of its kind that may be in memory are busy"
    case "Stash":
      return "it was to be put aside, and the stash is full"
    case "Dropped":
      return "its mailbox is full and drops messages"
    case "OwnMailbox":
      return "its mailbox is full, and would stay so while the sender waits for room"
  }
}

type TimeoutFieldTypes = {
  readonly actor: Schema.String
  readonly tag: Schema.String
  readonly afterMs: Schema.Number
  readonly state: Schema.Literals<readonly ["queued", "running"]>
}

const TimeoutFields: TimeoutFieldTypes = {
  actor: Schema.String,
  tag: Schema.String,
  afterMs: Schema.Number,
  state: Schema.Literals(["queued", "running"]),
}

const AskTimeoutBase: Schema.Class<
  AskTimeout,
  Schema.TaggedStruct<"AskTimeout", TimeoutFieldTypes>,
  Cause.YieldableError
> = Schema.TaggedError<AskTimeout>()("AskTimeout", TimeoutFields)

/**
 * No answer in time: the message `tag` was still `queued`, and has never run, or its handler was
 * `running` and has been cancelled.
 *
 * **Details** – over HTTP a 504 problem.
 *
 * @category errors
 * @since 0.1.0
 */
export class AskTimeout extends AskTimeoutBase {
  /** One sentence. */
  override get message(): string {
    return `Actor "${this.actor}" did not answer ${this.tag} within ${
      Math.round(this.afterMs)
    } ms: the message was ${this.state === "queued" ? "still queued and never ran" : "running"}.`
  }
}

const FailedFields = {
  actor: Schema.String,
  tag: Schema.String,
  defect: Schema.Unknown,
  status: Schema.Number,
} as const

const ActorFailedBase: Schema.Class<
  ActorFailed,
  Schema.TaggedStruct<"ActorFailed", typeof FailedFields>,
  Cause.YieldableError
> = Schema.TaggedError<ActorFailed>()("ActorFailed", FailedFields)

/**
 * The actor crashed while it handled the message `tag`, or could not start. The message will not be
 * tried again. `defect` is what it died of.
 *
 * **Details** – over HTTP a problem of that `status`, 500 unless the actor declares another one; the
 * defect stays inside.
 *
 * @category errors
 * @since 0.1.0
 */
export class ActorFailed extends ActorFailedBase {
  /** One sentence. */
  override get message(): string {
    const why = this.defect instanceof Error ? this.defect.message : String(this.defect)
    return `Actor "${this.actor}" crashed on ${this.tag}: ${why}`
  }
}

type CycleFieldTypes = {
  readonly path: Schema.$Array<Schema.String>
  readonly tag: Schema.String
}

const CycleFields: CycleFieldTypes = { path: Schema.Array(Schema.String), tag: Schema.String }

const AskCycleBase: Schema.Class<
  AskCycle,
  Schema.TaggedStruct<"AskCycle", CycleFieldTypes>,
  Cause.YieldableError
> = Schema.TaggedError<AskCycle>()("AskCycle", CycleFields)

/**
 * The ask would have waited for itself: each actor in `path` waits for the next, and the last is the
 * first again.
 *
 * @category errors
 * @since 0.1.0
 */
export class AskCycle extends AskCycleBase {
  /** One sentence. */
  override get message(): string {
    return `Asking ${this.tag} would wait for ever: ${this.path.join(" -> ")}. ` +
      "Use tell, or mark the message as reentrant."
  }
}

const StoppedFields = {
  actor: Schema.String,
  tag: Schema.String,
  started: Schema.Boolean,
} as const

const StoppedBase: Schema.Class<
  Stopped,
  Schema.TaggedStruct<"Stopped", typeof StoppedFields>,
  Cause.YieldableError
> = Schema.TaggedError<Stopped>()("Stopped", StoppedFields)

/**
 * The actor has stopped, or is stopping and takes nothing new. `started` says that its handler had
 * begun when the time to stop was over: whether it took effect is then unknown.
 *
 * **Details** – over HTTP a 503 problem.
 *
 * @category errors
 * @since 0.1.0
 */
export class Stopped extends StoppedBase {
  /** One sentence. */
  override get message(): string {
    return this.started
      ? `Actor "${this.actor}" stopped while it handled ${this.tag}: ` +
        "whether that took effect is unknown."
      : `Actor "${this.actor}" has stopped and did not take ${this.tag}.`
  }
}
