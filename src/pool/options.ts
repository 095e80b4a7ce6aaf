import { Duration } from "effect"
import { durationMs } from "../internal/setting.ts"

/** The options that are checked when a bulkhead is made. */
interface Checked {
  readonly name: string
  readonly kind?: string | undefined
  readonly capacity: number
  readonly queueCapacity?: number | undefined
  readonly expected?: Duration.Input | undefined
  readonly margin?: number | undefined
  readonly risk?: number | undefined
  readonly maxWait?: Duration.Input | undefined
}

export const toMillis = (input: Duration.Input): number =>
  Duration.toMillis(Duration.fromInputUnsafe(input))

/** What is wrong with the options, as one sentence: a mistake of the program. */
export const problem = (options: Checked): string | undefined => {
  const { expected, maxWait, name } = options
  const what = `Cannot make the ${options.kind ?? "bulkhead"} "${name}"`
  if (name === "") return `${what}: its name is empty. Give it a name.`
  // `capacity` is required, so `undefined` is none either.
  const wrong = wrongLimit(what, { ...options, capacity: options.capacity ?? NaN })
  if (wrong !== undefined) return wrong
  if (expected !== undefined) {
    const ms = durationMs(`${what}: expected`, expected)
    if (!(ms > 0 && ms < Infinity)) return `${what}: expected is not a positive, finite duration.`
  }
  if (maxWait !== undefined && !(durationMs(`${what}: maxWait`, maxWait) > 0)) {
    return `${what}: maxWait is not a positive duration.`
  }
  return undefined
}

/** What is wrong with limits, as one sentence. */
export const wrongLimit = (
  what: string,
  { capacity, margin, queueCapacity, risk }: {
    readonly capacity?: number | undefined
    readonly queueCapacity?: number | undefined
    readonly margin?: number | undefined
    readonly risk?: number | undefined
  },
): string | undefined => {
  if (capacity !== undefined && (!Number.isSafeInteger(capacity) || capacity < 1)) {
    return `${what}: capacity is ${capacity}. Use an integer of at least 1.`
  }
  if (queueCapacity !== undefined && (!Number.isSafeInteger(queueCapacity) || queueCapacity < 0)) {
    return `${what}: queueCapacity is ${queueCapacity}. Use an integer of at least 0.`
  }
  if (margin !== undefined && !(margin >= 0 && margin < Infinity)) {
    return `${what}: margin is ${margin}. Use a number of at least 0, such as 0.1.`
  }
  if (risk !== undefined && !(risk > 0 && risk <= 0.5)) {
    return `${what}: risk is ${risk}. Use a number above 0 and up to 0.5, such as 0.001.`
  }
  return undefined
}
