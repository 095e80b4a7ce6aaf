/**
 * Goal: a cancel says who and why, down to the last finalizer; what would have come next never runs.
 * Run: deno run examples/03-cancel-reason.ts
 */
import { CancelReason, Task, Trace, VirtualClock } from "@weir/runtime"
import { Console, Effect, Option } from "effect"

// With promises: a signal is advice. Work that does not look at it goes on.
const controller = new AbortController()
const deaf = (async (_signal: AbortSignal) => {
  await new Promise((resolve) => setTimeout(resolve, 5))
  console.log("promise: goes on after abort()")
})(controller.signal)
controller.abort()
await deaf

// With tasks: sleep, and every other wait, ends at once; the finalizer can ask why.
const why = Effect.map(
  CancelReason.current,
  Option.match({ onNone: () => "nobody said why", onSome: CancelReason.format }),
)
const report = Effect.gen(function* () {
  yield* Effect.addFinalizer(() => Effect.flatMap(why, (text) => Console.log(`  why: ${text}`)))
  yield* Effect.sleep("1 hour")
  yield* Console.log("  this line never runs")
})
const tell = ({ message }: Error) => Console.log(`  error: ${message}`)

const program = Effect.gen(function* () {
  yield* Console.log("its time is up")
  // Break it: yield* Effect.scoped(report).pipe(Effect.timeout("20 millis"), Effect.catch(tell))
  yield* Task.run("report", report, { deadline: "20 millis" }).pipe(Effect.catch(tell))

  yield* Console.log("somebody cancels it")
  const task = yield* Task.start("report", Task.run("page", report))
  yield* task.cancel(CancelReason.Requested("Ada", "wrong year"))
  yield* task.join.pipe(Effect.catch(tell))

  yield* Console.log("its parent ends")
  yield* Task.run("parent", Task.start("report", report))

  yield* Console.log("its sibling fails")
  yield* Task.group((group: Task.Group<Error>) =>
    Effect.gen(function* () {
      yield* group.start("report", report)
      yield* group.start("chart", Effect.fail(new Error("no colours")))
    })
  ).pipe(Effect.catch(tell))
}).pipe(Effect.scoped)

await program.pipe(Effect.provide([VirtualClock.layer, Trace.layer()]), Effect.runPromise)

// Output:
// promise: goes on after abort()
// its time is up
//   why: deadline exceeded
//   error: "report" was not done by its deadline and has been cancelled.
// somebody cancels it
//   why: requested by Ada: wrong year
//   error: Task "report" was cancelled: requested by Ada: wrong year.
// its parent ends
//   why: parent ended: parent
// its sibling fails
//   why: sibling failed: chart
//   error: no colours

// Output when broken:
// promise: goes on after abort()
// its time is up
//   why: nobody said why
//   error: Operation timed out after '20ms'
// somebody cancels it
// …
