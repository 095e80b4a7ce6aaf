import { Schema, SchemaTransformation } from "effect"
import { HttpApiSchema } from "effect/http-api"
import { ActorFailed, AskCycle, AskTimeout, MailboxFull, Stopped } from "../actor/Actor.ts"
import { kindOf, titles } from "./asks.ts"
import { asProblem, members, type, type Wire } from "./wire.ts"

/** The failures of tells and asks among those that supervision declares; see `errors.ts`. */

const fullType = type("mailbox-full")
const timeoutType = type("ask-timeout")
const failedType = type("actor-failed")
const stoppedType = type("stopped")
const cycleType = type("ask-cycle")

const message = { actor: Schema.String, tag: Schema.String } as const

interface MessageWire extends Wire {
  readonly actor: string
  readonly tag: string
}

/** The wire format of a message that was not taken. */
export interface FullWire extends MessageWire {
  readonly reason: MailboxFull["reason"]
  readonly waiting: number
  readonly capacity: number
  readonly predictedWaitMs: number
  readonly retryAfterMs: number
}

const FullProblem: Schema.Codec<MailboxFull, FullWire> = Schema.Struct({
  ...members,
  ...message,
  type: fullType,
  status: Schema.Literal(503),
  reason: MailboxFull.fields.reason,
  waiting: Schema.Number,
  capacity: Schema.Number,
  predictedWaitMs: Schema.Number,
  retryAfterMs: Schema.Number,
}).annotate({ identifier: "MailboxFull", description: "An actor takes no more messages." }).pipe(
  Schema.decodeTo(
    Schema.toType(MailboxFull),
    SchemaTransformation.transform({
      decode: ({ type: _, title: _title, status: _status, detail: _detail, ...facts }) =>
        new MailboxFull(facts),
      encode: (full) => ({
        type: fullType.literal,
        title: titles.full,
        status: 503 as const,
        actor: kindOf(full.actor),
        tag: full.tag,
        reason: full.reason,
        waiting: full.waiting,
        capacity: full.capacity,
        predictedWaitMs: full.predictedWaitMs,
        retryAfterMs: full.retryAfterMs,
      }),
    }),
  ),
  HttpApiSchema.status(503),
  asProblem,
)

/** The wire format of a message that a stop left without an answer. */
export interface StoppedWire extends MessageWire {
  readonly started: boolean
}

const StoppedProblem: Schema.Codec<Stopped, StoppedWire> = Schema.Struct({
  ...members,
  ...message,
  type: stoppedType,
  status: Schema.Literal(503),
  started: Schema.Boolean,
}).annotate({ identifier: "Stopped", description: "An actor has stopped." }).pipe(
  Schema.decodeTo(
    Schema.toType(Stopped),
    SchemaTransformation.transform({
      decode: ({ actor, started, tag }) => new Stopped({ actor, started, tag }),
      encode: ({ actor, started, tag }) => ({
        type: stoppedType.literal,
        title: titles.stopped,
        status: 503 as const,
        actor: kindOf(actor),
        tag,
        started,
      }),
    }),
  ),
  HttpApiSchema.status(503),
  asProblem,
)

/** The wire format of an ask without an answer. */
export interface TimeoutWire extends MessageWire {
  readonly state: AskTimeout["state"]
  readonly afterMs: number
}

const TimeoutProblem: Schema.Codec<AskTimeout, TimeoutWire> = Schema.Struct({
  ...members,
  ...message,
  type: timeoutType,
  status: Schema.Literal(504),
  state: AskTimeout.fields.state,
  afterMs: Schema.Number,
}).annotate({ identifier: "AskTimeout", description: "An actor did not answer in time." }).pipe(
  Schema.decodeTo(
    Schema.toType(AskTimeout),
    SchemaTransformation.transform({
      decode: ({ actor, tag, state, afterMs }) => new AskTimeout({ actor, tag, state, afterMs }),
      encode: ({ actor, tag, state, afterMs }) => ({
        type: timeoutType.literal,
        title: titles.timeout,
        status: 504 as const,
        actor: kindOf(actor),
        tag,
        state,
        afterMs,
      }),
    }),
  ),
  HttpApiSchema.status(504),
  asProblem,
)

const FailedProblem: Schema.Codec<ActorFailed, MessageWire> = Schema.Struct({
  ...members,
  ...message,
  type: failedType,
  status: Schema.Int,
}).annotate({ identifier: "ActorFailed", description: "An actor crashed on the message." }).pipe(
  Schema.decodeTo(
    Schema.toType(ActorFailed),
    SchemaTransformation.transform({
      // What it died of has not left the service.
      decode: ({ actor, tag, status }) =>
        new ActorFailed({ actor, tag, status, defect: "see the log of the service" }),
      encode: ({ actor, tag, status }) => ({
        type: failedType.literal,
        title: titles.failed,
        status,
        actor: kindOf(actor),
        tag,
      }),
    }),
  ),
  HttpApiSchema.status(500),
  asProblem,
)

const CycleProblem: Schema.Codec<AskCycle, Wire & { readonly tag: string }> = Schema.Struct({
  ...members,
  type: cycleType,
  status: Schema.Literal(500),
  tag: Schema.String,
}).annotate({ identifier: "AskCycle", description: "An ask would have waited for itself." }).pipe(
  Schema.decodeTo(
    Schema.toType(AskCycle),
    SchemaTransformation.transform({
      decode: ({ tag }) => new AskCycle({ path: [], tag }),
      encode: ({ tag }) => ({
        type: cycleType.literal,
        title: titles.cycle,
        status: 500 as const,
        tag,
      }),
    }),
  ),
  HttpApiSchema.status(500),
  asProblem,
)

/** The same for an actor that declares its crashes as 503. */
const UnavailableFailedProblem: typeof FailedProblem = HttpApiSchema.status(503)(
  FailedProblem as Schema.Top,
) as never

/** The declared failures of tells and asks, as a type. */
export type AskErrors = readonly [
  typeof FullProblem,
  typeof StoppedProblem,
  typeof TimeoutProblem,
  typeof FailedProblem,
  typeof FailedProblem,
  typeof CycleProblem,
]

/** The declared failures of tells and asks. */
export const askErrors: AskErrors = [
  FullProblem,
  StoppedProblem,
  TimeoutProblem,
  FailedProblem,
  UnavailableFailedProblem,
  CycleProblem,
]
