import { describe, expect, it } from "@effect/vitest"
import { VirtualClock } from "@weir/runtime"
import { Effect } from "effect"
import { readdir, readFile } from "node:fs/promises"
import { join } from "node:path"
import { predict } from "../../../examples/lab/predict.ts"
import { plots } from "../../../examples/lab/plots.ts"
import { plan, run } from "../../../examples/lab/run.ts"
import { defaults, ids, variants } from "../../../examples/lab/variants.ts"
import { root } from "../../support/tree.ts"

const folder = join(root, "docs/learn/lab")

// To draw it, loads up to 20 times the capacity have to be played: that takes too long for a test.
const slow = "6-goodput"

describe("docs/learn/lab", () => {
  it("shows what deno task lab --virtual --out draws", async () => {
    const wanted = plan(defaults, ids.filter((id) => id !== "load"), false)
    const results = await run(wanted, () => {}).pipe(
      Effect.provide(VirtualClock.layer),
      Effect.runPromise,
    )
    const drawn = plots(results, "virtual")
    expect((await readdir(folder)).sort()).toEqual(
      [...drawn.map(({ name }) => name), slow].map((name) => `${name}.svg`).sort(),
    )
    const page = await readFile(`${folder}.md`, "utf8")
    for (const { name, svg } of drawn) {
      const kept = await readFile(join(folder, `${name}.svg`), "utf8")
      expect(kept, `${name}: draw it again with deno task lab --virtual --out DIR`).toBe(svg)
      expect(page).toContain(`(lab/${name}.svg)`)
    }
  })

  it("has the numbers of every variant in its table", async () => {
    const page = await readFile(`${folder}.md`, "utf8")
    const rows = [...page.matchAll(/^\| ([A-I]) +\| [^|]+\|(.+)\|$/gm)].map((
      [, letter, cells],
    ) => [letter, ...cells!.split("|").map(Number)])
    expect(rows).toEqual(
      variants(defaults).map((variant) => {
        const it = predict(variant)
        return [
          variant.letter,
          ...[it.ok, it.timedOut, it.refused, it.makespan, it.meanWait, it.meanTotal],
          ...[it.p50, it.p95, it.p99],
        ]
      }),
    )
  })
})
