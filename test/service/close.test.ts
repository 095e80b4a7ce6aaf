import { expect, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import { closesWithin, NotClosed } from "../../src/service/close.ts"

const closing = (finalizer: Effect.Effect<void>, log: Array<string>) => {
  const note = (line: string) =>
    Layer.effectDiscard(Effect.addFinalizer(() =>
      Effect.sync(() => {
        log.push(line)
      })
    ))
  const slow = closesWithin(
    Layer.effectDiscard(Effect.addFinalizer(() => finalizer)),
    "resources",
    5000,
  )
  return Effect.scoped(
    Layer.build(Layer.provide(Layer.provide(note("above"), slow), note("below"))),
  )
}

it.effect("a layer that closes in time changes nothing", () =>
  Effect.gen(function* () {
    const log: Array<string> = []
    const fiber = yield* Effect.forkChild(closing(Effect.sleep("4 seconds"), log))
    yield* TestClock.adjust("3 seconds")
    expect(log).toEqual(["above"])
    yield* TestClock.adjust("1 second")
    yield* Fiber.join(fiber)
    expect(log).toEqual(["above", "below"])
  }))

it.effect("a layer that does not close is left behind, and what is below it closes", () =>
  Effect.gen(function* () {
    const log: Array<string> = []
    const fiber = yield* Effect.forkChild(closing(Effect.never, log))
    yield* TestClock.adjust("5 seconds")
    const exit = yield* Fiber.await(fiber)
    expect(log).toEqual(["above", "below"])
    const error = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
    expect(error).toBeInstanceOf(NotClosed)
    expect((error as NotClosed).message).toBe(
      "The resources did not close within 5s and were left behind. Look for a finalizer that " +
        "waits without a timeout.",
    )
  }))
