import { type Cause, Schema } from "effect"

/** The errors of `Supervisor`, in a file of their own. */

/** Kept as it is: a codec would make a new cause, without the annotations of this one. */
const AnyCause: Schema.Codec<Cause.Cause<unknown>> = Schema.Unknown as unknown as Schema.Codec<
  Cause.Cause<unknown>
>

type ExhaustedFieldTypes = {
  readonly supervisor: Schema.String
  readonly child: Schema.String
  readonly restarts: Schema.Number
  readonly withinMs: Schema.Number
  readonly shared: Schema.Boolean
  readonly cause: Schema.Codec<Cause.Cause<unknown>>
}

const ExhaustedFields: ExhaustedFieldTypes = {
  supervisor: Schema.String,
  child: Schema.String,
  restarts: Schema.Number,
  withinMs: Schema.Number,
  shared: Schema.Boolean,
  cause: AnyCause,
}

const ExhaustedBase: Schema.Class<
  SupervisorExhausted,
  Schema.TaggedStruct<"SupervisorExhausted", ExhaustedFieldTypes>,
  Cause.YieldableError
> = Schema.TaggedError<SupervisorExhausted>()("SupervisorExhausted", ExhaustedFields)

/**
 * A supervisor gave up: `child` failed once more after `restarts` restarts within `withinMs`
 * milliseconds. `shared` says that the restarts of all its children count together; `cause` is the
 * last failure. All its children have been stopped.
 *
 * @category errors
 * @since 0.1.0
 */
export class SupervisorExhausted extends ExhaustedBase {
  /** What failed, why, and what to do. */
  override get message(): string {
    return `${this.story}. Mend what fails, or allow more restarts.`
  }

  /** What failed, and why. */
  get story(): string {
    const failures = `failed ${times(this.restarts + 1)} within ${seconds(this.withinMs)}`
    return `Supervisor "${this.supervisor}" gave up: ` +
      (this.shared
        ? `its children ${failures}, the last one was "${this.child}" (${brief(this.cause)})`
        : `child "${this.child}" ${failures} (${brief(this.cause)})`)
  }
}

type StartFieldTypes = {
  readonly supervisor: Schema.String
  readonly child: Schema.String
  readonly cause: Schema.Codec<Cause.Cause<unknown>>
}

const StartFields: StartFieldTypes = {
  supervisor: Schema.String,
  child: Schema.String,
  cause: AnyCause,
}

const StartFailedBase: Schema.Class<
  StartFailed,
  Schema.TaggedStruct<"StartFailed", StartFieldTypes>,
  Cause.YieldableError
> = Schema.TaggedError<StartFailed>()("StartFailed", StartFields)

/**
 * A child ended before it was ready. When its supervisor was starting as well, the children that it
 * had started have been stopped.
 *
 * @category errors
 * @since 0.1.0
 */
export class StartFailed extends StartFailedBase {
  /** What failed, and why. */
  override get message(): string {
    return `Child "${this.child}" of supervisor "${this.supervisor}" did not start: ` +
      `${brief(this.cause)}.`
  }
}

type RefusedReason = Schema.Literals<
  readonly [
    "AlreadyStarted",
    "AlreadyPresent",
    "Running",
    "Restarting",
    "NotFound",
    "Full",
    "Ended",
  ]
>

type RefusedFieldTypes = {
  readonly supervisor: Schema.String
  readonly child: Schema.String
  readonly reason: RefusedReason
}

const RefusedFields: RefusedFieldTypes = {
  supervisor: Schema.String,
  child: Schema.String,
  reason: Schema.Literals([
    "AlreadyStarted",
    "AlreadyPresent",
    "Running",
    "Restarting",
    "NotFound",
    "Full",
    "Ended",
  ]),
}

const ChildRefusedBase: Schema.Class<
  ChildRefused,
  Schema.TaggedStruct<"ChildRefused", RefusedFieldTypes>,
  Cause.YieldableError
> = Schema.TaggedError<ChildRefused>()("ChildRefused", RefusedFields)

/**
 * A supervisor did not do what was asked of it for a child.
 *
 * - `AlreadyStarted`, `AlreadyPresent`: there is a child of that id, running or not.
 * - `Running`, `Restarting`: only a child that is stopped can be restarted or deleted.
 * - `NotFound`: there is no child of that id.
 * - `Full`: it has as many children as it may have.
 * - `Ended`: the supervisor has ended, or is ending.
 *
 * @category errors
 * @since 0.1.0
 */
export class ChildRefused extends ChildRefusedBase {
  /** What was refused, why, and what to do. */
  override get message(): string {
    return `Supervisor "${this.supervisor}" refused: ${sentences[this.reason](this.child)}`
  }
}

const sentences: Record<ChildRefused["reason"], (child: string) => string> = {
  AlreadyStarted: (child) => `child "${child}" is running already. Use another id.`,
  AlreadyPresent: (child) =>
    `child "${child}" is there, but does not run. Restart it, or delete it first.`,
  Running: (child) => `child "${child}" is running. Terminate it first.`,
  Restarting: (child) => `child "${child}" is about to be restarted. Terminate it first.`,
  NotFound: (child) => `it has no child "${child}". Look at its list of children.`,
  Full: (child) =>
    `no room for child "${child}". Wait until another one has ended, or raise maxChildren.`,
  Ended: (child) => `it has ended, and does nothing for child "${child}" any more.`,
}

const times = (n: number): string => n === 1 ? "once" : n === 2 ? "twice" : `${n} times`

/** Seconds where they are whole. */
export const seconds = (ms: number): string => ms % 1000 === 0 ? `${ms / 1000} s` : `${ms} ms`

/** A cause in a few words. */
export const brief = (cause: Cause.Cause<unknown>): string => {
  const first = cause.reasons.find((reason) => reason._tag !== "Interrupt")
  if (first === undefined) return cause.reasons.length === 0 ? "it ended" : "it was cancelled"
  const failure = first._tag === "Die" ? first.defect : (first as Cause.Fail<unknown>).error
  // The advice of the supervisors below stands once, at the end.
  if (failure instanceof SupervisorExhausted) return failure.story
  if (failure instanceof Error) return (failure.message || failure.name).replace(/\.$/, "")
  if (typeof failure === "object" && failure !== null && "_tag" in failure) {
    return String(failure._tag)
  }
  return String(failure)
}
