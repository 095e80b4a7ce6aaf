import { expect } from "@effect/vitest"
import { CancelReason, TaskTree } from "@weir/runtime"
import { Clock, Effect, Exit, type Fiber, Option } from "effect"
import { TestClock } from "effect/testing"
import { timersOf } from "../../src/task/timers.ts"

/** Sum of all outcomes of all kinds. */
const sum = (counts: TaskTree.TaskCounts): { started: number; ended: number } => ({
  started: Object.values(counts.started).reduce((a, b) => a + b, 0),
  ended: Object.values(counts.ended)
    .flatMap((outcomes) => Object.values(outcomes))
    .reduce((a, b) => a + b, 0),
})

/**
 * Runs a test in a tree of its own, and asserts that it leaves nothing behind: no live task, no
 * timer, no sleeping fiber, and that what started has ended.
 */
export const clean = <A, E, R>(
  body: (tree: TaskTree.TaskTree) => Effect.Effect<A, E, R>,
): Effect.Effect<A, E, R> =>
  Effect.gen(function* () {
    const tree = TaskTree.makeUnsafe()
    // The first sleep under a new TestClock can be interrupted even in a finalizer; not so later ones.
    yield* TestClock.adjust(0)
    const value = yield* Effect.provideService(body(tree), TaskTree.TaskTree, tree)
    const timers = timersOf(yield* Clock.Clock)
    expect([...tree.unsafe.live].map((record) => record.name)).toEqual([])
    expect(timers.size).toBe(0)
    expect(timers.asleep).toBe(false)
    const { started, ended } = sum(yield* tree.counts)
    expect(ended).toBe(started)
    return value
  })

/** Armed timers of the clock in force. */
export const armed: Effect.Effect<number> = Effect.map(
  Clock.clockWith(Effect.succeed),
  (clock) => timersOf(clock).size,
)

export const fork = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
): Effect.Effect<Fiber.Fiber<A, E>, never, R> =>
  Effect.forkChild(effect, { startImmediately: true })

/** A log of steps. */
export class Trace {
  readonly steps: Array<string> = []

  readonly add = (step: string): Effect.Effect<void> =>
    Effect.sync(() => {
      this.steps.push(step)
    })

  /** Writes down the cancel reason that a finalizer reads. */
  readonly reason = (where: string): Effect.Effect<void> =>
    Effect.flatMap(
      CancelReason.current,
      (reason) =>
        this.add(
          `${where}: ${
            Option.match(reason, { onNone: () => "none", onSome: CancelReason.format })
          }`,
        ),
    )

  /** Waits for ever, and writes down the reason of its interrupt. */
  readonly never = (where: string): Effect.Effect<never> =>
    Effect.onInterrupt(Effect.never, () => this.reason(where))
}

/** The reasons of a failed exit as short strings, in order. */
export const causes = (exit: Exit.Exit<unknown, unknown>): ReadonlyArray<string> =>
  Exit.isSuccess(exit) ? [] : exit.cause.reasons.map((reason) => {
    switch (reason._tag) {
      case "Interrupt":
        return "interrupt"
      case "Die":
        return `die ${text(reason.defect)}`
      case "Fail":
        return `fail ${text(reason.error)}`
    }
  })

const text = (value: unknown): string =>
  typeof value === "object" && value !== null && "_tag" in value
    ? String(value._tag)
    : value instanceof Error
    ? value.message
    : String(value)

/** A seeded generator (mulberry32): the same seed gives the same test. */
export const random = (seed: number): (below: number) => number => {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return Math.floor(((t ^ (t >>> 14)) >>> 0) / 4294967296 * below)
  }
}
