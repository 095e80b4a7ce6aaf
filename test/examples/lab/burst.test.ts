import { describe, expect, it } from "@effect/vitest"
import { VirtualClock } from "@weir/runtime"
import { Effect } from "effect"
import { burst } from "../../../examples/lab/burst.ts"
import { type Figures, figures } from "../../../examples/lab/figures.ts"
import { predict } from "../../../examples/lab/predict.ts"
import { defaults, type Variant, variants } from "../../../examples/lab/variants.ts"
import { virtual } from "../../../examples/lab/worlds.ts"
import { random } from "../../support/random.ts"

const run = (variant: Variant): Promise<Figures> =>
  burst(virtual, variant).pipe(
    Effect.provide(VirtualClock.layer),
    Effect.runPromise,
  ).then(figures)

describe("the burst in virtual time", () => {
  // The numbers of the exercise, worked out by hand; ok, timed out, refused, makespan, mean wait,
  // mean total, p50, p95, p99.
  it.each([
    ["A", 100, 0, 0, 2000, 900, 1100, 1000, 2000, 2000],
    ["B", 40, 60, 0, 1000, 300, 500, 400, 800, 800],
    ["C", 50, 50, 0, 1001, 400, 600, 600, 1000, 1000],
    ["D", 30, 0, 70, 600, 200, 400, 400, 600, 600],
    ["E", 100, 0, 0, 1000, 400, 600, 600, 1000, 1000],
    ["F", 40, 0, 60, 800, 300, 500, 400, 800, 800],
    ["G", 50, 0, 50, 1000, 400, 600, 600, 1000, 1000],
    ["H", 20, 80, 0, 1000, 200, 600, 400, 800, 800],
    ["I", 20, 0, 80, 800, 200, 600, 400, 800, 800],
  ])("%s has exactly its numbers", async (letter, ...numbers) => {
    const variant = variants(defaults).find((it) => it.letter === letter)!
    const found = await run(variant)
    const { makespan, meanTotal, meanWait, ok, p50, p95, p99, refused, timedOut } = found
    expect([ok, timedOut, refused, makespan, meanWait, meanTotal, p50, p95, p99]).toEqual(numbers)
    expect(found).toEqual(predict(variant))
  })
  it("has the predicted numbers with other parameters too", async () => {
    for (let seed = 1; seed <= 40; seed++) {
      const next = random(seed)
      const whole = (least: number, most: number) => least + Math.floor(next() * (most - least + 1))
      const parameters = {
        requests: whole(1, 120),
        pool: whole(1, 30),
        queryMs: whole(1, 300),
        deadlineMs: whole(1, 2000),
        queue: whole(0, 60),
        seed,
      }
      // How soon a pool learns that its queries have become slower has no formula.
      for (const variant of variants(parameters).filter(({ letter }) => letter !== "I")) {
        expect(await run(variant), JSON.stringify(variant)).toEqual(predict(variant))
      }
    }
  })
})
