import { ByteSize, Duration } from "effect"
import { Mistake } from "./mistake.ts"

/** Milliseconds of a duration that the program has set; a {@link Mistake} when it is none. */
export const durationMs = (setting: string, input: Duration.Input): number => {
  try {
    return Duration.toMillis(Duration.fromInputUnsafe(input))
  } catch {
    throw new Mistake(
      `${setting} is ${
        shown(input)
      }, which is no duration. Write it as "500 millis", "2 seconds" ` +
        'or "1 minute", or as a number of milliseconds.',
    )
  }
}

/** Bytes of a size that the program has set; a {@link Mistake} when it is none. */
export const sizeBytes = (
  setting: string,
  input: ByteSize.Input | undefined,
  otherwise: number,
): number => {
  if (input === undefined) return otherwise
  try {
    return ByteSize.toNumberUnsafe(ByteSize.fromInputUnsafe(input))
  } catch {
    throw new Mistake(
      `${setting} is ${
        shown(input)
      }, which is no size. Write it as "512 KiB" or "10 MiB", or as a ` +
        "number of bytes.",
    )
  }
}

const shown = (value: unknown): string =>
  typeof value === "string" ? JSON.stringify(value) : String(value)
