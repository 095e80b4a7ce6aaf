/**
 * Goal: state with one owner. Two updates that overlap lose one; an actor takes them one by one.
 * Run: deno run examples/09-actor-counter.ts
 */
import { Actor, ActorSystem } from "@weir/runtime"
import { Console, Effect, Layer, Ref, Schema } from "effect"
import { Rpc } from "effect/rpc"

// A read, a pause, a write: what any update of a row, a file or a cache looks like.
const pause = Effect.sleep("5 millis")

// Without an owner: both read 10 before either of them writes.
const shared = Effect.gen(function* () {
  const left = yield* Ref.make(10)
  const take = Effect.gen(function* () {
    const before = yield* Ref.get(left)
    yield* pause
    yield* Ref.set(left, before - 1)
  })
  yield* Effect.all([take, take], { concurrency: "unbounded" })
  yield* Console.log(`shared: took 2 of 10, left ${yield* Ref.get(left)}`)
})

// With an owner. The protocol is a list of messages, each with its types.
class OutOfStock extends Schema.TaggedError<OutOfStock>()("OutOfStock", { left: Schema.Int }) {}
const Take = Rpc.make("Take", {
  payload: { count: Schema.Int },
  success: Schema.Int,
  error: OutOfStock,
})
const Look = Rpc.make("Look", { success: Schema.Int })
const Stock = Actor.make("Stock", [Take, Look])

// `init` runs when the actor starts; its state cannot be reached from outside.
const StockLive = Stock.toLayer(Effect.gen(function* () {
  const left = yield* Ref.make(10)
  return Stock.of({
    Take: Effect.fnUntraced(function* ({ payload }) {
      const before = yield* Ref.get(left)
      yield* pause
      if (before < payload.count) return yield* new OutOfStock({ left: before })
      yield* Ref.set(left, before - payload.count)
      return before - payload.count
    }),
    Look: () => Ref.get(left),
  })
}))

const owned = Effect.gen(function* () {
  const stock = yield* Stock.client
  const lamp = stock("lamp") // one actor for each key, started by its first message
  yield* Effect.all([lamp.ask.Take({ count: 1 }), lamp.ask.Take({ count: 1 })], {
    concurrency: "unbounded",
  })
  yield* Console.log(`actor:  took 2 of 10, left ${yield* lamp.ask.Look()}`)

  // A typed failure is an answer: the actor goes on.
  const error = yield* Effect.flip(lamp.ask.Take({ count: 9 }))
  yield* Console.log(`asked for 9: ${error._tag}, left ${yield* lamp.ask.Look()}`)

  // tell puts the message into the mailbox and goes on; what is asked next is handled after it.
  yield* lamp.tell.Take({ count: 3 })
  yield* Console.log(`told to give 3: left ${yield* lamp.ask.Look()}`)
  yield* Console.log(`another key: left ${yield* stock("chair").ask.Look()}`)
})

await Effect.runPromise(Effect.andThen(
  shared,
  owned.pipe(Effect.provide(Layer.provideMerge(StockLive, ActorSystem.layer()))),
))

// Output:
// shared: took 2 of 10, left 9
// actor:  took 2 of 10, left 8
// asked for 9: OutOfStock, left 8
// told to give 3: left 5
// another key: left 10
