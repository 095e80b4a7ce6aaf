import { describe, expect, it } from "@effect/vitest"
import { Bulkhead, CancelReason, Deadline, Task, Trace } from "@weir/runtime"
import { Effect, Logger } from "effect"
import { eventsOf } from "./support.ts"

const linesOf = async <A, E>(program: Effect.Effect<A, E>) => Trace.lines(await eventsOf(program))

describe("the timeline", () => {
  it("shows a cancel from the top down, and cleanup from the bottom up", async () => {
    const leaf = Effect.gen(function* () {
      yield* Effect.addFinalizer(() => Task.cleanup("close", Effect.sleep("10 millis")))
      yield* Effect.never
    })
    const program = Effect.gen(function* () {
      const task = yield* Task.start(
        "top",
        Effect.gen(function* () {
          yield* Effect.addFinalizer(() => Task.cleanup("release", Effect.void))
          yield* Task.run("leaf", leaf)
        }),
        { kind: "request" },
      )
      yield* Effect.sleep("20 millis")
      yield* task.cancel(CancelReason.ClientAbort)
    }).pipe(Effect.scoped)
    expect(await linesOf(program)).toEqual([
      "     0 ms  ┌ top (request)",
      "     0 ms  │ ┌ leaf",
      "    20 ms  ├ top is cancelled: client abort",
      "    20 ms  │ ├ leaf is cancelled: client abort",
      "    20 ms  │ ├ leaf cleans up: close",
      "    30 ms  │ ├ leaf has cleaned up: close, 10 ms",
      "    30 ms  │ └ leaf cancelled after 30 ms",
      "    30 ms  ├ top cleans up: release",
      "    30 ms  └ top cancelled after 30 ms",
    ])
  })

  it("shows what a task waits for, and for how long", async () => {
    const program = Effect.gen(function* () {
      const pool = yield* Bulkhead.make({ name: "database", capacity: 1 })
      const query = pool.use(Effect.sleep("15 millis"))
      yield* Effect.all([Task.run("a", query), Task.run("b", query)], { concurrency: "unbounded" })
    }).pipe(Effect.scoped)
    expect(await linesOf(program)).toEqual([
      "     0 ms  ┌ a",
      "     0 ms  ┌ b",
      "     0 ms  ├ b waits for database",
      "    15 ms  └ a completed after 15 ms",
      "    15 ms  ├ b goes on after 15 ms",
      "    30 ms  └ b completed after 30 ms",
    ])
  })

  it("shows progress, a failed cleanup, a failure and a passed deadline", async () => {
    const program = Effect.gen(function* () {
      yield* Task.progress({ done: 1, total: 3, note: "reading" })
      yield* Task.progress({ done: 2 })
      yield* Task.run("broken", Effect.fail("disk full")).pipe(Effect.ignore)
      yield* Effect.addFinalizer(() => Task.cleanup("unlock", Effect.die("no key")))
      yield* Effect.never
    })
    const task = Task.run("work", program).pipe(Deadline.within("5 millis"))
    expect(await linesOf(Effect.ignoreCause(task))).toEqual([
      "     0 ms  ┌ work",
      "     0 ms  ├ work has done 1 of 3: reading",
      "     0 ms  ├ work has done 2",
      "     0 ms  │ ┌ broken",
      "     0 ms  │ └ broken failed after 0 ms",
      "     5 ms  ├ work is cancelled: deadline exceeded",
      "     5 ms  ├ work cleans up: unlock",
      "     5 ms  ├ work could not clean up: unlock",
      "     5 ms  └ work cancelled after 5 ms",
    ])
  })

  it("shows a task that is left behind, with the step that hangs", async () => {
    const program = Effect.gen(function* () {
      const task = yield* Task.start(
        "stuck",
        Effect.gen(function* () {
          yield* Effect.addFinalizer(() => Task.cleanup("wait for the disk", Effect.sleep(5000)))
          yield* Effect.never
        }),
        { cleanup: "1 second" },
      )
      yield* task.cancel(CancelReason.Shutdown).pipe(Effect.ignore)
      yield* Effect.sleep("5 seconds")
    }).pipe(Effect.scoped, Effect.provide(Logger.layer([])))
    expect(await linesOf(program)).toEqual([
      "     0 ms  ┌ stuck",
      "     0 ms  ├ stuck is cancelled: shutdown",
      "     0 ms  ├ stuck cleans up: wait for the disk",
      "  1000 ms  ├ stuck is left behind: still cleaning up after 1000 ms",
      "  5000 ms  ├ stuck has cleaned up: wait for the disk, 5000 ms",
      "  5000 ms  └ stuck cancelled after 5000 ms",
    ])
  })

  it("begins in the middle, when that is where one looks first", async () => {
    const all = await eventsOf(Task.run("a", Task.run("b", Effect.sleep("10 millis"))))
    expect(Trace.lines(all.slice(2))).toEqual([
      "     0 ms  └ b completed after 0 ms",
      "     0 ms  └ a completed after 0 ms",
    ])
  })
})
