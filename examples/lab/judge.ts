/**
 * Real time beside the prediction: never faster, and slower by no more than the way to the database
 * explains.
 *
 * @module
 */
import type { Row } from "./burst.ts"
import { predict } from "./predict.ts"
import type { Way } from "./results.ts"
import type { Variant } from "./variants.ts"

export interface Verdict {
  readonly kind:
    | "within"
    /** Slower than tolerated, and the event loop stood still meanwhile: it says nothing. */
    | "stalled"
    /** Slower than tolerated, and nothing here explains it. */
    | "slower"
    /** What cannot be: the laboratory or the runtime has a bug. */
    | "impossible"
  /** How much later the answers came than predicted, as a part of it; `undefined` without any. */
  readonly slower: number | undefined
  /** The most that is tolerated. */
  readonly tolerated: number
  /** How long the event loop stood still at worst. */
  readonly stallMs: number
  /** How many answers there are when every query takes as long as the median of the warm-up. */
  readonly expectedOk: number
}

/** A platform timer counts whole milliseconds, and may be cut off below. */
const resolutionMs = 1

/** The least that is tolerated for each query: a few turns of the event loop. */
const leastMs = 5

/**
 * The part by which answers may be late: twice the worst that a query lost on its way while nothing
 * else was going on. Twice, because during a burst ten of them start in one turn of the event loop.
 */
export const tolerance = (way: Way, queryMs: number): number =>
  2 * Math.max(leastMs, way.longestMs - queryMs) / queryMs

/**
 * The most answers that there can be. To start all requests takes some milliseconds, and the last of
 * them leave that much later; who comes after the first wave finds places that were taken before.
 */
export const mostOk = (variant: Variant, rows: ReadonlyArray<Row>): number => {
  const { patience, queryMs, requests } = variant
  const spread = Math.max(0, ...rows.map(({ arrived }) => arrived)) + resolutionMs
  if (spread >= queryMs) return requests
  return predict({
    ...variant,
    patience: patience._tag === "Endless" ? patience : { ...patience, ms: patience.ms + spread },
  }).ok
}

export const judge = (
  variant: Variant,
  way: Way,
  rows: ReadonlyArray<Row>,
  { baseMs, stallMs }: { readonly baseMs: number; readonly stallMs: number },
): Verdict => {
  const lost = way.medianMs - baseMs
  const expectedOk = predict(variant, variant.queryMs + Math.max(0, lost)).ok
  // Counted from the burst's first instant: to start a hundred requests takes some milliseconds, so
  // that the last of them wait a little less than their wave.
  const totals = rows.filter(({ outcome }) => outcome === "ok")
    .map(({ ended }) => ended).sort((a, b) => a - b)
  // The n-th answer of a line of waves, by the definition of a wave.
  const due = totals.map((_, n) => (Math.floor(n / variant.pool) + 1) * variant.queryMs)
  const slower = totals.length === 0
    ? undefined
    : totals.reduce((sum, it) => sum + it, 0) / due.reduce((sum, it) => sum + it, 0) - 1
  const tolerated = tolerance(way, baseMs)
  const impossible = totals.some((total, n) => total < due[n]! - resolutionMs) ||
    totals.length > mostOk(variant, rows) || rows.length !== variant.requests
  const fewer = totals.length < expectedOk
  const late = fewer || (slower !== undefined && slower > tolerated)
  const excessMs = fewer ? lost : late ? (slower! - tolerated) * due.at(-1)! : 0
  return {
    kind: impossible ? "impossible" : !late
      ? "within"
      // A turn of the loop that took long delays everything that was due meanwhile.
      : stallMs >= excessMs / 2
      ? "stalled"
      : "slower",
    slower,
    tolerated,
    stallMs,
    expectedOk,
  }
}
