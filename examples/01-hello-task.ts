/**
 * Goal: a task is work with a name, a parent and a result. Whatever runs can be listed.
 * Run: deno run examples/01-hello-task.ts
 */
import { Task, TaskTree, Trace, VirtualClock } from "@weir/runtime"
import { Console, Effect } from "effect"

// A promise that runs has no name and no parent: nobody can say what it is, or for whom.
const anonymous = new Promise((resolve) => setTimeout(resolve, 5))
console.log(`a promise: ${anonymous}`)
await anonymous

// An effect describes work. `yield*` runs it and gives its result, as `await` does for a promise.
const price = Effect.fn("price")(function* (sku: string) {
  yield* Effect.sleep("20 millis")
  return sku.length * 100
})

// Task.run gives work a name and a place below the task that runs it, and waits for its result.
const checkout = Effect.gen(function* () {
  const chair = yield* Task.run("price of the chair", price("chair"))
  // Break it: const lamp = yield* price("lamp")
  const lamp = yield* Task.run("price of the lamp", price("lamp"))
  return chair + lamp
})

const list = Effect.gen(function* () {
  const tree = yield* TaskTree.TaskTree
  const tasks = yield* tree.dump
  for (const { ageMs, name, parentId } of tasks) {
    const parent = tasks.find(({ id }) => id === parentId)?.name ?? "nobody"
    yield* Console.log(`  ${name}: ${ageMs} ms old, child of ${parent}`)
  }
})

const program = Effect.gen(function* () {
  // Task.start does not wait. The task belongs to the scope around: it cannot be forgotten.
  const task = yield* Task.start("checkout", checkout)
  yield* Effect.sleep("30 millis")
  yield* Console.log("after 30 ms:")
  yield* list
  yield* Console.log(`result: ${yield* task.join}`)
  yield* Console.log(`afterwards: ${(yield* task.info).state}`)
}).pipe(Effect.scoped)

// With VirtualClock nobody waits: 20 ms pass at once. With Trace, `--trace` shows the tasks.
await program.pipe(Effect.provide([VirtualClock.layer, Trace.layer()]), Effect.runPromise)

// Output:
// a promise: [object Promise]
// after 30 ms:
//   checkout: 30 ms old, child of nobody
//   price of the lamp: 10 ms old, child of checkout
// result: 900
// afterwards: ended

// Output when broken:
// a promise: [object Promise]
// after 30 ms:
//   checkout: 30 ms old, child of nobody
// result: 900
// afterwards: ended
