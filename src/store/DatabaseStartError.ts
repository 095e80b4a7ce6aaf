/**
 * Why the database could not be made ready: one sentence for a person, one reason for a program.
 *
 * @module
 */
import type { Cause } from "effect"
import { Schema } from "effect"

/**
 * What stood in the way.
 *
 * - of the embedded server: `PortInUse`, `DirectoryNotWritable`, `DirectoryInUse`,
 *   `DirectoryDamaged`, `BinaryMissing`, `BinaryFailed`, `DiskFull`, `NoSystemUser`, `NotStarted`
 * - of any server: `InvalidUrl`, `Unreachable`, `WrongPassword`, `UnknownDatabase`, `TooOld`,
 *   `Rejected`
 * - of the schema: `MigrationFailed`
 *
 * @category models
 * @since 0.1.0
 */
export type Reason = typeof reasons[number]

/**
 * Every {@link Reason}.
 *
 * @category models
 * @since 0.1.0
 */
export const reasons: readonly [
  "PortInUse",
  "DirectoryNotWritable",
  "DirectoryInUse",
  "DirectoryDamaged",
  "BinaryMissing",
  "BinaryFailed",
  "DiskFull",
  "NoSystemUser",
  "NotStarted",
  "InvalidUrl",
  "Unreachable",
  "WrongPassword",
  "UnknownDatabase",
  "TooOld",
  "Rejected",
  "MigrationFailed",
] = [
  "PortInUse",
  "DirectoryNotWritable",
  "DirectoryInUse",
  "DirectoryDamaged",
  "BinaryMissing",
  "BinaryFailed",
  "DiskFull",
  "NoSystemUser",
  "NotStarted",
  "InvalidUrl",
  "Unreachable",
  "WrongPassword",
  "UnknownDatabase",
  "TooOld",
  "Rejected",
  "MigrationFailed",
]

const Fields: {
  readonly reason: Schema.Literals<typeof reasons>
  /** What failed, without a full stop: `Cannot start PostgreSQL on 127.0.0.1:5433`. */
  readonly what: Schema.String
  readonly why: Schema.String
  /** What to do now. */
  readonly next: Schema.String
} = {
  reason: Schema.Literals(reasons),
  what: Schema.String,
  why: Schema.String,
  next: Schema.String,
}

const Base: Schema.Class<
  DatabaseStartError,
  Schema.TaggedStruct<"DatabaseStartError", typeof Fields>,
  Cause.YieldableError
> = Schema.TaggedError<DatabaseStartError>()("DatabaseStartError", Fields)

/**
 * The database is not ready and will not become so by waiting: the start of the service fails.
 *
 * **Details** – `message` reads *what failed: why. What to do.* and never holds a password.
 *
 * @category errors
 * @since 0.1.0
 */
export class DatabaseStartError extends Base {
  /** What failed: why. What to do. */
  override get message(): string {
    return `${this.what}: ${this.why}. ${this.next}.`
  }
}

/**
 * Makes the error; each text comes without its full stop.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  reason: Reason,
  what: string,
  why: string,
  next: string,
): DatabaseStartError => new DatabaseStartError({ reason, what, why, next })
