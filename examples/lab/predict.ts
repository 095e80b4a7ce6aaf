/**
 * What pencil and paper say: the line drains in waves as large as the pool, one query time each.
 *
 * @module
 */
import type { Row } from "./burst.ts"
import { type Figures, figures } from "./figures.ts"
import { margin, type Variant } from "./variants.ts"

/**
 * The figures that a variant must have when every query takes exactly `serviceMs` (by default, what
 * the variant says), and nothing else takes any time.
 */
export const predict = (variant: Variant, serviceMs = variant.queryMs): Figures =>
  figures(rowsOf(variant, serviceMs))

/** When the query in wave `wave` (the first is 0) would end. */
const endOf = (wave: number, serviceMs: number) => (wave + 1) * serviceMs

const rowsOf = (variant: Variant, serviceMs: number): ReadonlyArray<Row> => {
  const { patience, pool, queue, requests } = variant
  /** Whether the pool lets somebody in for that wave: in time, with the reserve, as it expects. */
  const admits = (wave: number): boolean =>
    patience._tag !== "Pool" ||
    endOf(wave, patience.expectedMs) * (1 + margin) <= patience.ms + 1e-6
  let admitted = 0
  let late: number | undefined
  return Array.from({ length: requests }, (): Row => {
    const wave = Math.floor(admitted / pool)
    const refused = {
      arrived: 0,
      started: undefined,
      stopped: undefined,
      outcome: "refused",
    } as const
    if (!admits(wave)) return { ...refused, ended: 0, reason: "Infeasible" }
    if (admitted >= pool + queue) return { ...refused, ended: 0, reason: "QueueFull" }
    admitted++
    const started = wave * serviceMs
    const stopped = endOf(wave, serviceMs)
    const ok = {
      arrived: 0,
      started,
      stopped,
      ended: stopped,
      outcome: "ok",
      reason: undefined,
    } as const
    switch (patience._tag) {
      case "Endless":
        return ok
      case "Client": {
        // At its own deadline a query has lost: the clock struck before the answer was there.
        if (stopped < patience.ms) return ok
        const begun = started < patience.ms
        return {
          arrived: 0,
          started: begun ? started : undefined,
          stopped: begun ? patience.ms : undefined,
          ended: patience.ms,
          outcome: "timed out",
          reason: undefined,
        }
      }
      case "Pool":
        // At its turn it is asked again, with what queries have taken by then. The slot of one that
        // comes too late is the next one's turn in the same instant.
        if (wave === 0) return ok
        if (started + serviceMs * (1 + margin) > patience.ms + 1e-6) late ??= started
        return late === undefined
          ? ok
          : { ...refused, ended: Math.min(late, patience.ms), reason: "Late" }
    }
  })
}

/** Little's law: how many are inside on average = how many leave per second × how long each stays. */
export const little = ({ makespan, meanTotal, ok }: Figures): number =>
  makespan === 0 ? 0 : ok / makespan * (meanTotal ?? 0)
