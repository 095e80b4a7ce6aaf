import { describe, expect, it } from "@effect/vitest"
import { CancelReason, Task, TaskTree } from "@weir/runtime"
import { Effect, Exit, Fiber, Option, Scope } from "effect"
import { TestClock } from "effect/testing"
import { drain, type Parts } from "../../src/service/drain.ts"

const budget = { readinessDelayMs: 0, graceMs: 20_000, cleanupMs: 5000 }

const scene = Effect.map(
  TaskTree.TaskTree,
  (tree): Parts => ({
    server: {
      hostname: "127.0.0.1",
      port: 0,
      inFlight: Effect.succeed(0),
      drain: Effect.void,
    },
    admission: { close: () => {} },
    tree,
    notReady: () => {},
  }),
)

const fresh = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => Effect.provideService(effect, TaskTree.TaskTree, TaskTree.makeUnsafe()))

const why = (log: Array<string>) =>
  Effect.flatMap(CancelReason.current, (reason) =>
    Effect.sync(() => {
      log.push(Option.match(reason, { onNone: () => "none", onSome: ({ _tag }) => _tag }))
    }))

describe("drain", () => {
  it.effect("does not wait for what a layer runs in the background, nor for tasks below it", () =>
    fresh(Effect.gen(function* () {
      const parts = yield* scene
      const log: Array<string> = []
      const layers = yield* Scope.make()
      const poll = Task.run("poll", Effect.onInterrupt(Effect.never, () => why(log)))
      yield* Scope.provide(Task.start("poller", poll), layers)
      const draining = yield* Effect.forkChild(drain(parts, budget), { startImmediately: true })
      yield* TestClock.adjust(0)
      expect(draining.pollUnsafe()).toEqual(
        Exit.succeed({ inFlight: 0, cancelled: 0, abandoned: 0 }),
      )
      expect(log).toEqual([])
      yield* Scope.close(layers, Exit.void)
      expect(log).toEqual(["ParentEnded"])
      expect(yield* parts.tree.size).toBe(0)
    })))

  it.effect("waits for detached work, and cancels it but not the background after the grace", () =>
    fresh(Effect.gen(function* () {
      const parts = yield* scene
      const log: Array<string> = []
      const layers = yield* Scope.make()
      const background = yield* Scope.provide(Task.start("poller", Effect.never), layers)
      yield* Scope.provide(
        Task.start("mail", Effect.onInterrupt(Effect.never, () => why(log)), { detached: true }),
        layers,
      )
      const draining = yield* Effect.forkChild(drain(parts, budget), { startImmediately: true })
      yield* TestClock.adjust("19 seconds")
      expect(draining.pollUnsafe()).toBe(undefined)
      yield* TestClock.adjust("1 second")
      expect(yield* Fiber.join(draining)).toEqual({ inFlight: 1, cancelled: 1, abandoned: 0 })
      expect(log).toEqual(["Shutdown"])
      expect((yield* background.info).state).toBe("running")
      yield* Scope.close(layers, Exit.void)
      expect(yield* parts.tree.size).toBe(0)
    })))
})
