import type { Clock as Clocks } from "effect"
import { Cause, Clock, Context, Deferred, Effect, Exit, Fiber, Scope } from "effect"
import { CurrentScope } from "../task/scope.ts"

interface Item<R> {
  readonly resource: R
  readonly scope: Scope.Closeable
  readonly madeAt: number
  idleSince: number
  state: "borrowed" | "idle" | "broken"
}

export interface ResourcesOptions<R, E> {
  readonly name: string
  readonly capacity: number
  /** Runs in the pool's context with a scope of its own. */
  readonly acquire: Effect.Effect<R, E>
  readonly acquireMs: number
  /** What the caller is told when that time is up. */
  readonly acquireTimeout: () => E
  readonly validate: ((resource: R) => Effect.Effect<boolean>) | undefined
  readonly validateAfterMs: number
  readonly idleMs: number
  readonly lifetimeMs: number
  readonly closeMs: number
}

type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

/**
 * The resources behind the slots of a pool: who uses one holds a slot, so a free slot always means
 * an idle resource, room for a new one, or one that is just being closed.
 *
 * Effect's Pool was looked at first: it has no bound on its waiters, no deadline, no acquire
 * timeout, no validation on borrow, wakes waiters without handing the item over, and interrupts
 * callers once it is closed.
 */
export class Resources<R, E> {
  /** Those that exist, are being made, or are being closed. */
  open = 0
  /** Longest idle first; borrowed from the end, so that a pool larger than its load shrinks. */
  readonly idle: Array<Item<R>> = []
  readonly #options: ResourcesOptions<R, E>
  readonly #context: Context.Context<Scope.Scope>
  readonly #clock: Clocks.Clock
  readonly #items = new Set<Item<R>>()
  #closed = false
  #sweeping = false
  /** Completed, and replaced, each time a resource is gone. */
  #gone = Deferred.makeUnsafe<void>()

  constructor(fiber: Fiber.Fiber<unknown, unknown>, options: ResourcesOptions<R, E>) {
    this.#options = options
    // Resources outlive the request that happens to need them first: they are made in the pool's
    // own context, not under that request's deadline and cancel scope.
    this.#context = Context.add(
      fiber.context,
      CurrentScope,
      fiber.getRef(CurrentScope),
    ) as Context.Context<
      Scope.Scope
    >
    this.#clock = fiber.getRef(Clock.Clock)
  }

  /** Runs the function with a resource; the caller holds a slot. */
  use<A, E2, R2>(
    f: (resource: R) => Effect.Effect<A, E2, R2>,
  ): Effect.Effect<A, E | E2, R2> {
    return Effect.uninterruptibleMask((restore) => {
      const item = this.idle.at(-1)
      return item !== undefined && !this.#expired(item) && !this.#doubtful(item)
        ? this.#lend(this.#take(item), f, restore)
        : Effect.flatMap(this.#borrow(restore), (item) => this.#lend(item, f, restore))
    })
  }

  readonly invalidate = (resource: R): Effect.Effect<void> =>
    Effect.suspend(() => {
      const broken: Array<Item<R>> = []
      for (const item of this.#items) {
        if (item.resource !== resource) continue
        if (item.state === "idle") broken.push(this.#take(item))
        item.state = "broken"
      }
      return this.#discardAll(broken)
    })

  /** Closes what is idle and waits for what is in use. */
  readonly close: Effect.Effect<void> = Effect.suspend(() => {
    this.#closed = true
    const rest: Effect.Effect<void> = Effect.suspend(() =>
      this.open === 0 ? Effect.void : Effect.andThen(Deferred.await(this.#gone), rest)
    )
    return Effect.andThen(this.#discardAll([...this.idle].map((item) => this.#take(item))), rest)
  })

  #lend<A, E2, R2>(
    item: Item<R>,
    f: (resource: R) => Effect.Effect<A, E2, R2>,
    restore: Restore,
  ): Effect.Effect<A, E2, R2> {
    return Effect.onExitPrimitive(
      restore(Effect.suspend(() => f(item.resource))),
      () => {
        if (item.state === "broken" || this.#closed || this.#expired(item)) {
          return this.#discard(item)
        }
        item.state = "idle"
        item.idleSince = this.#now()
        this.idle.push(item)
        return this.#sweeping || this.#options.idleMs === Infinity ? undefined : this.#startSweep
      },
      true,
    )
  }

  #borrow(restore: Restore): Effect.Effect<Item<R>, E> {
    return Effect.suspend(() => {
      const item = this.idle.at(-1)
      if (item === undefined) return this.#make(restore)
      const expired = this.#expired(item)
      this.#take(item)
      if (expired) return Effect.andThen(this.#discard(item), this.#borrow(restore))
      if (!this.#doubtful(item)) return Effect.succeed(item)
      return Effect.flatMap(
        Effect.exit(restore(Effect.suspend(() => this.#options.validate!(item.resource)))),
        (exit) => {
          if (Exit.isSuccess(exit) && exit.value) return Effect.succeed(item)
          // A validation that failed says "invalid"; one that was interrupted ends the caller.
          return Effect.andThen(
            this.#discard(item),
            Exit.isFailure(exit) && Cause.hasInterrupts(exit.cause)
              ? Effect.failCause(exit.cause)
              : this.#borrow(restore),
          )
        },
      )
    })
  }

  #make(restore: Restore): Effect.Effect<Item<R>, E> {
    return Effect.suspend(() => {
      // Each user holds at most one, so what is missing is being closed, within closeTimeout.
      if (this.open >= this.#options.capacity) {
        return Effect.andThen(restore(Deferred.await(this.#gone)), this.#make(restore))
      }
      this.open++
      const scope = Scope.makeUnsafe()
      const made = Effect.setContext(
        this.#options.acquire,
        Context.add(this.#context, Scope.Scope, scope) as Context.Context<never>,
      )
      return Effect.flatMap(Effect.exit(this.#inTime(made, restore)), (exit) => {
        if (Exit.isFailure(exit)) {
          return Effect.andThen(this.#closeScope(scope), Effect.failCause(exit.cause))
        }
        const now = this.#now()
        const item: Item<R> = {
          resource: exit.value,
          scope,
          madeAt: now,
          idleSince: now,
          state: "borrowed",
        }
        this.#items.add(item)
        return Effect.succeed(item)
      })
    })
  }

  /**
   * In a fiber of its own, because `acquireRelease` cannot be interrupted while it acquires: neither
   * the time limit nor the caller's deadline could end the wait for a connection that hangs.
   */
  #inTime(made: Effect.Effect<R, E>, restore: Restore): Effect.Effect<R, E> {
    const { acquireMs, acquireTimeout } = this.#options
    return Effect.flatMap(
      Effect.forkDetach(made, { startImmediately: true }),
      (fiber) =>
        fiber.pollUnsafe() ?? Effect.onInterrupt(
          restore(Effect.timeoutOrElse(Fiber.join(fiber), {
            duration: acquireMs,
            orElse: () => Effect.andThen(this.#stop(fiber), Effect.failSync(acquireTimeout)),
          })),
          () => this.#stop(fiber),
        ),
    )
  }

  /** Interrupts and waits, but not for ever; what ends later is closed then. */
  #stop(fiber: Fiber.Fiber<R, E>): Effect.Effect<void> {
    const { closeMs, name } = this.#options
    return Effect.suspend(() => {
      fiber.interruptUnsafe()
      return fiber.pollUnsafe() !== undefined ? Effect.void : Effect.timeoutOrElse(
        Effect.asVoid(Fiber.await(fiber)),
        {
          duration: closeMs,
          orElse: () => {
            fiber.addObserver((exit) => {
              if (Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause)) return
              Effect.runForkWith(this.#context)(
                Effect.logError(`The pool "${name}" failed to make a resource, late.`, exit.cause),
              ).addObserver(() => {})
            })
            return Effect.logWarning(
              `The pool "${name}" gave up waiting for a resource that was being made and did not ` +
                `end within ${closeMs} ms of its interrupt. It is no longer counted; give what it ` +
                "waits for a timeout.",
            )
          },
        },
      )
    })
  }

  #take(item: Item<R>): Item<R> {
    const index = this.idle.lastIndexOf(item)
    if (index >= 0) this.idle.splice(index, 1)
    item.state = "borrowed"
    return item
  }

  #discard(item: Item<R>): Effect.Effect<void> {
    this.#items.delete(item)
    return this.#closeScope(item.scope)
  }

  #discardAll(items: ReadonlyArray<Item<R>>): Effect.Effect<void> {
    return Effect.forEach(items, (item) => this.#discard(item), {
      concurrency: "unbounded",
      discard: true,
    })
  }

  /** Closes a resource; one that does not close in time is left to itself, and no longer counted. */
  #closeScope(scope: Scope.Closeable): Effect.Effect<void> {
    const { closeMs, name } = this.#options
    const closing = Scope.close(scope, Exit.void).pipe(
      Effect.catchCause((cause) =>
        Effect.logError(`The pool "${name}" failed to close a resource.`, cause)
      ),
      Effect.forkDetach({ startImmediately: true, uninterruptible: true }),
    )
    const closed = Effect.flatMap(
      closing,
      (fiber) =>
        fiber.pollUnsafe() !== undefined ? Effect.void : Effect.timeoutOrElse(Fiber.await(fiber), {
          duration: closeMs,
          orElse: () =>
            Effect.logWarning(
              `The pool "${name}" gave up waiting for a resource to close after ${closeMs} ms. ` +
                "It is no longer counted; check its release.",
            ),
        }),
    )
    return Effect.uninterruptible(Effect.andThen(
      closed,
      Effect.sync(() => {
        this.open--
        const gone = this.#gone
        this.#gone = Deferred.makeUnsafe()
        Deferred.doneUnsafe(gone, Exit.void)
      }),
    ))
  }

  /** One fiber while anything is idle; it ends with the last idle resource, or with the pool. */
  readonly #startSweep: Effect.Effect<void> = Effect.suspend(() => {
    this.#sweeping = true
    return Effect.asVoid(Effect.forkIn(
      Effect.setContext(
        Effect.ensuring(this.#sweep, Effect.sync(() => this.#sweeping = false)),
        this.#context as Context.Context<never>,
      ),
      Context.get(this.#context, Scope.Scope),
      { startImmediately: true },
    ))
  })

  readonly #sweep: Effect.Effect<void> = Effect.suspend(() => {
    const longest = this.idle[0]
    if (longest === undefined) {
      this.#sweeping = false
      return Effect.void
    }
    const left = Math.min(
      longest.idleSince + this.#options.idleMs,
      longest.madeAt + this.#options.lifetimeMs,
    ) - this.#now()
    const next = left > 0 ? Effect.sleep(left) : this.#discard(this.#take(longest))
    return Effect.andThen(next, this.#sweep)
  })

  #expired(item: Item<R>): boolean {
    const now = this.#now()
    return now - item.madeAt >= this.#options.lifetimeMs ||
      (item.state === "idle" && now - item.idleSince >= this.#options.idleMs)
  }

  #doubtful(item: Item<R>): boolean {
    return this.#options.validate !== undefined &&
      this.#now() - item.idleSince > this.#options.validateAfterMs
  }

  #now(): number {
    return this.#clock.currentTimeMillisUnsafe()
  }
}
