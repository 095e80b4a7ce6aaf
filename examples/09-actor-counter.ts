/**
 * Goal: state with one owner. Two updates that overlap lose one; an actor takes them one by one.
 * Run: deno run examples/09-actor-counter.ts
 */
import { Actor, ActorSystem, Trace, VirtualClock } from "@weir/runtime"
import { Console, Effect, Layer, Ref, Schema } from "effect"
import { Rpc } from "effect/rpc"

// Without an owner: both read 10 before either of them writes.
let left = 10
const take = async () => {
  const before = left
  await new Promise((resolve) => setTimeout(resolve, 5)) // a query, a file, a call
  left = before - 1
}
await Promise.all([take(), take()])
console.log(`shared: took 2 of 10, left ${left}`)

// With an owner. The protocol is a list of messages, each with its types.
class OutOfStock extends Schema.TaggedError<OutOfStock>()("OutOfStock", { left: Schema.Int }) {}
const Take = Rpc.make("Take", {
  payload: { count: Schema.Int },
  success: Schema.Int,
  error: OutOfStock,
})
const Look = Rpc.make("Look", { success: Schema.Int })
// Break it: const Stock = Actor.make("Stock", [Take, Look], { concurrency: 2 })
const Stock = Actor.make("Stock", [Take, Look])

// `init` runs when the actor starts; its state cannot be reached from outside.
const StockLive = Stock.toLayer(Effect.gen(function* () {
  const left = yield* Ref.make(10)
  return Stock.of({
    Take: Effect.fn("take")(function* ({ payload }) {
      const before = yield* Ref.get(left)
      yield* Effect.sleep("5 millis")
      if (before < payload.count) return yield* new OutOfStock({ left: before })
      yield* Ref.set(left, before - payload.count)
      return before - payload.count
    }),
    Look: () => Ref.get(left),
  })
}))

const program = Effect.gen(function* () {
  const stock = yield* Stock.client
  const lamp = stock("lamp") // one actor for each key, started by its first message
  yield* Effect.all([lamp.ask.Take({ count: 1 }), lamp.ask.Take({ count: 1 })], {
    concurrency: "unbounded",
  })
  yield* Console.log(`actor:  took 2 of 10, left ${yield* lamp.ask.Look()}`)

  // A typed failure is an answer: the actor goes on.
  const error = yield* Effect.flip(lamp.ask.Take({ count: 10 }))
  yield* Console.log(`asked for 10: ${error._tag}, left ${yield* lamp.ask.Look()}`)

  // tell puts the message into the mailbox and goes on; what is asked next is handled after it.
  yield* lamp.tell.Take({ count: 3 })
  yield* Console.log(`told to give 3: left ${yield* lamp.ask.Look()}`)
  yield* Console.log(`another key: left ${yield* stock("chair").ask.Look()}`)
})

await program.pipe(
  Effect.provide(Layer.provideMerge(StockLive, ActorSystem.layer())),
  Effect.provide([VirtualClock.layer, Trace.layer()]),
  Effect.runPromise,
)

// Output:
// shared: took 2 of 10, left 9
// actor:  took 2 of 10, left 8
// asked for 10: OutOfStock, left 8
// told to give 3: left 5
// another key: left 10

// Output when broken:
// shared: took 2 of 10, left 9
// actor:  took 2 of 10, left 9
// …
