import { Effect, Layer, Ref, Schema } from "effect"
import { Rpc } from "effect/rpc"
import { describe, expect, it } from "@effect/vitest"
import * as Actor from "../../src/actor/Actor.ts"
import * as ActorSystem from "../../src/actor/ActorSystem.ts"

class OutOfStock extends Schema.TaggedError<OutOfStock>()("OutOfStock", {}) {}
const Add = Rpc.make("Add", {
  payload: { count: Schema.Int },
  success: Schema.Int,
  error: OutOfStock,
})
const Look = Rpc.make("Look", { success: Schema.Int })
const Stock = Actor.make("Stock", [Add, Look])
const StockLive = Stock.toLayer(Effect.gen(function* () {
  const left = yield* Ref.make(10)
  return Stock.of({
    Add: ({ payload }) =>
      payload.count === 99
        ? Effect.die("boom")
        : payload.count < 0
        ? Effect.fail(new OutOfStock())
        : Effect.andThen(
          Effect.sleep(payload.count > 100 ? 100 : 0).pipe(
            Effect.when(Effect.sync(() => payload.count > 100)),
          ),
          Ref.updateAndGet(left, (n) => n + payload.count),
        ),
    Look: () => Ref.get(left),
  })
}))
describe("an actor of the first kind one writes", () => {
  it.effect("answers, keeps its state, fails with a type, and starts anew after a crash", () =>
    Effect.gen(function* () {
      const stock = yield* Stock.client
      const a = stock("a")
      expect(yield* a.ask.Look()).toBe(10)
      yield* a.tell.Add({ count: 3 })
      expect(yield* a.ask.Look()).toBe(13)
      expect((yield* Effect.flip(a.ask.Add({ count: -1 })))._tag).toBe("OutOfStock")
      expect((yield* Effect.flip(a.ask.Add({ count: 99 })))._tag).toBe("ActorFailed")
      expect(yield* a.ask.Look()).toBe(10)
      expect(yield* a.account).toMatchObject({ sent: 6, queued: 0, running: 0 })
    }).pipe(Effect.provide(StockLive.pipe(Layer.provideMerge(ActorSystem.layer())))))

  it.effect("can be sent to by a method alone, whatever the messages are named", () =>
    Effect.gen(function* () {
      const Odd = ["target", "constructor", "tell"] as const
      const int = { payload: Schema.Int, success: Schema.Int }
      const Sum = Actor.single("Sum", Odd.map((tag) => Rpc.make(tag, int)))
      let sum = 0
      const add = ({ payload }: { readonly payload: number }) => Effect.sync(() => sum += payload)
      const live = Sum.toLayer({ target: add, constructor: add, tell: add })
      yield* Effect.gen(function* () {
        const ref = yield* Sum.client
        const { target } = ref.tell
        const { constructor } = ref.offer
        const { tell } = ref.ask
        yield* target(1)
        yield* constructor(20)
        expect(yield* tell(300)).toBe(321)
      }).pipe(Effect.provide(live.pipe(Layer.provideMerge(ActorSystem.layer()))))
    }))
})
