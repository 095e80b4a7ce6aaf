/**
 * A wrong `OTEL_*` variable, found when the service starts.
 *
 * @module
 */
import type { Cause } from "effect"
import { Schema } from "effect"

const Fields = {
  variable: Schema.String,
  problem: Schema.String,
  remedy: Schema.String,
} as const

const ExportConfigErrorBase: Schema.Class<
  ExportConfigError,
  Schema.TaggedStruct<"ExportConfigError", typeof Fields>,
  Cause.YieldableError
> = Schema.TaggedError<ExportConfigError>()("ExportConfigError", Fields)

/**
 * The telemetry export cannot start, because a variable has a wrong value.
 *
 * **Details** – `variable` is its name, `problem` what is wrong with it, `remedy` what to set
 * instead. Values of headers, which are secrets, are in none of them.
 *
 * @category errors
 * @since 0.1.0
 */
export class ExportConfigError extends ExportConfigErrorBase {
  /** What failed, why, and what to do, in one line. */
  override get message(): string {
    return `Cannot start the telemetry export: ${this.variable} ${this.problem}. ${this.remedy}`
  }
}
