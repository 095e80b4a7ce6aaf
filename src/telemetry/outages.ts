import { type Clock, type Context, Effect } from "effect"
import type { Metrics } from "./Metrics.ts"
import type { Signal, Target } from "./settings.ts"

/** Hears how each export ended, counts what was lost, and says so in at most one line a minute. */
export interface Outages {
  /** `quiet` counts without a word: after the end, which says itself that something is lost. */
  readonly failed: (
    signal: Signal,
    items: number,
    error: Error | undefined,
    quiet: boolean,
  ) => void
  readonly delivered: (signal: Signal) => void
}

interface State {
  saidAt: number
  failures: number
  lost: number
}

const quietMs = 60_000

/** Without the user name and password that an address may hold. */
export const shown = (url: string): string => {
  const parsed = new URL(url)
  return `${parsed.protocol}//${parsed.host}${parsed.pathname}`
}

/** The innermost explanation: an HTTP status, a system code, or the message. */
const why = (error: Error | undefined): string => {
  if (error === undefined) return "unknown error"
  const code = "code" in error ? error.code : undefined
  if (typeof code === "number") return `HTTP ${code}`
  if (error.message !== "") return error.message
  return typeof code === "string" ? code : error.name
}

/** Metrics are cumulative, so a failed export of them loses nothing. */
const counts = (signal: Signal, { failures, lost }: State): string =>
  `exports failed: ${failures}` + (signal === "metrics" ? "" : `, items lost: ${lost}`)

/**
 * The context is the one from before the export was installed: a report about the collector must
 * not be sent to the collector.
 */
export const make = (
  context: Context.Context<never>,
  clock: Clock.Clock,
  metrics: Metrics,
  targets: Readonly<Partial<Record<Signal, Target>>>,
): Outages => {
  const states = new Map<Signal, State>()
  const say = (message: string): void => {
    Effect.runForkWith(context)(Effect.logWarning(message)).addObserver(() => {})
  }
  return {
    failed: (signal, items, error, quiet) => {
      const now = clock.currentTimeMillisUnsafe()
      const state = states.get(signal) ?? { saidAt: -Infinity, failures: 0, lost: 0 }
      states.set(signal, state)
      state.failures++
      if (signal !== "metrics") {
        state.lost += items
        metrics.exportDropped(signal, "failed", items)
      }
      if (quiet || now - state.saidAt < quietMs) return
      state.saidAt = now
      say(
        `Cannot send ${signal} to ${shown(targets[signal]?.url ?? "")}: ${why(error)}. ` +
          `The service goes on without (${counts(signal, state)}). ` +
          "Start the collector, or unset OTEL_EXPORTER_OTLP_ENDPOINT.",
      )
    },
    delivered: (signal) => {
      const state = states.get(signal)
      if (state === undefined || state.failures === 0) return
      say(`Sending ${signal} works again (${counts(signal, state)}).`)
      state.failures = 0
      state.lost = 0
    },
  }
}
