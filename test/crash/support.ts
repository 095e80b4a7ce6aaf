/** Random but repeatable moments for the crash tests. */
import { Effect } from "effect"
import { random } from "../support/random.ts"

/** Chosen by `WEIR_TEST_SEED`; moments on the wall clock repeat only roughly. */
export const seed: number = Number(Deno.env.get("WEIR_TEST_SEED") ?? 1)

/** The dice of one test. */
export interface Dice {
  /** A whole number from 0 to `below` - 1. */
  readonly int: (below: number) => number
  readonly pick: <A>(choices: ReadonlyArray<A>) => A
  /** Waits up to that many milliseconds: the random moment itself, not a wait for something. */
  readonly moment: (maxMs: number) => Effect.Effect<void>
}

/** Each test has a stream of its own. */
export const dice = (stream: number): Dice => {
  const next = random(seed * 1000 + stream)
  const int = (below: number) => Math.floor(next() * below)
  return {
    int,
    pick: (choices) => choices[int(choices.length)]!,
    moment: (maxMs) => Effect.suspend(() => Effect.sleep(int(maxMs))),
  }
}
