/**
 * A wrong `OTEL_*` variable, found when the service starts.
 *
 * @module
 */
import type { Cause } from "effect"
import { Schema } from "effect"

interface Fields {
  readonly variable: typeof Schema.String
  readonly problem: typeof Schema.String
  readonly remedy: typeof Schema.String
}

const ExportConfigErrorBase: Schema.Class<
  ExportConfigError,
  Schema.TaggedStruct<"ExportConfigError", { [K in keyof Fields]: Fields[K] }>,
  Cause.YieldableError
> = Schema.TaggedError<ExportConfigError>()("ExportConfigError", {
  variable: Schema.String,
  problem: Schema.String,
  remedy: Schema.String,
})

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
