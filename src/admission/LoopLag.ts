/**
 * Refuses the less critical work while the event loop is late, whatever it would need.
 *
 * **Details** – *bounded by* one probe at a time and the probes of one window; *owned by* the service;
 * *seen in* `/saturation` as `event-loop`, and in the metric `weir_event_loop_lag_seconds`.
 *
 * @module
 */
import { Clock, Context, type Duration, Effect, type Fiber, Layer } from "effect"
import { ranks } from "../bounded/rank.ts"
import type { Bounded } from "../bounded/Bounded.ts"
import { register } from "../bounded/Saturation.ts"
import { Mistake } from "../internal/mistake.ts"
import * as Task from "../task/Task.ts"
import { durationMs } from "../internal/setting.ts"
import * as Metrics from "../telemetry/Metrics.ts"
import { Guard } from "./guard.ts"
import { Lag } from "./lag.ts"
import type { Request } from "./models.ts"

/**
 * The probe of the event loop.
 *
 * @category models
 * @since 0.1.0
 */
export interface LoopLag {
  /** The synchronous side: `inUse` is 1 while `sheddable` is refused, 2 while `sheddable-plus` is too. */
  readonly bounded: Bounded
  /** The lag now, in milliseconds. */
  readonly lagMs: (now: number) => number
  /** Whether such a request is to be refused now. */
  readonly refuses: (request: Request) => boolean
}

/**
 * Options of {@link layer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /**
   * Above this lag `sheddable` work is refused. Default 20 ms: a person does not notice it, but a
   * healthy loop is below 5 ms.
   */
  readonly sheddable?: Duration.Input | undefined
  /** Above this lag `sheddable-plus` is refused as well; the two critical classes never are. Default 100 ms. */
  readonly noncritical?: Duration.Input | undefined
  /** The lag is the 90th percentile of the probes of so long. Default 250 ms. */
  readonly window?: Duration.Input | undefined
  /** Time between two probes. Default 25 ms; a whole `window` while no request has come for a second. */
  readonly every?: Duration.Input | undefined
}

/**
 * The service.
 *
 * @category services
 * @since 0.1.0
 */
export const LoopLag: Context.Service<LoopLag, LoopLag> = Context.Service<LoopLag>(
  "weir/admission/LoopLag",
)

/** Without a request for so long, nobody needs to know. A timer that fires costs an idle process most. */
const idleAfterMs = 1000

/** The lag has to fall to half of what it was refused for: a window that holds one late probe does. */
const release = 0.5

/**
 * Starts the probe, and registers it as the bounded thing `event-loop`.
 *
 * **Details** – a fiber that does nothing wakes every `every` on Effect's Clock; how late it wakes is
 * the lag. A request that comes before a probe that is overdue counts that one first, so that those who
 * waited while the loop was blocked are not let in as if nothing had been. What is refused is refused
 * again only above the threshold, and let in below half of it: at the latest one `window` after the
 * loop is on time again. The timer takes 1.7 % of a core that has nothing else to do, and 0.2 % while
 * no requests come.
 *
 * **Fails with** – nothing; dies with one sentence when an option makes no sense.
 *
 * **Interruption** – does not wait. The probe ends with the scope.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options = {}): Layer.Layer<LoopLag> =>
  Layer.effect(
    LoopLag,
    Effect.withFiber((fiber) => {
      const loop = new Loop(options, millis(fiber))
      const probe = Task.forever(
        Effect.withFiber((fiber) =>
          Effect.andThen(Effect.sleep(loop.dueIn(millis(fiber))), loop.probed)
        ),
      )
      return register(loop).pipe(
        Effect.andThen(Metrics.source((now) => ({ loopLagMs: loop.lagMs(now) }))),
        Effect.andThen(Effect.forkScoped(
          Effect.tapCause(probe, (cause) =>
            Effect.logError("The probe of the event loop ended", cause)),
          { startImmediately: true },
        )),
        Effect.as(loop),
      )
    }),
  )

const millis = (fiber: Fiber.Fiber<unknown, unknown>): number =>
  fiber.getRef(Clock.Clock).currentTimeMillisUnsafe()

class Loop extends Guard implements LoopLag {
  readonly retryAfterMs: number
  readonly #lag: Lag
  readonly #sheddable: number
  #askedAt: number

  constructor(options: Options, now: number) {
    const ms = (option: keyof Options, otherwise: Duration.Input): number => {
      const value = durationMs(`loopLag.${option}`, options[option] ?? otherwise)
      if (value > 0 && value < Infinity) return value
      throw new Mistake(
        `loopLag.${option} is ${value} ms. Use a duration above zero, such as "${otherwise}".`,
      )
    }
    const sheddable = ms("sheddable", "20 millis")
    const noncritical = ms("noncritical", "100 millis")
    const windowMs = ms("window", "250 millis")
    const everyMs = ms("every", "25 millis")
    if (noncritical < sheddable) {
      throw new Mistake(
        `loopLag.noncritical is ${noncritical} ms, less than loopLag.sheddable with ${sheddable} ` +
          "ms. The less critical are refused first.",
      )
    }
    if (windowMs < everyMs) {
      throw new Mistake(
        `loopLag.window is ${windowMs} ms, less than loopLag.every with ${everyMs} ms. Use a ` +
          "window of several probes.",
      )
    }
    super(
      "event-loop",
      [{ above: sheddable, rank: ranks - 1 }, { above: noncritical, rank: ranks - 2 }],
      release,
    )
    this.retryAfterMs = windowMs
    this.#sheddable = sheddable
    this.#lag = new Lag(windowMs, everyMs, now)
    this.#askedAt = now
  }

  get bounded(): Bounded {
    return this
  }

  lagMs(now: number): number {
    this.look(now)
    return this.#lag.at(now)
  }

  dueIn(now: number): number {
    return Math.max(1, this.#lag.due - now)
  }

  readonly probed: Effect.Effect<void> = Effect.withFiber((fiber) => {
    const now = millis(fiber)
    this.#observe(now)
    if (now - this.#askedAt > idleAfterMs) this.#lag.pause(now)
    return Effect.void
  })

  override refuses(request: Request): boolean {
    this.#askedAt = request.now
    return super.refuses(request)
  }

  protected look(now: number): void {
    // Later than is refused for, so it need not be waited for.
    if (now - this.#lag.due > this.#sheddable) this.#observe(now)
  }

  #observe(now: number): void {
    this.#lag.observe(now)
    this.found(this.#lag.at(now))
  }
}
