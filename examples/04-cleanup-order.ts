/**
 * Goal: what was acquired is released once, in reverse order: after success, failure and cancel.
 * Run: deno run examples/04-cleanup-order.ts
 */
import { Bulkhead, CancelReason, Task, Trace, VirtualClock } from "@weir/runtime"
import { Console, Effect } from "effect"

// With promises: the second open fails before `try` is reached, and nobody closes the first.
const openPromise = (name: string) => {
  console.log(`promise: opens ${name}`)
  return name === "file" ? Promise.resolve() : Promise.reject(new Error("no route"))
}
try {
  await openPromise("file")
  await openPromise("socket")
  try {
    /* work */
  } finally {
    console.log("promise: closes socket, closes file")
  }
} catch {
  console.log("promise: failed")
}

// With a scope: to acquire and to plan the release are one step, which a cancel cannot split.
const open = Effect.fn("open")(function* (steps: Array<string>, name: string) {
  steps.push(`opens ${name}`)
  yield* Effect.sleep("10 millis")
})
const close = (steps: Array<string>, name: string) =>
  Task.cleanup(`close ${name}`, Effect.sync(() => steps.push(`closes ${name}`)))

const resource = (steps: Array<string>, name: string) =>
  // Break it: Effect.tap(open(steps, name), () => Effect.addFinalizer(() => close(steps, name)))
  Effect.acquireRelease(open(steps, name), () => close(steps, name))

const work = Effect.fn("work")(function* <E>(steps: Array<string>, end: Effect.Effect<void, E>) {
  yield* resource(steps, "file")
  yield* resource(steps, "socket")
  yield* end
})

const program = Effect.gen(function* () {
  // A place in a pool is a resource like any other: who keeps it, stops all those behind.
  const pool = yield* Bulkhead.make({ name: "places", capacity: 1 })
  const good: Array<string> = []
  yield* Task.run("good", pool.use(work(good, Effect.void)))
  yield* Console.log(`success: ${good.join(", ")}`)

  const bad: Array<string> = []
  const failing = pool.use(work(bad, Effect.fail("disk full")))
  const error = yield* Task.run("bad", failing).pipe(Effect.flip)
  yield* Console.log(`${error}: ${bad.join(", ")}`)

  const stopped: Array<string> = []
  const task = yield* Task.start("stopped", pool.use(work(stopped, Effect.void)))
  yield* Effect.sleep("15 millis") // the socket is being opened
  yield* task.cancel(CancelReason.Requested("Ada")) // waits for the cleanup
  yield* Console.log(`cancelled: ${stopped.join(", ")}`)
  yield* Console.log(`places in use: ${(yield* pool.stats).inUse}`)
}).pipe(Effect.scoped)

await program.pipe(Effect.provide([VirtualClock.layer, Trace.layer()]), Effect.runPromise)

// Output:
// promise: opens file
// promise: opens socket
// promise: failed
// success: opens file, opens socket, closes socket, closes file
// disk full: opens file, opens socket, closes socket, closes file
// cancelled: opens file, opens socket, closes socket, closes file
// places in use: 0

// Output when broken:
// …
// cancelled: opens file, opens socket, closes file
// places in use: 0
