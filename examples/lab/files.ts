/**
 * Writes the report and the plots.
 *
 * @module
 */
import { Effect } from "effect"
import { plots } from "./plots.ts"
import { report } from "./report.ts"
import type { Results } from "./results.ts"
import { Unsuitable } from "./worlds.ts"

/** All files, by name. */
export const files = (results: Results): ReadonlyMap<string, string> =>
  new Map([
    ["report.html", report(results)],
    ...[...plots(results, "virtual"), ...plots(results, "real")].map(({ name, svg }) =>
      [`${name}.svg`, svg] as const
    ),
  ])

const reasonOf = (error: unknown) =>
  error instanceof Deno.errors.NotCapable
    ? "the lab has no permission to write there"
    : (error instanceof Error ? error.message : String(error)).replace(/\.\s*$/, "")

const attempt = (directory: string, work: () => Promise<void>) =>
  Effect.tryPromise({
    try: work,
    catch: (error) =>
      new Unsuitable(
        `Cannot write to ${directory}: ${reasonOf(error)}. Name another directory with --out.`,
      ),
  })

/** Makes the directory, before anything takes time: a run is not to end in "cannot write". */
export const prepare = (directory: string): Effect.Effect<void, Unsuitable> =>
  attempt(directory, async () => {
    await Deno.mkdir(directory, { recursive: true })
    const probe = await Deno.makeTempFile({ dir: directory })
    await Deno.remove(probe)
  })

/** Writes them; those of an earlier run are replaced. */
export const write = (directory: string, results: Results): Effect.Effect<void, Unsuitable> =>
  attempt(directory, async () => {
    for (const [name, text] of files(results)) {
      await Deno.writeTextFile(`${directory}/${name}`, text)
    }
  })
