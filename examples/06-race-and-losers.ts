/**
 * Goal: the losers of a race are stopped and have cleaned up before the winner's value is returned.
 * Run: deno run examples/06-race-and-losers.ts
 */
import { Task, Trace, VirtualClock } from "@weir/runtime"
import { Clock, Console, Effect } from "effect"

// With promises: the race is over, and the loser runs on. Here it writes what nobody wants.
const mirrorPromise = async (name: string, ms: number) => {
  await new Promise((resolve) => setTimeout(resolve, ms))
  console.log(`promise: ${name} writes its file`)
  return name
}
const [near, far] = [mirrorPromise("near", 5), mirrorPromise("far", 30)]
console.log(`promise: the winner is ${await Promise.race([near, far])}`)
await far

// With tasks: a branch that loses is cancelled, gives back what it holds, and only then we go on.
const log = Effect.fn("log")(function* (text: string) {
  yield* Console.log(`${String(yield* Clock.currentTimeMillis).padStart(3)} ms: ${text}`)
})
const mirror = Effect.fn("mirror")(function* (name: string, millis: number) {
  yield* Effect.acquireRelease(
    log(`${name} connects`),
    () =>
      Task.cleanup(
        "disconnect",
        Effect.andThen(Effect.sleep("10 millis"), log(`${name} has left`)),
      ),
  )
  yield* Effect.sleep(millis)
  yield* log(`${name} writes its file`)
  return name
})

const program = Effect.gen(function* () {
  const winner = yield* Task.race({
    near: mirror("near", 20),
    // Break it: far: Effect.uninterruptible(mirror("far", 100)),
    far: mirror("far", 100),
    broken: Effect.fail("no route"), // a branch that fails does not end the race
  })
  yield* log(`the winner is ${winner}`)
})

await program.pipe(Effect.provide([VirtualClock.layer, Trace.layer()]), Effect.runPromise)

// Output:
// promise: near writes its file
// promise: the winner is near
// promise: far writes its file
//   0 ms: near connects
//   0 ms: far connects
//  20 ms: near writes its file
//  30 ms: near has left
//  40 ms: far has left
//  40 ms: the winner is near

// Output when broken:
// promise: near writes its file
// promise: the winner is near
// promise: far writes its file
//   0 ms: near connects
//   0 ms: far connects
//  20 ms: near writes its file
//  30 ms: near has left
// 100 ms: far writes its file
// 110 ms: far has left
// 110 ms: the winner is near
