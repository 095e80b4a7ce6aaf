import { describe, expect, it } from "@effect/vitest"
import { CancelReason, Task } from "@weir/runtime"
import { Deferred, Effect, Fiber, Logger } from "effect"
import { TestClock } from "effect/testing"
import { causes, clean, fork, Trace } from "./support.ts"

type Open = Task.Group<string>

describe("Task.group", () => {
  it.effect("returns the body's value once every task has ended", () =>
    clean(() =>
      Effect.gen(function* () {
        const trace = new Trace()
        const fiber = yield* fork(Task.group((group) =>
          Effect.gen(function* () {
            yield* group.start("a", Effect.andThen(Effect.sleep("1 second"), trace.add("a")))
            yield* group.start("b", Effect.andThen(Effect.sleep("2 seconds"), trace.add("b")))
            return "body"
          })
        ))
        yield* TestClock.adjust("1999 millis")
        expect(fiber.pollUnsafe()).toBeUndefined()
        yield* TestClock.adjust("1 milli")
        expect(yield* Fiber.join(fiber)).toBe("body")
        expect(trace.steps).toEqual(["a", "b"])
      })
    ))

  it.effect("returns at once when nothing suspends", () =>
    clean(() =>
      Effect.gen(function* () {
        const value = yield* Task.group((group) =>
          Effect.gen(function* () {
            const a = yield* group.start("a", Effect.succeed(1))
            return yield* a.join
          })
        )
        expect(value).toBe(1)
      })
    ))

  it.effect("fails with the first failure, after it has stopped the others and the body", () =>
    clean(() =>
      Effect.gen(function* () {
        const trace = new Trace()
        const fiber = yield* fork(Effect.exit(Task.group((group: Open) =>
          Effect.gen(function* () {
            yield* group.start("slow", trace.never("slow"))
            yield* group.start("bad", Effect.andThen(Effect.sleep("1 second"), Effect.fail("no")))
            yield* trace.never("body")
          })
        )))
        yield* TestClock.adjust("1 second")
        expect(causes(yield* Fiber.join(fiber))).toEqual(["fail no"])
        expect(trace.steps).toEqual([
          "body: sibling failed: bad",
          "slow: sibling failed: bad",
        ])
      })
    ))

  it.effect("stops a body that is still starting when a task fails without suspending", () =>
    clean(() =>
      Effect.gen(function* () {
        const trace = new Trace()
        const exit = yield* Effect.exit(Task.group((group: Open) =>
          Effect.andThen(group.start("bad", Effect.fail("no")), trace.never("body"))
        ))
        expect(causes(exit)).toEqual(["fail no"])
        expect(trace.steps).toEqual(["body: sibling failed: bad"])
      })
    ))

  it.effect("stops its tasks when the body fails, and keeps what they die of", () =>
    clean(() =>
      Effect.gen(function* () {
        const trace = new Trace()
        const exit = yield* Effect.exit(Task.group((group: Open) =>
          Effect.gen(function* () {
            yield* group.start("a", Effect.ensuring(trace.never("a"), Effect.die("leak")))
            yield* group.start("b", trace.never("b"))
            return yield* Effect.fail("body failed")
          }), { name: "checkout" }))
        expect(causes(exit)).toEqual(["fail body failed", "die leak"])
        expect(trace.steps).toEqual(["b: parent ended: checkout", "a: parent ended: checkout"])
      })
    ))

  it.effect("keeps both causes when body and task fail at once", () =>
    clean(() =>
      Effect.gen(function* () {
        const go = yield* Deferred.make<void>()
        const fiber = yield* fork(Effect.exit(Task.group((group: Open) =>
          Effect.gen(function* () {
            const both = Effect.uninterruptible(Deferred.await(go))
            yield* group.start("a", Effect.uninterruptible(Effect.andThen(both, Effect.fail("a"))))
            yield* Effect.uninterruptible(Effect.andThen(both, Effect.fail("body")))
          })
        )))
        yield* Deferred.succeed(go, undefined)
        expect(causes(yield* Fiber.join(fiber)).toSorted()).toEqual(["fail a", "fail body"])
      })
    ))

  it.effect("does not count a task that was cancelled by itself as failed", () =>
    clean((tree) =>
      Effect.gen(function* () {
        const value = yield* Task.group((group) =>
          Effect.gen(function* () {
            const a = yield* group.start("a", Effect.never)
            const b = yield* group.start("b", Effect.as(Effect.yieldNow, "b"))
            yield* tree.cancel(a.id, CancelReason.Requested("operator"))
            return yield* b.join
          })
        )
        expect(value).toBe("b")
      })
    ))

  it.effect("counts a task whose own deadline passed as failed", () =>
    clean(() =>
      Effect.gen(function* () {
        const trace = new Trace()
        const fiber = yield* fork(Effect.flip(Task.group((group) =>
          Effect.gen(function* () {
            yield* group.start("late", Effect.never, { deadline: "1 second" })
            yield* group.start("other", trace.never("other"))
          })
        )))
        yield* TestClock.adjust("1 second")
        expect(yield* Fiber.join(fiber)).toMatchObject({ _tag: "DeadlineExceeded", name: "late" })
        expect(trace.steps).toEqual(["other: sibling failed: late"])
      })
    ))

  it.effect("does not swallow a Cancelled error that a task failed with", () =>
    clean(() =>
      Effect.gen(function* () {
        const failure = new Task.Cancelled({ task: "elsewhere", why: "client abort" })
        const error = yield* Effect.flip(Task.group((group: Task.Group<Task.Cancelled>) =>
          Effect.andThen(group.start("a", Effect.fail(failure)), Effect.never)
        ))
        expect(error).toBe(failure)
      })
    ))

  it.effect("stops its tasks, with the same reason, when the body itself is cancelled", () =>
    clean((tree) =>
      Effect.gen(function* () {
        const trace = new Trace()
        const fiber = yield* fork(Effect.flip(Task.group((group) =>
          Effect.andThen(group.start("a", trace.never("a")), Effect.never), { name: "job" })))
        const body = (yield* tree.dump).find((info) =>
          info.name === "job"
        )!
        yield* tree.cancel(body.id, CancelReason.Requested("operator"))
        expect(yield* Fiber.join(fiber)).toMatchObject({ _tag: "Cancelled", task: "job" })
        expect(trace.steps).toEqual(["a: requested by operator"])
      })
    ))

  it.effect("interrupted, cancels and awaits body and tasks, and keeps their defects", () =>
    clean(() =>
      Effect.gen(function* () {
        const trace = new Trace()
        const fiber = yield* fork(Task.group((group) =>
          Effect.andThen(
            group.start("a", Effect.ensuring(trace.never("a"), Effect.die("leak"))),
            trace.never("body"),
          )
        ))
        yield* Fiber.interrupt(fiber)
        expect(causes(yield* Fiber.await(fiber))).toEqual(["interrupt", "die leak"])
        expect(trace.steps).toEqual(["body: parent ended: group", "a: parent ended: group"])
      })
    ))

  it.effect("keeps the first reason for tasks in cleanup when another one's cleanup dies", () =>
    clean(() =>
      Effect.gen(function* () {
        const trace = new Trace()
        const fiber = yield* fork(Task.run(
          "x",
          Task.group((group) =>
            Effect.gen(function* () {
              yield* group.start("a", Effect.ensuring(Effect.never, Effect.die("leak")))
              yield* group.start(
                "b",
                Effect.onInterrupt(
                  Effect.never,
                  () => Effect.andThen(Effect.sleep("1 second"), trace.reason("b")),
                ),
              )
            })
          ),
          { deadline: "1 second" },
        ))
        yield* TestClock.adjust("2 seconds")
        expect(causes(yield* Fiber.await(fiber))).toEqual(["fail DeadlineExceeded", "die leak"])
        expect(trace.steps).toEqual(["b: deadline exceeded"])
      })
    ))

  it.effect("does not run what is started when it is ending, or has ended", () =>
    clean(() =>
      Effect.gen(function* () {
        const trace = new Trace()
        let leaked: Open | undefined
        const exit = yield* Effect.exit(Task.group((group: Open) => {
          leaked = group
          return Effect.ensuring(
            Effect.fail("no"),
            Effect.andThen(Effect.void, Effect.void),
          ).pipe(Effect.tapError(() =>
            group.start(
              "last",
              Effect.onInterrupt(
                Effect.never,
                () => group.start("from a finalizer", trace.add("ran")),
              ),
            )
          ))
        }))
        expect(causes(exit)).toEqual(["fail no"])
        const late = yield* leaked!.start("late", trace.add("ran"))
        expect(yield* Effect.flip(late.join)).toMatchObject({ _tag: "Cancelled" })
        expect(trace.steps).toEqual([])
      })
    ))

  it.effect("works in the finalizer of a cancelled task", () =>
    clean(() =>
      Effect.scoped(Effect.gen(function* () {
        const trace = new Trace()
        const task = yield* Task.start(
          "x",
          Effect.onInterrupt(Effect.never, () =>
            Effect.orDie(Task.group((group) =>
              Effect.gen(function* () {
                yield* group.start("a", Effect.andThen(Effect.yieldNow, trace.add("closed a")))
                yield* group.start("b", Effect.andThen(Effect.yieldNow, trace.add("closed b")))
              })
            ))),
        )
        yield* task.cancel()
        expect(trace.steps).toEqual(["closed a", "closed b"])
      }))
    ))

  it.effect("nests: an inner failure ends the inner group, and the outer one if not handled", () =>
    clean(() =>
      Effect.gen(function* () {
        const trace = new Trace()
        const inner = Task.group((group: Open) =>
          Effect.gen(function* () {
            yield* group.start("inner slow", trace.never("inner slow"))
            yield* group.start("inner bad", Effect.fail("inner"))
          })
        )
        const exit = yield* Effect.exit(Task.group((group: Task.Group<string | Task.Failure>) =>
          Effect.gen(function* () {
            yield* group.start("handled", Effect.ignore(inner))
            yield* group.start("outer slow", trace.never("outer slow"))
            yield* trace.add("still open")
            yield* group.start("unhandled", inner)
            yield* Effect.never
          })
        ))
        expect(causes(exit)).toEqual(["fail inner"])
        expect(trace.steps).toEqual([
          "inner slow: sibling failed: inner bad",
          "still open",
          "inner slow: sibling failed: inner bad",
          "outer slow: sibling failed: unhandled",
        ])
      })
    ))

  it.effect("goes on without a task whose cleanup hangs, and says so", () =>
    clean(() =>
      Effect.gen(function* () {
        const until = yield* Deferred.make<void>()
        const fiber = yield* fork(Effect.exit(Task.group((group: Open) =>
          Effect.gen(function* () {
            yield* group.start(
              "stuck",
              Effect.onInterrupt(Effect.never, () => Deferred.await(until)),
              { cleanup: "1 second" },
            )
            return yield* Effect.fail("no")
          })
        )))
        yield* TestClock.adjust("1 second")
        expect(causes(yield* Fiber.join(fiber))).toEqual(["fail no", "fail CleanupAbandoned"])
        yield* Deferred.succeed(until, undefined)
      }).pipe(Effect.provide(Logger.layer([])))
    ))

  it.effect("loses no task when it is interrupted by one that is starting", () =>
    clean(() =>
      Effect.gen(function* () {
        const trace = new Trace()
        const fiber = yield* fork(Effect.withFiber((self) =>
          Task.group((group) =>
            Effect.gen(function* () {
              yield* Effect.yieldNow
              yield* group.start(
                "a",
                Effect.andThen(Effect.sync(() => self.interruptUnsafe()), trace.never("a")),
              )
              yield* trace.never("body")
            })
          )
        ))
        expect(causes(yield* Fiber.await(fiber))).toEqual(["interrupt"])
        expect(trace.steps.toSorted()).toEqual(["a: parent ended: group"])
      })
    ))
})
