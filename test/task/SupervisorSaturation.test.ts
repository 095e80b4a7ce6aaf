import { describe, expect, it } from "@effect/vitest"
import { Effect, Logger, Schedule } from "effect"
import { TestClock } from "effect/testing"
import * as Saturation from "../../src/bounded/Saturation.ts"
import * as Supervisor from "../../src/task/Supervisor.ts"

const row = (registry: Saturation.Saturation, name: string) => {
  const stats = registry.get(name)?.stats(0)
  return stats === undefined
    ? undefined
    : [stats.kind, stats.capacity, stats.inUse, stats.waiting, stats.highWater]
}

describe("a supervisor in /saturation", () => {
  it.effect("shows its children, those that run and those that wait for their restart", () =>
    Effect.gen(function* () {
      const registry = Saturation.makeUnsafe()
      let falls = true
      yield* Effect.scoped(Effect.gen(function* () {
        yield* Supervisor.make({
          name: "workers",
          policy: Supervisor.restart({ backoff: Schedule.spaced("1 second") }),
          children: [
            { id: "steady", effect: Effect.never },
            { id: "falls", effect: Effect.suspend(() => falls ? Effect.die("x") : Effect.never) },
          ],
        })
        expect(row(registry, "workers")).toEqual(["supervisor", 2, 1, 1, 1])
        falls = false
        yield* TestClock.adjust("1 second")
        expect(row(registry, "workers")).toEqual(["supervisor", 2, 2, 0, 1])
        // A second one of the same name is no mistake: it gets a number.
        yield* Effect.scoped(Effect.andThen(
          Supervisor.make({ name: "workers" }),
          Effect.sync(() => expect(row(registry, "workers 2")).toEqual(["supervisor", 1, 0, 0, 0])),
        ))
        expect(row(registry, "workers 2")).toBeUndefined()
      })).pipe(
        Effect.provideService(Saturation.Saturation, registry),
        Effect.provide(Logger.layer([])),
      )
      expect(registry.snapshot(0)).toEqual([])
    }))

  it.effect("shows a nested one while it runs", () =>
    Effect.gen(function* () {
      const registry = Saturation.makeUnsafe()
      yield* Effect.scoped(Effect.gen(function* () {
        yield* Supervisor.make({
          name: "top",
          children: [{
            id: "inner",
            effect: Supervisor.run({
              name: "inner",
              children: [{ id: "leaf", effect: Effect.never }],
            }),
          }],
        })
        expect(row(registry, "inner")).toEqual(["supervisor", 1, 1, 0, 0])
      })).pipe(Effect.provideService(Saturation.Saturation, registry))
      expect(registry.snapshot(0)).toEqual([])
    }))
})
