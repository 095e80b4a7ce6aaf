/**
 * From the lives of requests to the numbers of a row, and to the curves of the plots.
 *
 * @module
 */
import type { Row } from "./burst.ts"

/** A row of the tables; times in milliseconds, of those that were answered. */
export interface Figures {
  readonly ok: number
  readonly timedOut: number
  readonly refused: number
  readonly failed: number
  /** From the burst until nobody is left. */
  readonly makespan: number
  readonly meanWait: number | undefined
  readonly meanTotal: number | undefined
  readonly p50: number | undefined
  readonly p95: number | undefined
  readonly p99: number | undefined
  /** Queries that had begun and were of use to nobody, and how long they ran in all. */
  readonly wastedQueries: number
  readonly wastedMs: number
  /** When the last refusal was told; `undefined` when there was none. */
  readonly lastRefusal: number | undefined
  /** The mean number of requests inside, counted over the whole time (the L of Little's law). */
  readonly inside: number
}

export const figures = (rows: ReadonlyArray<Row>): Figures => {
  const of = (outcome: Row["outcome"]) => rows.filter((row) => row.outcome === outcome)
  const ok = of("ok")
  const refused = of("refused")
  const totals = ok.map(({ arrived, ended }) => ended - arrived).sort((a, b) => a - b)
  const makespan = Math.max(0, ...rows.map(({ ended }) => ended))
  // A query that was cancelled in the instant in which it began has cost nothing.
  const wasted = rows.filter((row) => row.outcome !== "ok").map(spent).filter((ms) => ms > 0)
  return {
    ok: ok.length,
    timedOut: of("timed out").length,
    refused: refused.length,
    failed: of("failed").length,
    makespan,
    meanWait: mean(ok.map(({ arrived, started = arrived }) => started - arrived)),
    meanTotal: mean(totals),
    p50: percentile(totals, 0.5),
    p95: percentile(totals, 0.95),
    p99: percentile(totals, 0.99),
    wastedQueries: wasted.length,
    wastedMs: sum(wasted),
    lastRefusal: refused.length === 0 ? undefined : Math.max(...refused.map(({ ended }) => ended)),
    inside: area(steps(rows, ({ arrived, ended }) => [arrived, ended]), makespan) /
      Math.max(1e-9, makespan),
  }
}

/** How long the query of a request ran. */
export const spent = ({ started, stopped }: Row): number =>
  started === undefined ? 0 : (stopped ?? started) - started

/** When its query began, if it ran at all: one that was cancelled in the same instant did not. */
export const ranFrom = (row: Row): number | undefined => spent(row) > 0 ? row.started : undefined

/** A number that changes at instants: from `at` on it is `value`. */
export interface Step {
  readonly at: number
  readonly value: number
}

/** How many are in a stretch of their life at each instant. */
export const steps = (
  rows: ReadonlyArray<Row>,
  stretch: (row: Row) => readonly [from: number, to: number] | undefined,
): ReadonlyArray<Step> => {
  const changes = new Map<number, number>()
  for (const row of rows) {
    const [from, to] = stretch(row) ?? [0, 0]
    if (to <= from) continue
    changes.set(from, (changes.get(from) ?? 0) + 1)
    changes.set(to, (changes.get(to) ?? 0) - 1)
  }
  let value = 0
  return [...changes].sort(([a], [b]) => a - b).map(([at, change]) => ({
    at,
    value: value += change,
  }))
}

/** Waiting for a slot: until its query began, or until it had left. */
export const waiting = (rows: ReadonlyArray<Row>): ReadonlyArray<Step> =>
  steps(rows, ({ arrived, ended, started = ended }) => [arrived, started])

/** Slots in use. */
export const running = (rows: ReadonlyArray<Row>): ReadonlyArray<Step> =>
  steps(
    rows,
    ({ started, stopped }) => started === undefined ? undefined : [started, stopped ?? started],
  )

/** The integral of steps from 0 on. */
export const area = (line: ReadonlyArray<Step>, until: number): number =>
  sum(line.map(({ at, value }, i) => value * ((line[i + 1]?.at ?? until) - at)))

/** The smallest value that so large a part of all does not exceed (nearest rank). */
export const percentile = (
  sorted: ReadonlyArray<number>,
  part: number,
): number | undefined => sorted[Math.max(0, Math.ceil(part * sorted.length - 1e-9) - 1)]

const mean = (values: ReadonlyArray<number>): number | undefined =>
  values.length === 0 ? undefined : sum(values) / values.length

const sum = (values: ReadonlyArray<number>): number => values.reduce((all, it) => all + it, 0)
