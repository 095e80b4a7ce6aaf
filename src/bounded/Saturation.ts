/**
 * The registry of every bounded thing: one contract behind `/saturation`, metrics and admission.
 *
 * @module
 */
import type { Scope } from "effect"
import { Context, Effect } from "effect"
import { Mistake } from "../internal/mistake.ts"
import type { Bounded, Stats } from "./Bounded.ts"

/**
 * The registry: bounded things by name, in the order of their registration.
 *
 * @category models
 * @since 0.1.0
 */
export interface Saturation {
  /** The bounded thing of that name, if one is registered. */
  readonly get: (name: string) => Bounded | undefined
  /** A picture of all of them; `now` in absolute milliseconds. */
  readonly snapshot: (now: number) => ReadonlyArray<Stats>
  /** Adds a thing and returns its removal. Throws when the name is taken. */
  readonly addUnsafe: (bounded: Bounded) => () => void
}

/**
 * Makes an empty registry.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeUnsafe = (): Saturation => {
  const things = new Map<string, Bounded>()
  return {
    get: (name) => things.get(name),
    snapshot: (now) => Array.from(things.values(), (thing) => thing.stats(now)),
    addUnsafe: (bounded) => {
      const other = things.get(bounded.name)
      if (other !== undefined) {
        throw new Mistake(
          `Cannot register the ${bounded.kind} "${bounded.name}": a ${other.kind} of that name ` +
            "exists. Give each bounded thing a name of its own.",
        )
      }
      things.set(bounded.name, bounded)
      return () => {
        if (things.get(bounded.name) === bounded) things.delete(bounded.name)
      }
    },
  }
}

/**
 * The registry in force. The default is one per process; a service provides its own.
 *
 * @category services
 * @since 0.1.0
 */
export const Saturation: Context.Reference<Saturation> = Context.Reference<Saturation>(
  "weir/bounded/Saturation",
  { defaultValue: makeUnsafe },
)

/**
 * Registers a bounded thing until the scope closes.
 *
 * **Fails with** – nothing; dies when the name is already taken in this registry.
 *
 * **Interruption** – does not wait.
 *
 * @category operations
 * @since 0.1.0
 */
export const register = (bounded: Bounded): Effect.Effect<void, never, Scope.Scope> =>
  Effect.withFiber((fiber) => {
    const registry = fiber.getRef(Saturation)
    return Effect.asVoid(Effect.acquireRelease(
      Effect.sync(() => registry.addUnsafe(bounded)),
      (remove) => Effect.sync(remove),
    ))
  })
