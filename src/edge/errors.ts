import { Schema, SchemaTransformation } from "effect"
import { HttpApiSchema } from "effect/http-api"
import { type Reason as RefusedReason, Refused } from "../bounded/Refused.ts"
import {
  DatabaseUnavailable,
  make as unavailable,
  type Reason as UnavailableReason,
} from "../store/DatabaseUnavailable.ts"
import { DeadlineExceeded } from "../task/Deadline.ts"
import { Cancelled, CleanupAbandoned } from "../task/Task.ts"
import { type AskErrors, askErrors } from "./asked.ts"
import { overQuota } from "./fixed.ts"
import { Unauthenticated } from "./identity.ts"
import { asProblem, members, type, type Wire } from "./wire.ts"

/**
 * The failures that supervision declares for every endpoint, as the problems that the edge renders
 * (`Problem.ts`): they document the wire format, and decode it for typed clients.
 */

const refusedType = type("refused")
const limitedType = type("rate-limited")
const unauthenticatedType = type("unauthenticated")
const deadlineType = type("deadline-exceeded")
const unavailableType = type("database-unavailable")
const cancelledType = type("cancelled")
const abandonedType = type("cleanup-abandoned")

/** The wire format of a refusal. */
export interface RefusedWire extends Wire {
  readonly reason: RefusedReason
  readonly kind: string
  readonly resource: string
  readonly inUse: number
  readonly capacity: number
  readonly waiting: number
  readonly predictedWaitMs: number
  readonly retryAfterMs: number
}

const RefusedProblem: Schema.Codec<Refused, RefusedWire> = Schema.Struct({
  ...members,
  type: refusedType,
  status: Schema.Literal(503),
  reason: Refused.fields.reason,
  kind: Schema.String,
  resource: Schema.String,
  inUse: Schema.Number,
  capacity: Schema.Number,
  waiting: Schema.Number,
  predictedWaitMs: Schema.Number,
  retryAfterMs: Schema.Number,
}).annotate({ identifier: "Refused", description: "No capacity before the deadline." }).pipe(
  Schema.decodeTo(
    Schema.toType(Refused),
    SchemaTransformation.transform({
      decode: ({ type: _, title: _title, status: _status, detail: _detail, ...facts }) =>
        new Refused(facts),
      encode: (refused) => ({
        type: refusedType.literal,
        title: "Refused: this cannot be done now",
        status: 503 as const,
        reason: refused.reason,
        kind: refused.kind,
        resource: refused.resource,
        inUse: refused.inUse,
        capacity: refused.capacity,
        waiting: refused.waiting,
        predictedWaitMs: refused.predictedWaitMs,
        retryAfterMs: refused.retryAfterMs,
      }),
    }),
  ),
  HttpApiSchema.status(503),
  asProblem,
)

const LimitedProblem: Schema.Codec<Refused, RefusedWire> = Schema.Struct({
  ...members,
  type: limitedType,
  status: Schema.Literal(429),
  reason: Refused.fields.reason,
  kind: Schema.String,
  resource: Schema.String,
  inUse: Schema.Number,
  capacity: Schema.Number,
  waiting: Schema.Number,
  predictedWaitMs: Schema.Number,
  retryAfterMs: Schema.Number,
}).annotate({ identifier: "RateLimited", description: "The caller's quota is used up." }).pipe(
  Schema.decodeTo(
    Schema.toType(Refused),
    SchemaTransformation.transform({
      decode: ({ type: _, title: _title, status: _status, detail: _detail, ...facts }) =>
        new Refused(facts),
      encode: (refused) => ({
        type: limitedType.literal,
        title: overQuota.title,
        status: 429 as const,
        reason: refused.reason,
        kind: refused.kind,
        resource: refused.resource,
        inUse: refused.inUse,
        capacity: refused.capacity,
        waiting: refused.waiting,
        predictedWaitMs: refused.predictedWaitMs,
        retryAfterMs: refused.retryAfterMs,
      }),
    }),
  ),
  HttpApiSchema.status(429),
  asProblem,
)

const UnauthenticatedProblem: Schema.Codec<Unauthenticated, Wire> = Schema.Struct({
  ...members,
  type: unauthenticatedType,
  status: Schema.Literal(401),
}).annotate({ identifier: "Unauthenticated", description: "A valid API key is needed." }).pipe(
  Schema.decodeTo(
    Schema.toType(Unauthenticated),
    SchemaTransformation.transform({
      decode: () => new Unauthenticated({ presented: false }),
      encode: () => ({
        type: unauthenticatedType.literal,
        title: "A valid API key is needed",
        status: 401 as const,
      }),
    }),
  ),
  HttpApiSchema.status(401),
  asProblem,
)

const DeadlineProblem: Schema.Codec<DeadlineExceeded, Wire> = Schema.Struct({
  ...members,
  type: deadlineType,
  status: Schema.Literal(504),
}).annotate({ identifier: "DeadlineExceeded", description: "Not done by the deadline." }).pipe(
  Schema.decodeTo(
    Schema.toType(DeadlineExceeded),
    SchemaTransformation.transform({
      decode: () => new DeadlineExceeded({ deadline: 0, name: "request" }),
      encode: () => ({
        type: deadlineType.literal,
        title: "Not done by the deadline",
        status: 504 as const,
      }),
    }),
  ),
  HttpApiSchema.status(504),
  asProblem,
)

/** The wire format of an absent database. */
export interface UnavailableWire extends Wire {
  readonly reason: UnavailableReason
}

const UnavailableProblem: Schema.Codec<DatabaseUnavailable, UnavailableWire> = Schema.Struct({
  ...members,
  type: unavailableType,
  status: Schema.Literal(503),
  reason: DatabaseUnavailable.fields.reason,
}).annotate({ identifier: "DatabaseUnavailable", description: "The database is away." }).pipe(
  Schema.decodeTo(
    Schema.toType(DatabaseUnavailable),
    SchemaTransformation.transform({
      decode: ({ reason }) => unavailable(reason),
      encode: ({ reason }) => ({
        type: unavailableType.literal,
        title: "The database is not available",
        status: 503 as const,
        reason,
      }),
    }),
  ),
  HttpApiSchema.status(503),
  asProblem,
)

const CancelledProblem: Schema.Codec<Cancelled, Wire> = Schema.Struct({
  ...members,
  type: cancelledType,
  status: Schema.Literal(503),
}).annotate({ identifier: "Cancelled", description: "A part of the work was cancelled." }).pipe(
  Schema.decodeTo(
    Schema.toType(Cancelled),
    SchemaTransformation.transform({
      decode: () => new Cancelled({ task: "request", why: "see the problem" }),
      encode: () => ({
        type: cancelledType.literal,
        title: "The request was cancelled",
        status: 503 as const,
      }),
    }),
  ),
  HttpApiSchema.status(503),
  asProblem,
)

const AbandonedProblem: Schema.Codec<CleanupAbandoned, Wire> = Schema.Struct({
  ...members,
  type: abandonedType,
  status: Schema.Literal(503),
}).annotate({
  identifier: "CleanupAbandoned",
  description: "A part of the work was cancelled and did not clean up in time.",
}).pipe(
  Schema.decodeTo(
    Schema.toType(CleanupAbandoned),
    SchemaTransformation.transform({
      decode: () => new CleanupAbandoned({ task: "request", afterMs: 0 }),
      encode: () => ({
        type: abandonedType.literal,
        title: "Cleanup did not end in time",
        status: 503 as const,
      }),
    }),
  ),
  HttpApiSchema.status(503),
  asProblem,
)

/** The declared failures, as a type. */
export type Errors = readonly [
  typeof RefusedProblem,
  typeof DeadlineProblem,
  typeof UnavailableProblem,
  typeof CancelledProblem,
  typeof AbandonedProblem,
  typeof LimitedProblem,
  typeof UnauthenticatedProblem,
  ...AskErrors,
]

/** The declared failures. */
export const errors: Errors = [
  RefusedProblem,
  DeadlineProblem,
  UnavailableProblem,
  CancelledProblem,
  AbandonedProblem,
  LimitedProblem,
  UnauthenticatedProblem,
  ...askErrors,
]
