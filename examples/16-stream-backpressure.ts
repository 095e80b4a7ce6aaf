/**
 * Goal: a slow reader slows its source down. Memory stays bounded, and a reader that leaves ends it.
 * Run: deno run examples/16-stream-backpressure.ts
 */
import { CancelReason, Task, Trace, VirtualClock } from "@weir/runtime"
import { Console, Effect, Stream } from "effect"

// With events: the source pushes, the reader keeps what it has not yet handled. Nobody says stop.
const waiting: Array<number> = []
for (let chunk = 1; chunk <= 1000; chunk++) waiting.push(chunk)
console.log(`pushed: ${waiting.length} chunks wait for the reader`)

// A stream is pulled: the source makes a chunk when there is room for it.
const download = Effect.fn("download")(function* (chunks: number) {
  let made = 0
  let read = 0
  let most = 0
  const file = Stream.unwrap(Effect.gen(function* () {
    yield* Effect.acquireRelease(
      Console.log("  the file is opened"),
      () => Task.cleanup("close the file", Console.log("  the file is closed")),
    )
    return Stream.range(1, chunks).pipe(
      Stream.rechunk(1), // one number is a chunk
      Stream.mapEffect((chunk) =>
        Effect.as(
          Effect.sync(() => {
            made++
            most = Math.max(most, made - read)
          }),
          chunk,
        )
      ),
    )
  }))
  yield* Effect.addFinalizer(() =>
    Console.log(`  ${made} made, ${read} read, at most ${most} in between`)
  )
  yield* file.pipe(
    // Break it: Stream.buffer({ capacity: "unbounded" }),
    Stream.buffer({ capacity: 4 }), // 4 wait, up to 4 are being read, 1 is being made
    Stream.runForEach(() => Effect.andThen(Effect.sleep("10 millis"), Effect.sync(() => read++))),
  )
})

const program = Effect.gen(function* () {
  yield* Console.log("pulled, to the end:")
  yield* Task.run("download", download(100))

  yield* Console.log("pulled, the reader leaves after 55 ms:")
  const task = yield* Task.start("download", download(100))
  yield* Effect.sleep("55 millis")
  yield* task.cancel(CancelReason.ClientAbort)
  yield* Effect.sleep("1 second")
  yield* Console.log("  and nothing more is made")
}).pipe(Effect.scoped)

await program.pipe(Effect.provide([VirtualClock.layer, Trace.layer()]), Effect.runPromise)

// Output:
// pushed: 1000 chunks wait for the reader
// pulled, to the end:
//   the file is opened
//   the file is closed
//   100 made, 100 read, at most 9 in between
// pulled, the reader leaves after 55 ms:
//   the file is opened
//   the file is closed
//   13 made, 5 read, at most 9 in between
//   and nothing more is made

// Output when broken:
// …
//   100 made, 100 read, at most 100 in between
// …
//   100 made, 5 read, at most 100 in between
//   and nothing more is made
