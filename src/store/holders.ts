import type { Scope } from "effect"
import { Effect, Fiber } from "effect"
import { ReentrantAcquire } from "../pool/Bulkhead.ts"

/**
 * Which fibers hold something that they must not ask for again.
 *
 * A Bulkhead marks the work in its slots in the context. The context of a stream ends before the
 * stream's consumer runs, and the mark would be gone with it. But the consumer runs in the fiber
 * that pulls.
 */
export class Holders {
  readonly #kind: string
  readonly #resource: string
  readonly #held = new Map<Fiber.Fiber<unknown, unknown>, number>()

  constructor(kind: string, resource: string) {
    this.#kind = kind
    this.#resource = resource
  }

  /** The defect for the running fiber when it is a holder. */
  refuse(): Effect.Effect<never> | undefined {
    if (this.#held.size === 0 || !this.#held.has(Fiber.getCurrent()!)) return undefined
    return Effect.die(new ReentrantAcquire({ kind: this.#kind, resource: this.#resource }))
  }

  /** The running fiber gets it by that effect and holds it until the scope closes, or must not. */
  hold<E, R>(effect: Effect.Effect<void, E, R>): Effect.Effect<void, E, R | Scope.Scope> {
    return Effect.uninterruptibleMask((restore) => {
      const fiber = Fiber.getCurrent()!
      return this.refuse() ?? Effect.flatMap(restore(effect), () => {
        this.#add(fiber, 1)
        return Effect.addFinalizer(() => Effect.sync(() => this.#add(fiber, -1)))
      })
    })
  }

  #add(fiber: Fiber.Fiber<unknown, unknown>, change: 1 | -1): void {
    const count = (this.#held.get(fiber) ?? 0) + change
    if (count === 0) this.#held.delete(fiber)
    else this.#held.set(fiber, count)
  }
}
