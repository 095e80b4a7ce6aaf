/**
 * Goal: no task outlives its parent. What a request started ends with the request.
 * Run: deno run examples/02-no-orphans.ts
 */
import { Task, TaskTree, Trace, VirtualClock } from "@weir/runtime"
import { Console, Effect } from "effect"

// With promises: the request has been answered, and its helper goes on. Who stops it, and when?
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
const helperPromise = async () => {
  await pause(20)
  console.log("promise: the helper still runs, for nobody")
}
const requestPromise = () => {
  helperPromise()
  return "answer"
}
console.log(`promise: ${requestPromise()}`)
await pause(50)

// With tasks: the same helper, which has a helper of its own.
const writer = Effect.gen(function* () {
  // A finalizer: runs when the task ends, however it ends. This one takes 10 ms.
  yield* Effect.addFinalizer(() => Task.cleanup("close the file", Effect.sleep("10 millis")))
  yield* Effect.addFinalizer(() => Console.log("task: the writer is stopped"))
  yield* Effect.sleep("20 millis")
  yield* Console.log("task: the writer still runs, for nobody")
})
const helper = Effect.gen(function* () {
  yield* Effect.addFinalizer(() => Console.log("task: the helper is stopped"))
  // Break it: yield* Effect.forkDetach(Effect.scoped(writer))
  yield* Task.start("writer", writer)
  yield* Effect.never
})
const request = Effect.gen(function* () {
  yield* Task.start("helper", helper)
  return "answer"
})

const program = Effect.gen(function* () {
  // The answer comes when all that the request started has ended, cleanup included.
  const answer = yield* Task.run("request", request)
  yield* Console.log(`task: ${answer}`)
  const tree = yield* TaskTree.TaskTree
  yield* Console.log(`task: ${yield* tree.size} are left`)
  yield* Effect.sleep("50 millis")
})

await program.pipe(Effect.provide([VirtualClock.layer, Trace.layer()]), Effect.runPromise)

// Output:
// promise: answer
// promise: the helper still runs, for nobody
// task: the writer is stopped
// task: the helper is stopped
// task: answer
// task: 0 are left

// Output when broken:
// promise: answer
// promise: the helper still runs, for nobody
// task: the helper is stopped
// task: answer
// task: 0 are left
// task: the writer still runs, for nobody
// task: the writer is stopped
