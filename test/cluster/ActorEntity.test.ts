import { describe, expect, it } from "@effect/vitest"
import { Context, Effect, Layer, Ref, Schema } from "effect"
import { TestRunner } from "effect/cluster"
import { Rpc } from "effect/rpc"
import * as ActorEntity from "../../src/cluster/ActorEntity.ts"
import { Actor, ActorContext, ActorSystem } from "../../src/index.ts"

class OutOfStock extends Schema.TaggedError<OutOfStock>()("OutOfStock", {
  left: Schema.Int,
}) {}

const Take = Rpc.make("Take", {
  payload: { count: Schema.Int },
  success: Schema.Int,
  error: OutOfStock,
})
const Look = Rpc.make("Look", { success: Schema.Int })
const Stock = Actor.make("Stock", [Take, Look])

const Opening = Context.Service<{ readonly left: number }>("test/Opening")

/** One init and one set of handlers for both. */
const init = Effect.gen(function* () {
  const { left: opening } = yield* Opening
  const left = yield* Ref.make(opening)
  return Stock.of({
    Take: ({ payload }) =>
      Effect.flatMap(
        Ref.get(left),
        (n) =>
          n < payload.count
            ? Effect.fail(new OutOfStock({ left: n }))
            : Ref.updateAndGet(left, (n) => n - payload.count),
      ),
    Look: () => Ref.get(left),
  })
})

const opening = Layer.succeed(Opening, { left: 10 })

interface Api {
  readonly take: (key: string, count: number) => Effect.Effect<number, unknown>
  readonly look: (key: string) => Effect.Effect<number, unknown>
}

/** What every user of the actor can rely on, wherever it runs. */
const scenario = ({ look, take }: Api) =>
  Effect.gen(function* () {
    expect(yield* take("a", 3)).toBe(7)
    expect(yield* take("b", 1)).toBe(9)
    expect(yield* look("a")).toBe(7)
    const error = yield* Effect.flip(take("a", 8))
    expect(error).toBeInstanceOf(OutOfStock)
    expect(error).toMatchObject({ left: 7 })
    const all = yield* Effect.all(Array.from({ length: 7 }, () => take("a", 1)), {
      concurrency: "unbounded",
    })
    expect(all).toEqual([6, 5, 4, 3, 2, 1, 0])
    expect(yield* look("a")).toBe(0)
    expect(yield* look("b")).toBe(9)
  })

describe("one definition and one set of handlers", () => {
  it.effect("run in this process", () =>
    Effect.gen(function* () {
      const stock = yield* Stock.client
      yield* scenario({
        take: (key, count) => stock(key).ask.Take({ count }),
        look: (key) => stock(key).ask.Look(),
      })
    }).pipe(
      Effect.provide(
        Stock.toLayer(init).pipe(
          Layer.provide(opening),
          Layer.provideMerge(ActorSystem.layer()),
        ),
      ),
    ))

  it.live("run as an Effect Cluster entity", () =>
    Effect.gen(function* () {
      const stock = yield* ActorEntity.make(Stock).client
      yield* scenario({
        take: (key, count) => stock(key).Take({ count }),
        look: (key) => stock(key).Look(),
      })
    }).pipe(
      Effect.provide(
        ActorEntity.toLayer(Stock, init).pipe(
          Layer.provide(opening),
          Layer.provideMerge(TestRunner.layer),
        ),
      ),
    ))

  /** Dies the first time that it runs, wherever it runs. */
  const fragile = Effect.sync(() => {
    let runs = 0
    return Effect.sync(() =>
      Stock.of({
        Take: () =>
          Effect.sync(() => {
            if (++runs === 1) throw new Error("the first run dies")
            return runs
          }),
        Look: () => Effect.sync(() => runs),
      })
    )
  })

  it.effect("differ in a crash: here the message is not tried again", () =>
    Effect.gen(function* () {
      const layer = Stock.toLayer(yield* fragile)
      yield* Effect.gen(function* () {
        const stock = yield* Stock.client
        const error = yield* Effect.flip(stock("a").ask.Take({ count: 1 }))
        expect(error._tag).toBe("ActorFailed")
        expect(yield* stock("a").ask.Look()).toBe(1)
      }).pipe(Effect.provide(Layer.provideMerge(layer, ActorSystem.layer())))
    }))

  it.live("differ in a crash: on the cluster it is replayed", () =>
    Effect.gen(function* () {
      const layer = ActorEntity.toLayer(Stock, yield* fragile)
      yield* Effect.gen(function* () {
        const stock = yield* ActorEntity.make(Stock).client
        expect(yield* stock("a").Take({ count: 1 })).toBe(2)
      }).pipe(Effect.provide(Layer.provideMerge(layer, TestRunner.layer)))
    }))

  it("need no actor context there, says the compiler", () => {
    const stashing = Effect.map(ActorContext.ActorContext, (self) =>
      Stock.of({
        Take: () => self.stash,
        Look: () => Effect.succeed(self.incarnation),
      }))
    const layer: Layer.Layer<never, never, unknown> = ActorEntity.toLayer(Stock, stashing)
    // @ts-expect-error the entity would need an ActorContext, which no layer provides
    const complete: Layer.Layer<never, never, import("effect/cluster").Sharding.Sharding> =
      ActorEntity.toLayer(Stock, stashing)
    expect(layer).toBeDefined()
    expect(complete).toBeDefined()
  })
})
