import type { DeadLetter, Reason } from "./DeadLetters.ts"
import type { How } from "./entry.ts"

/** A dead letter. A class, so that one that comes back in a payload is known again. */
export class Letter implements DeadLetter {
  readonly to: string
  readonly kind: string
  readonly tag: string
  readonly payload: unknown
  readonly how: How
  readonly reason: Reason
  readonly at: number
  readonly cause: unknown

  constructor(
    to: string,
    kind: string,
    tag: string,
    payload: unknown,
    how: How,
    reason: Reason,
    at: number,
    cause: unknown,
  ) {
    this.to = to
    this.kind = kind
    this.tag = tag
    this.payload = payload
    this.how = how
    this.reason = reason
    this.at = at
    this.cause = cause
  }
}

/** A letter about a letter: its payload is one, or has one as a field. */
export const isEcho = ({ payload }: DeadLetter): boolean => {
  if (typeof payload !== "object" || payload === null) return false
  if (payload instanceof Letter) return true
  if (Array.isArray(payload) || ArrayBuffer.isView(payload)) return false
  for (const name of Object.getOwnPropertyNames(payload)) {
    // A getter is somebody's code, which must not run here.
    const field = Object.getOwnPropertyDescriptor(payload, name)
    if (field !== undefined && field.value instanceof Letter) return true
  }
  return false
}
