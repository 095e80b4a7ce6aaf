import { type Duration, Effect, type Schedule, type Scope } from "effect"
import { Mistake } from "../internal/mistake.ts"
import { durationMs } from "../internal/setting.ts"
import type * as AdaptiveLimit from "./AdaptiveLimit.ts"
import type * as Breaker from "./Breaker.ts"
import { type Listeners, makeCircuit, tell } from "./breaking.ts"
import { Caller } from "./calling.ts"
import type * as Hedge from "./Hedge.ts"
import { hedgeSettings, Hedging } from "./hedging.ts"
import { Latency } from "./latency.ts"
import { boundsOf, makeLine } from "./limitedline.ts"
import * as Retry from "./Retry.ts"
import * as RetryBudget from "./RetryBudget.ts"
import { attemptsOf } from "./retrying.ts"
import { makeShare } from "./share.ts"
import type * as Throttle from "./Throttle.ts"

/**
 * Options of `Dependency.make`. Every part that is a setting can be switched off with `false`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Unique among the bounded things of the service. */
  readonly name: string
  /**
   * Time of one attempt. Default 10 seconds, so that a call that hangs has an outcome. Better: the
   * p99.9 of the dependency, and a little for the network.
   */
  readonly timeout?: Duration.Input | undefined
  /**
   * How much runs at once: a number, or the bounds between which it is found out. Default found out,
   * from 10, between 1 and 200.
   */
  readonly limit?: number | AdaptiveLimit.Settings | undefined
  /** Places in line. Default 256; work that cannot end in time is refused long before. */
  readonly queueCapacity?: number | undefined
  /** Service time to assume before anything is known. Default: unknown. */
  readonly expected?: Duration.Input | undefined
  /** Longest wait in line, whatever the deadline. Default 30 seconds. */
  readonly maxWait?: Duration.Input | undefined
  /** Chance of being late above which a call is refused, as of a bulkhead. Default 0.001. */
  readonly risk?: number | undefined
  /** Whether doing a call twice does no harm, unless it says so itself. Default false. */
  readonly idempotent?: boolean | undefined
  /** Retries of idempotent calls: see `Retry.Options`. Default 3 attempts, full jitter. */
  readonly retry?: false | {
    readonly attempts?: number | undefined
    readonly schedule?: Schedule.Schedule<unknown, unknown> | undefined
    readonly maxDelay?: Duration.Input | undefined
  } | undefined
  /** What retries and hedges are drawn from. Default 20 % of the calls, at least 3 in 10 seconds. */
  readonly budget?: RetryBudget.Options | undefined
  /** Default on: see `Throttle.Settings`. */
  readonly throttle?: false | Throttle.Settings | undefined
  /** Default on: see `Breaker.Settings`. */
  readonly breaker?: false | Breaker.Settings | undefined
  /**
   * Second calls beside slow ones, of idempotent calls. Default off: it pays only where latency
   * varies by chance, and the other side counts each of them.
   */
  readonly hedge?: boolean | Hedge.Settings | undefined
  /** What an error says. Default `Retry.hint`. */
  readonly hint?: ((error: unknown, now: number) => Retry.Hint) | undefined
}

/** Checks the options, and puts the parts together. */
export const assemble = (
  options: Options,
  listeners: Listeners,
): Effect.Effect<Caller, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { breaker, expected, hedge, limit, maxWait, name, retry, risk, throttle } = options
    const what = `Cannot make the dependency "${name}"`
    const timeoutMs = durationMs(`${what}: timeout`, options.timeout ?? "10 seconds")
    if (!(timeoutMs > 0)) throw new Mistake(`${what}: timeout is not a positive duration.`)
    const adaptive = typeof limit === "number" ? undefined : boundsOf(what, limit ?? {})
    const line = yield* makeLine({
      name,
      kind: "dependency",
      capacity: adaptive?.initial ?? (limit as number),
      queueCapacity: options.queueCapacity ?? 256,
      expected,
      maxWait,
      risk,
    }, adaptive)
    const circuit = breaker === false
      ? undefined
      : yield* makeCircuit(what, breaker ?? {}, tell(name, listeners))
    const budget = RetryBudget.make(options.budget)
    const latency = new Latency()
    return new Caller({
      name,
      line,
      circuit,
      share: throttle === false ? undefined : makeShare(what, throttle ?? {}),
      budget,
      latency,
      timeoutMs,
      hedging: hedge === undefined || hedge === false ? undefined : new Hedging({
        ...hedgeSettings(what, hedge === true ? {} : hedge),
        budget,
        latency,
        utilization: () => line.slots.inUse / line.slots.capacity,
      }),
      retry: retry === false ? undefined : {
        attempts: attemptsOf(what, retry?.attempts),
        schedule: retry?.schedule ?? Retry.fullJitter(),
        maxDelayMs: durationMs(`${what}: retry.maxDelay`, retry?.maxDelay ?? "10 seconds"),
      },
    })
  })
