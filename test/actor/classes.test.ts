import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as Bulkhead from "../../src/pool/Bulkhead.ts"
import { CancelScope, CurrentScope, root } from "../../src/task/scope.ts"
import * as Task from "../../src/task/Task.ts"
import { ActorContext } from "../../src/actor/ActorContext.ts"
import { fork, gate, settle, world } from "./support.ts"

/** Above 2^31, as the hash of a tenant may be. */
const acme = 0xfedc_ba98

/** Runs it as the work of a request of that class and tenant. */
const as = (rank: number, tenant: number) => <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.suspend(() =>
    Effect.provideService(
      effect,
      CurrentScope,
      new CancelScope(root, Infinity, undefined, undefined, undefined, rank, tenant),
    )
  )

const here = Effect.withFiber((fiber) => {
  const { rank, tenant } = fiber.getRef(CurrentScope)
  return Effect.succeed([rank, tenant])
})

describe("the class of a message", () => {
  it.effect("is that of its sender's work, however it was sent and however far it goes", () =>
    world(({ box }) =>
      Effect.gen(function* () {
        const [a, b] = [yield* box("A"), yield* box("B")]
        const seen: Array<readonly [string, ReadonlyArray<number>]> = []
        const look = (what: string) => Effect.map(here, (it) => void seen.push([what, it]))
        const sends = (what: string) =>
          Effect.gen(function* () {
            yield* a.tell.Run(look(`${what} tell`))
            yield* a.offer.Run(look(`${what} offer`))
            yield* a.ask.Run(look(`${what} ask`))
            // A child task, and another actor behind it.
            yield* a.ask.Run(Task.run("below", b.ask.Run(look(`${what} behind`))))
          })
        yield* as(3, acme)(sends("low"))
        yield* sends("usual")
        yield* as(0, 7)(sends("high"))
        yield* settle
        const ways = ["tell", "offer", "ask", "behind"]
        expect(seen).toEqual([
          ...ways.map((way) => [`low ${way}`, [3, acme]]),
          ...ways.map((way) => [`usual ${way}`, [1, 0]]),
          ...ways.map((way) => [`high ${way}`, [0, 7]]),
        ])
      })
    ))

  it.effect("is its own also where messages share a fiber, are put aside or tried again", () =>
    world(({ box }) =>
      Effect.gen(function* () {
        const a = yield* box("A")
        const seen: Array<ReadonlyArray<number>> = []
        const fibers = new Set<unknown>()
        const look = Effect.withFiber((fiber) => {
          fibers.add(fiber)
          return Effect.map(here, (it) => void seen.push(it))
        })
        for (const rank of [2, 3, 0, 1]) yield* as(rank, rank)(a.tell.Run(look))
        yield* settle
        expect([seen, fibers.size]).toEqual([[[2, 2], [3, 3], [0, 0], [1, 1]], 1])
        seen.length = 0
        let times = 0
        const twice = Effect.gen(function* () {
          yield* look
          if (++times === 1) return yield* Effect.flatMap(ActorContext, ({ stash }) => stash)
          if (times === 2) return yield* Effect.die("once")
        })
        yield* as(3, 5)(a.tell.Again(twice))
        yield* settle
        yield* a.ask.Run(Effect.flatMap(ActorContext, ({ unstashAll }) => unstashAll))
        yield* settle
        expect(seen).toEqual([[3, 5], [3, 5], [3, 5]])
      })
    ))

  it.effect("is the usual one for what an actor does by itself, whoever caused it", () =>
    world(({ box, boxes }) =>
      Effect.gen(function* () {
        const seen: Array<ReadonlyArray<number>> = []
        const look = Effect.map(here, (it) => void seen.push(it))
        const a = yield* box("A", {}, look)
        const keyed = yield* boxes("K", {}, look)
        const done = gate()
        yield* as(3, 9)(keyed("first").ask.Run(Effect.void))
        yield* as(3, 9)(a.ask.Run(Effect.flatMap(
          ActorContext,
          ({ timer }) => timer("soon", { after: "1 millis" }, Effect.andThen(look, done.open)),
        )))
        yield* TestClock.adjust("1 millis")
        yield* done.wait
        expect(seen).toEqual([[1, 0], [1, 0], [1, 0]])
      })
    ))

  it.effect("decides who comes first in a pool that the handlers use", () =>
    world(({ boxes }) =>
      Effect.gen(function* () {
        const key = yield* boxes("K")
        const pool = yield* Bulkhead.make({ name: "pool", capacity: 1, queueCapacity: 2 })
        const order: Array<string> = []
        const go = gate()
        const held = yield* fork(pool.use(go.wait))
        const use = (what: string) => pool.use(Effect.sync(() => void order.push(what)))
        const low = yield* fork(as(3, 0)(key("low").ask.Run(use("low"))))
        const low2 = yield* fork(Effect.flip(as(3, 0)(key("low2").ask.Run(use("low2")))))
        // The line is full: who is more critical comes in the place of the youngest who is less.
        const high = yield* fork(as(0, 0)(key("high").ask.Run(use("high"))))
        expect(yield* Fiber.join(low2)).toMatchObject({ _tag: "Refused", reason: "Displaced" })
        yield* go.open
        for (const fiber of [held, low, high]) yield* Fiber.join(fiber)
        expect(order).toEqual(["high", "low"])
      })
    ))
})
