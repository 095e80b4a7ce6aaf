import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Process from "../support/process.ts"

/** Bytes of heap by which a round has grown a process that goes round and round. */
const growth = (loop: string, rounds: number) =>
  Effect.gen(function* () {
    const program = yield* Process.start(
      "growth",
      { FIXTURE_LOOP: loop, FIXTURE_ROUNDS: String(rounds) },
      ["-A", "--v8-flags=--expose-gc"],
    )
    const code = yield* program.exit
    expect([code, program.err()]).toEqual([0, ""])
    return Number(program.out())
  }).pipe(Effect.scoped)

// 0.3 bytes where this was written.
describe("what never ends", () => {
  it.live(
    "Task.forever does not grow in 40,000 rounds that suspend",
    () =>
      Effect.gen(function* () {
        expect(yield* growth("forever", 40_000)).toBeLessThan(10)
      }),
    120_000,
  )

  it.live(
    "an actor that always has a message does not grow in 40,000 of them",
    () =>
      Effect.gen(function* () {
        expect(yield* growth("actor", 40_000)).toBeLessThan(10)
      }),
    120_000,
  )

  // 1,400 bytes on Deno 2.9.6. If this fails, Deno keeps them no more, and `Task.forever` may go.
  it.live("Effect.forever does grow", () =>
    Effect.gen(function* () {
      expect(yield* growth("plain", 10_000)).toBeGreaterThan(100)
    }), 120_000)
})
