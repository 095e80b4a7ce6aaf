/**
 * Tells what a SqlError means for the caller. The driver's own reasons have gaps ("starting up" and
 * "terminated by an administrator" arrive as UnknownError), so the server's SQLSTATE decides.
 */
import type { SqlError } from "effect/sql/SqlError"
import { Refused } from "../bounded/Refused.ts"
import type { DatabaseUnavailable, Reason } from "./DatabaseUnavailable.ts"
import { make } from "./DatabaseUnavailable.ts"

/** The SQLSTATE (five characters) or the operating system's code of the error. */
export const codeOf = (error: SqlError): string | undefined => {
  const cause = error.reason.cause
  return typeof cause === "object" && cause !== null && "code" in cause &&
      typeof cause.code === "string"
    ? cause.code
    : undefined
}

/** The error of which the caller can make something; `undefined` when it is a bug. */
export const classify = (error: SqlError): Refused | DatabaseUnavailable | undefined => {
  if (error.reason.cause instanceof Refused) return error.reason.cause
  const code = codeOf(error)
  const reason = byState(code) ?? byReason(error)
  return reason && make(reason, code, error)
}

const byState = (code: string | undefined): Reason | undefined => {
  switch (code) {
    case "57P03":
      return "StartingUp"
    case "57P01":
    case "57P02":
      return "ShuttingDown"
    case "53300":
      return "TooManyConnections"
    case "57014":
      return "TimedOut"
    case "40001":
    case "40P01":
    case "55P03":
      return "Conflict"
    // Idle sessions that the server ended, and a database that is being dropped.
    case "57P04":
    case "57P05":
    case "25P03":
    case "25P04":
      return "ConnectionLost"
  }
  if (code?.startsWith("53")) return "OutOfResources"
  return code?.startsWith("08") ? "ConnectionLost" : undefined
}

const byReason = (error: SqlError): Reason | undefined => {
  const { _tag, operation } = error.reason
  // A password that was changed, or a server that was replaced: nothing that the caller did.
  if (_tag === "AuthenticationError") return "Unreachable"
  if (_tag !== "ConnectionError") return undefined
  return operation === "connect" ? "Unreachable" : "ConnectionLost"
}
