import type { Request } from "../bounded/Bounded.ts"
import * as Feasibility from "../bounded/Feasibility.ts"
import type { ServiceTime } from "../bounded/ServiceTime.ts"

/** The reserve that is asked for, where messages take unequally long. */
const usual = Feasibility.sigmas(Feasibility.usualRisk)

/**
 * Whether what waits until so many of `concurrency` runs have ended will probably be in time. The first in
 * line is asked for no reserve, as in a pool.
 */
export const promises = (
  wait: number,
  ended: number,
  concurrency: number,
  { deviation, mean }: ServiceTime,
  own: number,
  like: Request["expectation"],
  timeLeft: number,
): boolean => {
  if (ended <= 1) return Feasibility.decide(wait, own, timeLeft)
  const varies = Feasibility.waitDeviation(ended, concurrency, mean, deviation)
  return Feasibility.likely(wait, varies, own, like, timeLeft, usual)
}
