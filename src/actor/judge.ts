import { Cause, Exit } from "effect"
import * as CancelReason from "../task/CancelReason.ts"
import type { ServiceTime } from "../bounded/ServiceTime.ts"
import { stashSignal } from "./control.ts"
import type { Entry } from "./entry.ts"
import { crashedOn, type Speaker, timedOut } from "./failures.ts"
import type { Handling, Verdict } from "./handling.ts"

/** How a message ends whose handler failed, and what its asker gets. */
export const judge = (
  speaker: Speaker,
  handling: Handling | undefined,
  entry: Entry,
  cause: Cause.Cause<unknown>,
): Verdict => {
  if (Cause.hasDies(cause)) {
    return { outcome: "failed", exit: Exit.fail(crashedOn(speaker, entry, Cause.squash(cause))) }
  }
  if (!Cause.hasInterrupts(cause)) {
    // A typed failure is a reply, if there is somebody to reply to.
    return { outcome: entry.how === "ask" ? "handled" : "failed", exit: Exit.failCause(cause) }
  }
  if (handling?.verdict !== undefined) return handling.verdict
  if (entry.forsaken) {
    return { outcome: "cancelled", exit: Exit.fail(timedOut(speaker, entry, "running")) }
  }
  return handling !== undefined && handling.cancelledAt >= 0
    ? {
      outcome: "cancelled",
      exit: Exit.fail(crashedOn(speaker, entry, `the handler was cancelled: ${why(handling)}`)),
    }
    : { outcome: "failed", exit: Exit.fail(crashedOn(speaker, entry, "it interrupted itself")) }
}

const why = ({ scope }: Handling): string => {
  const reason = scope.effectiveReason()
  return reason === undefined ? "nobody said why" : CancelReason.format(reason)
}

/** What failed besides that the message is to be put aside; undefined when nothing did. */
export const withoutStash = (cause: Cause.Cause<unknown>): Cause.Cause<unknown> | undefined => {
  const others = cause.reasons.filter((reason) =>
    reason._tag !== "Die" || reason.defect !== stashSignal
  )
  const failed = others.length === cause.reasons.length ||
    others.some((reason) => reason._tag === "Die")
  return failed ? Cause.fromReasons(others) : undefined
}

/** Notes how long a run took; undefined when it did not suspend, which only a known time hears of. */
export const measure = (
  service: ServiceTime,
  cancelled: boolean,
  ms: number | undefined,
  exit: Exit.Exit<unknown, unknown>,
): void => {
  if (ms === undefined && !service.known) return
  if (Exit.isSuccess(exit)) service.observe(ms ?? 0)
  else if (ms !== undefined && cancelled) service.observeCensored(ms)
}
