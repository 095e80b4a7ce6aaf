/**
 * Goal: protect the smallest step that must not be torn, and nothing more.
 * Run: deno run examples/08-uninterruptible-commit.ts
 */
import { CancelReason, Task, Trace, VirtualClock } from "@weir/runtime"
import { Clock, Console, Effect } from "effect"

const log = Effect.fn("log")(function* (text: string, begin: number) {
  yield* Console.log(`  ${(yield* Clock.currentTimeMillis) - begin} ms: ${text}`)
})

// Three steps. A cancel between the second and the third takes the money and forgets the order.
// `protect` is nothing, or Task.commit, which ends a step that it has begun, whoever cancels it.
const order = Effect.fn("order")(function* (protect: typeof Task.commit) {
  const begin = yield* Clock.currentTimeMillis
  const pay = Effect.gen(function* () {
    yield* Effect.sleep("10 millis")
    yield* log("the card is charged", begin)
    yield* Effect.sleep("10 millis")
    yield* log("the order is written", begin)
  })
  yield* Effect.sleep("100 millis")
  yield* log("the stock is checked", begin)
  yield* protect(pay)
  yield* Effect.sleep("100 millis")
  yield* log("the mail is sent", begin)
})

/** Cancels the order after that time; says how long the cancel took. */
const cancelAfter = Effect.fn("cancelAfter")(function* (
  millis: number,
  title: string,
  work: Effect.Effect<void>,
) {
  yield* Console.log(title)
  const task = yield* Task.start("order", work)
  yield* Effect.sleep(millis)
  const asked = yield* Clock.currentTimeMillis
  yield* task.cancel(CancelReason.Requested("the customer"))
  yield* Console.log(`  the cancel took ${(yield* Clock.currentTimeMillis) - asked} ms`)
})

const program = Effect.gen(function* () {
  yield* cancelAfter(115, "unprotected, cancelled while it pays", order((step) => step))
  // Break it: const safe = Task.commit(order(Task.commit))
  const safe = order(Task.commit)
  yield* cancelAfter(50, "protected, cancelled before it pays", safe)
  yield* cancelAfter(115, "protected, cancelled while it pays", safe)
}).pipe(Effect.scoped)

await program.pipe(Effect.provide([VirtualClock.layer, Trace.layer()]), Effect.runPromise)

// Output:
// unprotected, cancelled while it pays
//   100 ms: the stock is checked
//   110 ms: the card is charged
//   the cancel took 0 ms
// protected, cancelled before it pays
//   the cancel took 0 ms
// protected, cancelled while it pays
//   100 ms: the stock is checked
//   110 ms: the card is charged
//   120 ms: the order is written
//   the cancel took 5 ms

// Output when broken:
// …
// protected, cancelled before it pays
//   100 ms: the stock is checked
//   110 ms: the card is charged
//   120 ms: the order is written
//   220 ms: the mail is sent
//   the cancel took 170 ms
// …
