/** What the workers of suite `admission` have in common: the loop, its meter, its check. */
import process from "node:process"
import { type Sample, VerificationFailed } from "../suite.ts"

/** What a worker is asked for. */
export interface Job {
  /** Of CPU time: what else the machine does must not decide how much of it is run, and compiled. */
  readonly seconds: number
}

/** Requests between two looks at the clock. */
const batch = 1000
/** Of so many requests one is timed by itself. */
const every = 16

/** The subject: `request` does all that admission does for one request, and says whether it came in. */
export interface Subject {
  readonly request: (now: number) => boolean
  /** Whether every request comes in, or none. */
  readonly admits: boolean
}

/** CPU time per request, and how long single ones took. */
export const measure = ({ admits, request }: Subject, { seconds }: Job): Sample => {
  const started = process.cpuUsage()
  const times = new Float64Array(1 << 17)
  let timed = 0
  let count = 0
  let admitted = 0
  const spent = () => {
    const { system, user } = process.cpuUsage(started)
    return user + system
  }
  while (spent() < seconds * 1e6) {
    const now = Date.now()
    for (let i = 0; i < batch; i++) {
      const one = i % every === 0
      const at = one ? performance.now() : 0
      if (request(now)) admitted++
      if (one) times[timed++ & (times.length - 1)] = (performance.now() - at) * 1000
    }
    count += batch
  }
  const micros = spent()
  const expected = admits ? count : 0
  if (admitted !== expected) {
    throw new VerificationFailed(`admitted: ${admitted}, and not ${expected} of ${count}`)
  }
  const sorted = times.slice(0, Math.min(timed, times.length)).sort()
  return {
    "CPU per request": micros / count,
    "p50": sorted[Math.floor(sorted.length * 0.5)]!,
    "p99": sorted[Math.floor(sorted.length * 0.99)]!,
  }
}
