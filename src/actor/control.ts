import type { Context, Effect } from "effect"

/** Work of the actor's own that overtakes messages and is never dropped: what it watches, its timers. */
export interface Control {
  readonly name: string
  readonly effect: Effect.Effect<void, unknown>
  /** What it needs, besides what every run has. */
  readonly context: Context.Context<never>
  /** Done, or never to be done. */
  readonly over?: (() => void) | undefined
}

/** The signal by which a handler puts its message aside. */
export const stashSignal: unique symbol = Symbol.for("weir/actor/stash")
