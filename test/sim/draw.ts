import { random } from "../support/random.ts"
import type { Load, Pool, Work } from "./scenario.ts"
import { rateOf } from "./scenario.ts"

/**
 * A number in [0, 1) that belongs to one draw of one attempt: the same for every policy, whatever
 * happened before, so that all of them see the same work.
 */
export const draw = (seed: number, operation: number, attempt: number, which: number): number => {
  let h = seed ^ Math.imul(operation + 1, 0x9e3779b1)
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b) ^ Math.imul(attempt * 8 + which + 1, 0xc2b2ae35)
  h = Math.imul(h ^ (h >>> 13), 0x27d4eb2f)
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d)
  return ((h ^ (h >>> 16)) >>> 0) / 4294967296
}

/** Milliseconds of work, from two numbers in [0, 1). */
export const workOf = (work: Work, a: number, b: number): number => {
  if (typeof work === "number") return work
  if ("bimodal" in work) {
    const { fastMs, slowMs, slowShare } = work.bimodal
    return a < slowShare ? slowMs : fastMs
  }
  if ("pareto" in work) {
    const { alpha, meanMs } = work.pareto
    return meanMs * (alpha - 1) / alpha * (1 - a) ** (-1 / alpha)
  }
  const { meanMs, cv } = work.lognormal
  const variance = Math.log(1 + cv * cv)
  const normal = Math.sqrt(-2 * Math.log(1 - a)) * Math.cos(2 * Math.PI * b)
  return Math.exp(Math.log(meanMs) - variance / 2 + Math.sqrt(variance) * normal)
}

/** The moments at which requests of a load are sent between two instants, in order, one at a time. */
export function* arrivals(
  load: Load,
  pool: Pool,
  from: number,
  to: number,
  seed: number,
): Generator<number> {
  if (load.arrival === "burst") {
    for (let i = 0; i < (load.count ?? 0); i++) yield from
    return
  }
  const gap = 1000 / rateOf(load, pool)
  if (load.arrival === "constant") {
    for (let i = 0; from + i * gap < to; i++) yield from + i * gap
    return
  }
  if (gap === Infinity) return
  const next = random(seed)
  for (let at = from; (at -= Math.log(1 - next()) * gap) < to;) yield at
}
