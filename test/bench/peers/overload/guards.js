// How each library is put around the pool, once tuned for queries of 200 ms and a deadline of 1 s
// (10 slots and 30 waiting: four waves, 800 ms), then left alone. A guard runs the work or fails;
// `refused` tells a refusal from a bug.
// @ts-ignore: a package of this folder alone, installed when the benchmark runs
import Bottleneck from "bottleneck"
// @ts-ignore: a package of this folder alone, installed when the benchmark runs
import * as cockatiel from "cockatiel"
// @ts-ignore: a package of this folder alone, installed when the benchmark runs
import CircuitBreaker from "opossum"
// @ts-ignore: a package of this folder alone, installed when the benchmark runs
import PQueue from "p-queue"
import { feasibility, Infeasible } from "./feasibility.js"

const deadlineMs = 1000, slots = 10, waiting = 30

const bottleneck = (strategy) => {
  const limiter = new Bottleneck({ maxConcurrent: slots, highWater: waiting, strategy })
  return {
    run: (work) => limiter.schedule(work),
    refused: (error) => error instanceof Bottleneck.BottleneckError ? [503, "dropped"] : undefined,
  }
}

const opossum = (options) => {
  const breaker = new CircuitBreaker((work) => work(), {
    capacity: slots + waiting,
    timeout: deadlineMs,
    ...options,
  })
  const codes = {
    ESEMLOCKED: [503, "capacity"],
    EOPENBREAKER: [503, "open"],
    ETIMEDOUT: [504, "timeout"],
  }
  return { run: (work) => breaker.fire(work), refused: (error) => codes[error.code] }
}

export const guards = {
  /** Nothing before the pool. */
  none: () => ({ run: (work) => work(), refused: () => undefined }),

  /** The timeout outside, so that it also covers the wait in the bulkhead. */
  cockatiel: () => {
    const policy = cockatiel.wrap(
      cockatiel.timeout(deadlineMs, cockatiel.TimeoutStrategy.Aggressive),
      cockatiel.bulkhead(slots, waiting),
    )
    return {
      run: (work) => policy.execute(work),
      refused: (error) =>
        cockatiel.isBulkheadRejectedError(error)
          ? [503, "bulkhead"]
          : cockatiel.isTaskCancelledError(error)
          ? [504, "timeout"]
          : undefined,
    }
  },

  /** Its own refusals count as failures and open the breaker: the default. */
  opossum: () => opossum({}),

  /** Refusals for lack of room do not count: what one finds out when tuning it. */
  "opossum-filter": () => opossum({ errorFilter: (error) => error.code === "ESEMLOCKED" }),

  /** Refuses the newcomer. */
  bottleneck: () => bottleneck(Bottleneck.strategy.OVERFLOW),

  /** Its default strategy: drops the oldest in line. */
  "bottleneck-leak": () => bottleneck(Bottleneck.strategy.LEAK),

  "p-queue": () => {
    class Full extends Error {}
    const queue = new PQueue({ concurrency: slots })
    return {
      run: (work) => queue.size >= waiting ? Promise.reject(new Full()) : queue.add(work),
      refused: (error) => error instanceof Full ? [503, "full"] : undefined,
    }
  },

  feasibility: () => ({
    run: feasibility({ slots, deadlineMs }),
    refused: (error) => error instanceof Infeasible ? [503, "infeasible"] : undefined,
  }),
}
