/**
 * What a run of the laboratory found, as plain data: what `--json` prints and the plots draw.
 *
 * @module
 */
import type { Row } from "./burst.ts"
import type { Figures } from "./figures.ts"
import type { Verdict } from "./judge.ts"
import type { Goodput } from "./load.ts"
import type { Storm } from "./storm.ts"
import type { Parameters, Variant } from "./variants.ts"

/** One variant of the burst in one world. */
export interface Measured {
  readonly rows: ReadonlyArray<Row>
  readonly figures: Figures
}

/** One variant: what was predicted, and what came. */
export interface Burst {
  readonly variant: Variant
  readonly predicted: Figures
  readonly virtual: Measured
  readonly real: (Measured & { readonly verdict: Verdict }) | undefined
}

/** The way to the real database, as measured before the experiments. */
export interface Way {
  readonly server: string
  readonly version: string
  readonly roundTripMs: number
  /** What queries took, of those that sleep for `queryMs`: the median and the longest. */
  readonly medianMs: number
  readonly longestMs: number
}

export interface Results {
  readonly at: string
  readonly versions: {
    readonly weir: string
    readonly effect: string
    readonly deno: string
    readonly system: string
  }
  readonly parameters: Parameters
  readonly way: Way | undefined
  readonly bursts: ReadonlyArray<Burst>
  /** How long the event loop stood still at worst during load and storm in real time. */
  readonly stallMs: number
  readonly loads: {
    readonly virtual: ReadonlyArray<Goodput>
    readonly real: ReadonlyArray<Goodput>
  }
  readonly storms: { readonly virtual: ReadonlyArray<Storm>; readonly real: ReadonlyArray<Storm> }
}
