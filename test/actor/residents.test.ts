import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Layer, Schema } from "effect"
import { TestClock } from "effect/testing"
import { Rpc } from "effect/rpc"
import * as Actor from "../../src/actor/Actor.ts"
import * as ActorSystem from "../../src/actor/ActorSystem.ts"
import * as Saturation from "../../src/bounded/Saturation.ts"

const Wait = Rpc.make("Wait", { payload: Schema.String })
const Box = Actor.make("Box", [Wait], { mailbox: { capacity: 4 }, residents: 10 })

describe("keyed actors in /saturation", () => {
  it.effect("show who is in memory, and what waits in all their mailboxes", () =>
    Effect.gen(function* () {
      const registry = Saturation.makeUnsafe()
      const gate = yield* Deferred.make<void>()
      const live = Box.toLayer({ Wait: () => Deferred.await(gate) })
      yield* Effect.gen(function* () {
        const box = yield* Box.client
        yield* box("a").tell.Wait("1")
        yield* TestClock.adjust("1 second")
        yield* box("a").tell.Wait("2")
        yield* box("a").tell.Wait("3")
        yield* box("b").tell.Wait("4")
        yield* TestClock.adjust("2 seconds")
        expect(registry.get("Box")!.stats(3000)).toMatchObject({
          kind: "actors",
          capacity: 10,
          inUse: 2,
          // Of the four, two are being handled.
          waiting: 2,
          queueCapacity: 40,
          oldestWaitMs: 2000,
        })
        yield* Deferred.succeed(gate, undefined)
        yield* TestClock.adjust(0)
        expect(registry.get("Box")!.stats(3000)).toMatchObject({ inUse: 2, waiting: 0 })
      }).pipe(
        Effect.provide(Layer.provideMerge(live, ActorSystem.layer())),
        Effect.provideService(Saturation.Saturation, registry),
      )
      expect(registry.snapshot(0)).toEqual([])
    }))
})
