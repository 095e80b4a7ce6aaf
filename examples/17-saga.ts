/**
 * Goal: steps that no transaction spans are undone in reverse order, on failure and on cancel.
 * Run: deno run examples/17-saga.ts
 */
import { CancelReason, Task, Trace, VirtualClock } from "@weir/runtime"
import { Console, Effect, Exit } from "effect"

// With promises: whoever writes `catch` must know how far it had come. A cancel never gets there.
const bookPromise = async () => {
  console.log("promise: flight and hotel booked")
  await Promise.reject(new Error("no cars"))
}
await bookPromise().catch((error) => console.log(`promise: ${error.message}, two bookings remain`))

// A step says how it is undone when it is done: one thing, which a cancel cannot split.
const step = (name: string, work: Effect.Effect<void, string>) =>
  Effect.acquireRelease(
    Effect.andThen(work, Console.log(`  ${name} booked`)),
    (_, exit) =>
      // Break it: Exit.isSuccess(exit) || Exit.hasInterrupts(exit)
      Exit.isSuccess(exit)
        ? Effect.void
        : Task.cleanup(`cancel the ${name}`, Console.log(`  ${name} cancelled`)),
  )

const call = Effect.sleep("10 millis")
const trip = Effect.fn("trip")(function* (car: Effect.Effect<void, string>) {
  yield* step("flight", call)
  yield* step("hotel", call)
  yield* step("car", car)
  yield* Effect.sleep("1 minute") // waits for the customer's signature
})

const program = Effect.gen(function* () {
  yield* Console.log("the car fails:")
  const error = yield* Task.run("trip", trip(Effect.fail("no cars"))).pipe(Effect.flip)
  yield* Console.log(`  error: ${error}`)

  yield* Console.log("the customer leaves while the hotel is booked:")
  const task = yield* Task.start("trip", trip(call))
  yield* Effect.sleep("15 millis")
  yield* task.cancel(CancelReason.ClientAbort)

  yield* Console.log("all is well:")
  yield* Task.run("trip", trip(call))
}).pipe(Effect.scoped)

await program.pipe(Effect.provide([VirtualClock.layer, Trace.layer()]), Effect.runPromise)

// Output:
// promise: flight and hotel booked
// promise: no cars, two bookings remain
// the car fails:
//   flight booked
//   hotel booked
//   hotel cancelled
//   flight cancelled
//   error: no cars
// the customer leaves while the hotel is booked:
//   flight booked
//   hotel booked
//   hotel cancelled
//   flight cancelled
// all is well:
//   flight booked
//   hotel booked
//   car booked

// Output when broken:
// …
// the customer leaves while the hotel is booked:
//   flight booked
//   hotel booked
// all is well:
// …
