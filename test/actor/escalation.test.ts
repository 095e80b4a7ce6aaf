import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import { Rpc } from "effect/rpc"
import * as Actor from "../../src/actor/Actor.ts"
import * as ActorSystem from "../../src/actor/ActorSystem.ts"
import { Fatal } from "../../src/task/fatal.ts"
import * as Supervisor from "../../src/task/Supervisor.ts"

const Crash = Rpc.make("Crash")
const Ping = Rpc.make("Ping")

/** Crashes escalate at once: no restart of its own. */
const Brittle = Actor.make("Brittle", [Crash, Ping], {
  restart: Supervisor.restart({ intensity: 0 }),
})
const Other = Actor.single("Other", [Ping])

const layers = Layer.mergeAll(
  Brittle.toLayer({ Crash: () => Effect.die("boom"), Ping: () => Effect.void }),
  Other.toLayer({ Ping: () => Effect.void }),
)

describe("an actor that has used up its restarts", () => {
  it.effect("restarts all actors of its kind, and no others", () =>
    Effect.gen(function* () {
      const brittle = yield* Brittle.client
      const other = yield* Other.client
      yield* brittle("a").ask.Ping()
      yield* brittle("b").ask.Ping()
      const b = yield* Effect.forkChild(brittle("b").terminated, { startImmediately: true })
      const a = yield* Effect.forkChild(brittle("a").terminated, { startImmediately: true })
      yield* Effect.flip(brittle("a").ask.Crash())
      yield* TestClock.adjust(0)
      expect(yield* Fiber.join(a)).toMatchObject({ reason: "failed" })
      expect(yield* Fiber.join(b)).toMatchObject({ reason: "shutdown" })
      // The kind is there again, and the others have noticed nothing.
      yield* brittle("a").ask.Ping()
      yield* other.ask.Ping()
      expect((yield* other.account)?.sent).toBe(1)
    }).pipe(Effect.provide(Layer.provideMerge(layers, ActorSystem.layer()))))

  it.effect("ends the program when its kind has used up its own", () =>
    Effect.gen(function* () {
      const fatal: Array<string> = []
      yield* Effect.gen(function* () {
        const brittle = yield* Brittle.client
        const other = yield* Other.client
        for (let crash = 1; crash <= 4; crash++) {
          expect(fatal).toEqual([])
          yield* Effect.flip(brittle("a").ask.Crash())
          yield* TestClock.adjust(0)
        }
        expect(fatal).toHaveLength(1)
        expect(fatal[0]).toContain('"actors"')
        expect(fatal[0]).toContain('"Brittle"')
        // All actors have stopped with their supervisor.
        expect((yield* Effect.flip(other.tell.Ping()))._tag).toBe("Stopped")
        expect((yield* Effect.flip(brittle("c").tell.Ping()))._tag).toBe("Stopped")
      }).pipe(
        Effect.provide(Layer.provideMerge(layers, ActorSystem.layer())),
        Effect.provideService(Fatal, (error) => {
          fatal.push(error.message)
        }),
      )
    }))
})
