/**
 * A pool of resources that are expensive to make: bounded, validated, replaced, closed in time.
 *
 * @module
 */
import type { Cause, Scope } from "effect"
import { type Duration, Effect, Schema } from "effect"
import type { Bounded } from "../bounded/Bounded.ts"
import type * as Refused from "../bounded/Refused.ts"
import { durationMs } from "../internal/setting.ts"
import * as Bulkhead from "./Bulkhead.ts"
import { Resources } from "./resources.ts"

/**
 * A pool of resources of type `R`, whose creation may fail with `E`.
 *
 * @category models
 * @since 0.1.0
 */
export interface ResourcePool<R, E = never> {
  /** Its name among the bounded things of the service. */
  readonly name: string
  /** The synchronous side: statistics, prediction, tickets. */
  readonly bounded: Bounded
  /**
   * Runs the function with a resource that nobody else uses meanwhile.
   *
   * **Details** – waits for a slot as {@link Bulkhead.Bulkhead} does. Takes the resource used last;
   * makes one if none is idle. A resource that is too old, was invalidated, or fails validation is
   * closed and replaced first, by the same caller and within its slot, so that no more than
   * `capacity` resources are ever open.
   *
   * **Fails with** – `Refused`; the error `E` of `acquire`, told to the caller for whom the resource
   * was being made and to nobody else; {@link AcquireTimeout} when that took too long. Dies with
   * `ReentrantAcquire` when the caller already holds a resource of this pool.
   *
   * **Interruption** – gives the resource back after the function's finalizers; a resource that is
   * being made or validated at that moment is closed; that is waited for `closeTimeout` at most.
   */
  readonly use: <A, E2, R2>(
    f: (resource: R) => Effect.Effect<A, E2, R2>,
  ) => Effect.Effect<A, E | E2 | Refused.Refused | AcquireTimeout, R2>
  /**
   * Marks a resource as broken: it is closed instead of used again, at once if it is idle, else
   * when its user gives it back. Does nothing for one that the pool does not know.
   *
   * **Fails with** – nothing.
   *
   * **Interruption** – waits for the closing, at most `closeTimeout`; cannot be interrupted.
   */
  readonly invalidate: (resource: R) => Effect.Effect<void>
  /** A picture of the pool now. */
  readonly stats: Effect.Effect<Stats>
}

/**
 * The statistics of the slots, and of the resources.
 *
 * @category models
 * @since 0.1.0
 */
export interface Stats extends Bulkhead.Stats {
  /** Resources open now: borrowed, idle, being made or being closed. */
  readonly created: number
  /** Those that wait to be used. */
  readonly idle: number
}

/**
 * Options of {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<R, E, Env> extends Bulkhead.Options {
  /** Makes one resource; its finalizers close it. */
  readonly acquire: Effect.Effect<R, E, Env>
  /** Whether an idle resource still works. Default: not asked. */
  readonly validate?: ((resource: R) => Effect.Effect<boolean>) | undefined
  /** A resource is validated when it was idle for longer than this. Default 5 seconds. */
  readonly validateAfter?: Duration.Input | undefined
  /** An idle resource is closed after this time. Default 1 minute. */
  readonly idleTimeToLive?: Duration.Input | undefined
  /** A resource is not used again when it is older than this. Default 30 minutes. */
  readonly maxLifetime?: Duration.Input | undefined
  /**
   * Time limit for making one resource, and for validating one. Default 10 seconds. One that cannot
   * be interrupted, as in `acquireRelease`, is left behind after another `closeTimeout`, with a
   * warning, and closed when it ends.
   */
  readonly acquireTimeout?: Duration.Input | undefined
  /** How long the closing of one resource is waited for. Default 5 seconds. */
  readonly closeTimeout?: Duration.Input | undefined
}

const AcquireTimeoutBase: Schema.Class<
  AcquireTimeout,
  Schema.TaggedStruct<"AcquireTimeout", {
    readonly resource: typeof Schema.String
    readonly timeoutMs: typeof Schema.Number
  }>,
  Cause.YieldableError
> = Schema.TaggedError<AcquireTimeout>()("AcquireTimeout", {
  resource: Schema.String,
  timeoutMs: Schema.Number,
})

/**
 * Making a resource took longer than the pool's `acquireTimeout`.
 *
 * @category errors
 * @since 0.1.0
 */
export class AcquireTimeout extends AcquireTimeoutBase {
  /** One sentence: what failed, why, what to do. */
  override get message(): string {
    return `Cannot make a resource for the pool "${this.resource}": it took longer than ` +
      `${this.timeoutMs} ms. Check what it connects to, or raise acquireTimeout.`
  }
}

/**
 * Makes a pool and registers it in `Saturation` until the scope closes.
 *
 * **Details** – makes no resource until one is needed. When the scope closes, waiters are refused
 * with `Closed`, idle resources are closed, and borrowed ones are waited for without a limit: their
 * users live in scopes that end before this one.
 *
 * **Fails with** – nothing; dies with one sentence when an option is invalid or the name is taken.
 *
 * **Interruption** – does not wait.
 *
 * @example Sharing two connections
 * ```ts
 * import { Effect } from "effect"
 * import { ResourcePool } from "@weir/runtime"
 * import { strictEqual } from "node:assert/strict"
 *
 * let opened = 0
 * const program = Effect.gen(function* () {
 *   const pool = yield* ResourcePool.make({
 *     name: "connections",
 *     capacity: 2,
 *     acquire: Effect.acquireRelease(Effect.sync(() => ++opened), () => Effect.void),
 *   })
 *   yield* Effect.all([1, 2, 3, 4].map(() => pool.use(() => Effect.sleep("1 millis"))), {
 *     concurrency: "unbounded",
 *   })
 *   return opened
 * })
 *
 * strictEqual(await Effect.runPromise(Effect.scoped(program)), 2)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <R, E, Env = never>(
  options: Options<R, E, Env>,
): Effect.Effect<ResourcePool<R, E>, never, Scope.Scope | Exclude<Env, Scope.Scope>> =>
  Effect.withFiber((fiber) => {
    const millis = (
      option:
        | "acquireTimeout"
        | "validateAfter"
        | "idleTimeToLive"
        | "maxLifetime"
        | "closeTimeout",
      otherwise: Duration.Input,
    ): number =>
      durationMs(`Cannot make the pool "${options.name}": ${option}`, options[option] ?? otherwise)
    const acquireMs = millis("acquireTimeout", "10 seconds")
    const { validate } = options
    const resources = new Resources<R, E | AcquireTimeout>(fiber, {
      name: options.name,
      capacity: options.capacity,
      acquire: options.acquire as Effect.Effect<R, E | AcquireTimeout>,
      acquireMs,
      acquireTimeout: () => new AcquireTimeout({ resource: options.name, timeoutMs: acquireMs }),
      validate: validate && ((resource) =>
        Effect.timeoutOrElse(validate(resource), {
          duration: acquireMs,
          orElse: () => Effect.succeed(false),
        })),
      validateAfterMs: millis("validateAfter", "5 seconds"),
      idleMs: millis("idleTimeToLive", "1 minute"),
      lifetimeMs: millis("maxLifetime", "30 minutes"),
      closeMs: millis("closeTimeout", "5 seconds"),
    })
    // Added before the bulkhead's, so it runs after it: first waiters are refused, then this waits.
    return Effect.addFinalizer(() => resources.close).pipe(
      Effect.andThen(Bulkhead.make({ kind: "pool", ...options })),
      Effect.map((bulkhead): ResourcePool<R, E> => ({
        name: bulkhead.name,
        bounded: bulkhead.bounded,
        use: (f) => bulkhead.use(resources.use(f)),
        invalidate: resources.invalidate,
        stats: Effect.map(bulkhead.stats, (stats) => ({
          ...stats,
          created: resources.open,
          idle: resources.idle.length,
        })),
      })),
    )
  })
