/**
 * Refuses the less critical work while memory is short, before the process dies of it.
 *
 * **Details** – *bounded by* one reading at a time; *owned by* the service; *seen in* `/saturation` as
 * `memory`.
 *
 * @module
 */
import { type ByteSize, Clock, Context, type Duration, Effect, Layer } from "effect"
import type { Bounded } from "../bounded/Bounded.ts"
import { register } from "../bounded/Saturation.ts"
import { Mistake } from "../internal/mistake.ts"
import { durationMs, sizeBytes } from "../internal/setting.ts"
import { Guard } from "./guard.ts"
import { cgroupLimit, heapLimit } from "./memory.ts"
import type { Request } from "./models.ts"

/**
 * The guard of the process's memory.
 *
 * @category models
 * @since 0.1.0
 */
export interface MemoryGuard {
  /** The synchronous side: `inUse` is 1 while the sheddable classes are refused, 2 while `critical` is too. */
  readonly bounded: Bounded
  /** Memory in use, between 0 and 1 of what there is; as of the last reading. */
  readonly used: (now: number) => number
  /** Whether such a request is to be refused now. */
  readonly refuses: (request: Request) => boolean
}

/**
 * What a reading tells, in bytes; the shape of `Deno.memoryUsage()`, which needs no permission.
 *
 * @category models
 * @since 0.1.0
 */
export interface Usage {
  /** Objects on the heap, garbage that was not collected yet included. */
  readonly heapUsed: number
  /** Memory of the process that is in RAM. */
  readonly rss: number
}

/**
 * Options of {@link layer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Most that the heap may hold. Default: V8's own limit (`--v8-flags=--max-old-space-size`). */
  readonly heapLimit?: ByteSize.Input | undefined
  /**
   * Most that the process may have in RAM. Default: the limit of its cgroup, which can be read only
   * with `--allow-all`; else none. In a container set it.
   */
  readonly rssLimit?: ByteSize.Input | undefined
  /** Above this part of a limit the two sheddable classes are refused. Default 0.85. */
  readonly sheddable?: number | undefined
  /** Above this part everything but `critical-plus` is refused. Default 0.95. */
  readonly critical?: number | undefined
  /** Memory is read at most once in this time, and only when requests come. Default 100 ms. */
  readonly every?: Duration.Input | undefined
  /** Reads the memory. Default `Deno.memoryUsage`. */
  readonly read?: (() => Usage) | undefined
}

/**
 * The service.
 *
 * @category services
 * @since 0.1.0
 */
export const MemoryGuard: Context.Service<MemoryGuard, MemoryGuard> = Context.Service<MemoryGuard>(
  "weir/admission/MemoryGuard",
)

/** Five of a hundred below the threshold: more than one collection of young objects frees. */
const release = 0.95

/**
 * Makes the guard, and registers it as the bounded thing `memory`.
 *
 * **Details** – the larger of heap and resident memory counts, each as a part of its limit. `heapUsed`
 * holds garbage until V8 collects it; a heap that swings above the first threshold is one whose live
 * objects alone take a good part of it.
 *
 * **Fails with** – nothing; dies with one sentence when an option makes no sense.
 *
 * **Interruption** – does not wait.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options = {}): Layer.Layer<MemoryGuard> =>
  Layer.effect(
    MemoryGuard,
    Effect.withFiber((fiber) => {
      const memory = new Memory(options)
      memory.refuses({
        now: fiber.getRef(Clock.Clock).currentTimeMillisUnsafe(),
        deadline: Infinity,
        service: undefined,
      })
      return Effect.as(register(memory), memory)
    }),
  )

class Memory extends Guard implements MemoryGuard {
  readonly retryAfterMs = 1000
  readonly #heap: number
  readonly #rss: number
  readonly #everyMs: number
  readonly #read: () => Usage
  #part = 0
  #readAt = -Infinity

  constructor(options: Options) {
    const part = (option: "sheddable" | "critical", otherwise: number): number => {
      const value = options[option] ?? otherwise
      if (value > 0 && value <= 1) return value
      throw new Mistake(
        `memory.${option} is ${value}. Use a part of the limit above 0 and up to 1, such as ` +
          `${otherwise}.`,
      )
    }
    const bytes = (option: "heapLimit" | "rssLimit", otherwise: number): number => {
      const value = sizeBytes(`memory.${option}`, options[option], otherwise)
      if (value > 0) return value
      throw new Mistake(`memory.${option} is ${value} bytes. Use a size above zero.`)
    }
    const sheddable = part("sheddable", 0.85)
    const critical = part("critical", 0.95)
    if (critical < sheddable) {
      throw new Mistake(
        `memory.critical is ${critical}, less than memory.sheddable with ${sheddable}. The less ` +
          "critical are refused first.",
      )
    }
    const heap = bytes("heapLimit", heapLimit())
    const rss = bytes("rssLimit", cgroupLimit())
    super("memory", [{ above: sheddable, rank: 2 }, { above: critical, rank: 1 }], release)
    this.#heap = heap
    this.#rss = rss
    this.#everyMs = durationMs("memory.every", options.every ?? "100 millis")
    this.#read = options.read ?? Deno.memoryUsage
  }

  get bounded(): Bounded {
    return this
  }

  used(now: number): number {
    this.look(now)
    return this.#part
  }

  protected look(now: number): void {
    if (now - this.#readAt < this.#everyMs) return
    this.#readAt = now
    const { heapUsed, rss } = this.#read()
    this.#part = Math.max(heapUsed / this.#heap, rss / this.#rss)
    this.found(this.#part)
  }
}
