/**
 * Goal: one deadline for the whole of it. Each step gets what is left, and none gets more.
 * Run: deno run examples/05-timeout-budget.ts
 */
import { Deadline, Task, Trace, VirtualClock } from "@weir/runtime"
import { Clock, Console, Duration, Effect } from "effect"

// A call to another service, which takes 80 ms. It could send on what is left.
const call = Effect.fn("call")(function* (name: string) {
  const left = Duration.format(yield* Deadline.remaining)
  yield* Console.log(`  ${name} starts with ${left} left`)
  yield* Effect.sleep("80 millis")
})

// Without a common deadline: each call keeps its own limit of 100 ms, and the whole has none.
const each = Effect.gen(function* () {
  yield* Effect.timeout(call("user"), "100 millis")
  yield* Effect.timeout(call("cart"), "100 millis")
  yield* Effect.timeout(call("stock"), "100 millis")
})

// With one: an instant, inherited by everything below. A longer one inside changes nothing.
const shared = Effect.gen(function* () {
  yield* Task.run("user", call("user"))
  yield* Task.run("cart", call("cart"), { deadline: "1 minute" })
  yield* Task.run("stock", call("stock"))
})

const timed = Effect.fn("timed")(function* <E extends { readonly _tag: string }>(
  title: string,
  work: Effect.Effect<void, E>,
) {
  yield* Console.log(title)
  const begin = yield* Clock.currentTimeMillis
  const end = yield* work.pipe(
    Effect.as("done"),
    Effect.catch((error) => Effect.succeed(error._tag)),
  )
  yield* Console.log(`  ${end} after ${(yield* Clock.currentTimeMillis) - begin} ms`)
})

const program = Effect.gen(function* () {
  yield* timed("the caller waits 200 ms, each call has 100 ms", each)
  // Break it: yield* timed("one deadline of 200 ms", Task.run("page", shared))
  yield* timed("one deadline of 200 ms", Task.run("page", shared, { deadline: "200 millis" }))
  yield* timed("a part with less time", shared.pipe(Deadline.within("100 millis")))
})

await program.pipe(Effect.provide([VirtualClock.layer, Trace.layer()]), Effect.runPromise)

// Output:
// the caller waits 200 ms, each call has 100 ms
//   user starts with Infinity left
//   cart starts with Infinity left
//   stock starts with Infinity left
//   done after 240 ms
// one deadline of 200 ms
//   user starts with 200ms left
//   cart starts with 120ms left
//   stock starts with 40ms left
//   DeadlineExceeded after 200 ms
// a part with less time
//   user starts with 100ms left
//   cart starts with 20ms left
//   DeadlineExceeded after 100 ms

// Output when broken:
// …
// one deadline of 200 ms
//   user starts with Infinity left
//   cart starts with 1m left
//   stock starts with Infinity left
//   done after 240 ms
// …
