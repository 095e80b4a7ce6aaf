/**
 * Calls to what you do not own, with everything around them in the right order.
 *
 * **Details** – *Bounded by* its limit and its line; its counts, windows and percentiles have a fixed
 * size. *Owned by* a scope. *Seen in* `/saturation` under its name, and in `weir_dependency_*`.
 *
 * @module
 */
import { Clock, type Duration, Effect, type Scope, type Stream } from "effect"
import type { HttpClient, HttpClientError, HttpClientRequest } from "effect/http"
import type { Bounded } from "../bounded/Bounded.ts"
import type { Refused } from "../bounded/Refused.ts"
import * as Saturation from "../bounded/Saturation.ts"
import { type DeadlineExceeded, within } from "../task/Deadline.ts"
import * as Metrics from "../telemetry/Metrics.ts"
import { assemble, type Options } from "./assemble.ts"
import type * as Breaker from "./Breaker.ts"
import { type Listeners, stateOf, transitionsOf } from "./breaking.ts"
import type * as Bulkhead from "./Bulkhead.ts"
import { type Caller, DependencyBound } from "./calling.ts"
import { type Client, clientOf, isIdempotent } from "./client.ts"
import { readingOf } from "./reading.ts"
import type * as Retry from "./Retry.ts"

export type { Options } from "./assemble.ts"

/**
 * A dependency.
 *
 * @category models
 * @since 0.1.0
 */
export interface Dependency {
  /** Its name among the bounded things of the service; policies name it under `uses`. */
  readonly name: string
  /**
   * The synchronous side: statistics, prediction, tickets. It predicts the wait in line, and while
   * the breaker is open the time until it is not; then it refuses tickets with `BreakerOpen`.
   */
  readonly bounded: Bounded
  /**
   * Runs the effect through all of it.
   *
   * **Details** – in this order, the outermost first:
   *
   * ```text
   * deadline         of the call, if it has one of its own
   * └ retry          idempotent calls only; each retry is drawn from the budget
   *   └ throttle     refuses a share of the calls while the dependency refuses
   *     └ breaker    refuses all of them while the dependency fails
   *       └ hedge    idempotent calls only, and only if switched on; drawn from the same budget
   *         └ limit  a slot, or a place in line that can still end in time
   *           └ timeout   of one attempt
   *             └ effect
   * ```
   *
   * Refusals of ours cost the dependency nothing, and are not held against it; waiting in our line is
   * no latency of it. A slot comes back when the effect and its finalizers have ended, not when its
   * time is up. What was cancelled says nothing about the dependency, with one exception: work that
   * its caller's deadline ended after more than three times the p95 met a call that hangs.
   *
   * **Fails with** – the effect's own errors; `Refused`: `BreakerOpen`, `Throttled`, `QueueFull`,
   * `Displaced`, `Infeasible`, `Late`, `Closed`; `DeadlineExceeded` when an attempt, or the call with a
   * deadline of its own, took too long. Dies with `ReentrantAcquire` when the caller already runs in a
   * slot of this dependency.
   *
   * **Interruption** – interrupts what runs, ends any wait, and gives back what was taken.
   */
  readonly call: <A, E, R>(
    effect: Effect.Effect<A, E, R>,
    options?: CallOptions<E>,
  ) => Effect.Effect<A, E | Refused | DeadlineExceeded, R>
  /**
   * The same for every request of an HTTP client.
   *
   * **Details** – sends `Request-Timeout: <milliseconds left>` with each attempt, which a Weir service
   * takes as its deadline, and `traceparent`, also without a tracer if the request being served has
   * one. A status of 408, 429 or 5xx, a connection that fails, and a timeout are failures of the
   * dependency; any other status is not. 408, 429, 500, 502, 503, 504 and failed connections are tried
   * again, after the `retryAfterMs` of a Weir service, or `Retry-After`, if there is one, unless the
   * answer says `x-should-retry: false`, or is a problem of a Weir service that a later try cannot mend
   * (`Infeasible`, `Late`, its deadline). The last answer is returned as it came; the body of a small
   * problem has been read by then, so read it as `json` or `text`, not as a stream. GET, HEAD, PUT,
   * DELETE, OPTIONS and QUERY are idempotent, and so is anything with an `Idempotency-Key`;
   * `options.idempotent` says otherwise.
   *
   * **Gotchas** – a slot is held until the head of the answer is there, not its body.
   *
   * **Fails with** – `HttpClientError`, and `Refused` and `DeadlineExceeded` as {@link call} does.
   */
  readonly client: (
    self: HttpClient.HttpClient,
    options?: ClientOptions,
  ) => HttpClient.HttpClient.With<HttpClientError.HttpClientError | Refused | DeadlineExceeded>
  /** Whether its breaker is open; `now` in absolute milliseconds. */
  readonly isOpen: (now: number) => boolean
  /** A picture of it now. */
  readonly stats: Effect.Effect<Stats>
  /** Changes of its breaker, as `Breaker.transitions`; none without one. */
  readonly transitions: Stream.Stream<Breaker.Transition>
}

/**
 * What one call says for itself.
 *
 * @category models
 * @since 0.1.0
 */
export interface CallOptions<E> {
  /** Whether doing it twice does no harm. Default: what the dependency says. */
  readonly idempotent?: boolean | undefined
  /** Time for all of it, waits and retries included. Default: the deadline in force alone. */
  readonly deadline?: Duration.Input | undefined
  /** What an error of this call says. Default: what the dependency says. */
  readonly hint?: ((error: E, now: number) => Retry.Hint) | undefined
}

/**
 * Options of {@link Dependency.client}.
 *
 * @category models
 * @since 0.1.0
 */
export interface ClientOptions {
  /** Which requests may be sent twice. Default: by method, or with an `Idempotency-Key`. */
  readonly idempotent?: ((request: HttpClientRequest.HttpClientRequest) => boolean) | undefined
}

/**
 * The statistics of the line, and of everything around it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Stats extends Bulkhead.Stats {
  /** Calls, not counting retries and hedges. */
  readonly calls: number
  /** What was really sent: first calls, retries and hedges that got a slot. */
  readonly attempts: { readonly first: number; readonly retry: number; readonly hedge: number }
  /** The breaker; `closed` without one. */
  readonly breaker: Breaker.State
  /** Chance that the throttle refuses the next call. */
  readonly throttleChance: number
  /** Retries and hedges that are left. */
  readonly retryBudget: number
  /** Median and 95th percentile of the last 128 successes, in milliseconds; 0 while unknown. */
  readonly latencyMs: { readonly p50: number; readonly p95: number }
  /** Latency without a queue at the other side, as far as the limit knows it. */
  readonly baselineMs: number
}

/**
 * Makes a dependency and registers it in `Saturation` until the scope closes.
 *
 * **Details** – with everything on, a call that does not wait costs about 5 µs of CPU, 3.6 without retries. See
 * {@link Dependency.call} for the order of the parts, and the options for the defaults.
 *
 * **Fails with** – nothing; dies with one sentence when an option is invalid or the name is taken.
 *
 * **Interruption** – does not wait.
 *
 * @example A call that fails at first
 * ```ts
 * import { Effect } from "effect"
 * import { Dependency } from "@weir/runtime"
 * import { deepStrictEqual } from "node:assert/strict"
 *
 * const program = Effect.gen(function* () {
 *   const prices = yield* Dependency.make({ name: "prices", timeout: "1 second" })
 *   let calls = 0
 *   const quote = Effect.suspend(() => ++calls < 2 ? Effect.fail("busy") : Effect.succeed(42))
 *   const price = yield* prices.call(quote, { idempotent: true, deadline: "2 seconds" })
 *   return [price, (yield* prices.stats).attempts]
 * })
 *
 * deepStrictEqual(await Effect.runPromise(Effect.scoped(program)), [
 *   42,
 *   { first: 1, retry: 1, hedge: 0 },
 * ])
 * ```
 *
 * @example For an HTTP client
 * ```ts
 * import { Effect } from "effect"
 * import { FetchHttpClient, HttpClient } from "effect/http"
 * import { Dependency } from "@weir/runtime"
 * import { strictEqual } from "node:assert/strict"
 *
 * const server = Deno.serve(
 *   { port: 0, hostname: "127.0.0.1", onListen: () => {} },
 *   (request) => new Response(request.headers.get("request-timeout")),
 * )
 * const program = Effect.gen(function* () {
 *   const prices = yield* Dependency.make({ name: "prices", timeout: "1 second" })
 *   const client = prices.client(yield* HttpClient.HttpClient)
 *   const response = yield* client.get(`http://127.0.0.1:${server.addr.port}/`)
 *   return Number(yield* response.text)
 * })
 * const left = await Effect.runPromise(
 *   program.pipe(Effect.scoped, Effect.provide(FetchHttpClient.layer)),
 * )
 * strictEqual(left > 0 && left <= 1000, true)
 * await server.shutdown()
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): Effect.Effect<Dependency, never, Scope.Scope> =>
  Effect.gen(function* () {
    const listeners: Listeners = new Set()
    const caller = yield* assemble(options, listeners)
    const bounded = new DependencyBound(caller)
    yield* Saturation.register(bounded)
    yield* Metrics.source((now) => ({ dependencies: [readingOf(caller, now)] }))
    return new Impl(caller, bounded, options, listeners)
  })

class Impl implements Dependency {
  readonly name: string
  readonly bounded: Bounded
  readonly transitions: Stream.Stream<Breaker.Transition>
  readonly #caller: Caller
  readonly #options: Options

  constructor(caller: Caller, bounded: Bounded, options: Options, listeners: Listeners) {
    this.name = options.name
    this.bounded = bounded
    this.transitions = transitionsOf(listeners)
    this.#caller = caller
    this.#options = options
  }

  readonly call = <A, E, R>(
    effect: Effect.Effect<A, E, R>,
    options?: CallOptions<E>,
  ): Effect.Effect<A, E | Refused | DeadlineExceeded, R> => {
    const called = this.#caller.call(effect, {
      idempotent: options?.idempotent ?? this.#options.idempotent ?? false,
      hint: (options?.hint ?? this.#options.hint) as never,
    })
    const deadline = options?.deadline
    return deadline === undefined ? called : within(deadline, this.name)(called)
  }

  readonly client = (self: HttpClient.HttpClient, options?: ClientOptions): Client =>
    clientOf(this.#caller, self, options?.idempotent ?? isIdempotent)

  readonly isOpen = (now: number): boolean => this.#caller.parts.circuit?.phase(now) === "open"

  readonly stats: Effect.Effect<Stats> = Effect.map(Clock.currentTimeMillis, (now) => {
    const { parts, totals } = this.#caller
    const { attempts, calls } = totals
    const sum = (kind: keyof typeof attempts) =>
      attempts[kind].success + attempts[kind].failure + attempts[kind].ignored
    return {
      ...parts.line.slots.stats(now),
      ...this.bounded.stats(now),
      calls,
      attempts: { first: sum("first"), retry: sum("retry"), hedge: sum("hedge") },
      breaker: parts.circuit === undefined ? closed : stateOf(parts.circuit, now),
      throttleChance: parts.share?.chance(now) ?? 0,
      retryBudget: parts.budget.balance(now),
      latencyMs: { p50: parts.latency.percentile(0.5), p95: parts.latency.percentile(0.95) },
      baselineMs: parts.line.climbing?.baseline ?? 0,
    }
  })
}

const closed: Breaker.State = {
  phase: "closed",
  failureRate: 0,
  slowRate: 0,
  calls: 0,
  refused: 0,
  opensInMs: 0,
}
