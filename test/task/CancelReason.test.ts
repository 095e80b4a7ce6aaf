import { describe, expect, it } from "@effect/vitest"
import { CancelReason, Deadline, Task, type TaskTree } from "@weir/runtime"
import { Effect, Fiber, type Scope } from "effect"
import { TestClock } from "effect/testing"
import { CurrentScope } from "../../src/task/scope.ts"
import { clean, fork, Trace } from "./support.ts"

/** Starts the work as a task, lets it run until it waits, and cancels it by `operator: stop`. */
const cancelled = (
  work: Effect.Effect<unknown, unknown, Scope.Scope>,
): Effect.Effect<void, unknown> =>
  Effect.scoped(Effect.gen(function* () {
    const task = yield* Task.start("top", work)
    yield* task.cancel(CancelReason.Requested("operator", "stop"))
  }))

describe("the reason of a cancel", () => {
  const places: Record<
    string,
    (trace: Trace) => Effect.Effect<unknown, unknown, Scope.Scope>
  > = {
    "the task": (trace) => trace.never("here"),
    "a child task": (trace) => Task.run("child", trace.never("here")),
    "a grandchild task": (trace) => Task.run("child", Task.run("grandchild", trace.never("here"))),
    "a task it started": (trace) =>
      Effect.andThen(Task.start("started", trace.never("here")), Effect.never),
    "a fiber it forked": (trace) =>
      Effect.andThen(
        Effect.forkChild(trace.never("here"), { startImmediately: true }),
        Effect.never,
      ),
    "a branch of Effect.race": (trace) => Effect.race(trace.never("here"), Effect.never),
    "a sibling in Effect.all": (trace) =>
      Effect.all([trace.never("here"), Effect.never], { concurrency: "unbounded" }),
    "a finalizer of Effect.scoped": (trace) =>
      Effect.scoped(Effect.andThen(
        Effect.addFinalizer(() => trace.reason("here")),
        Effect.never,
      )),
    "the task's own scope": (trace) =>
      Effect.andThen(Effect.addFinalizer(() => trace.reason("here")), Effect.never),
    "a deadline region": (trace) => Deadline.within("1 hour")(trace.never("here")),
    "a member of a group": (trace) =>
      Task.group((group) => Effect.asVoid(group.start("member", trace.never("here")))),
    "the body of a group": (trace) => Task.group(() => trace.never("here")),
    "a branch of Task.race": (trace) => Task.race({ a: trace.never("here"), b: Effect.never }),
    "the release of a pooled resource": (trace) =>
      Effect.acquireUseRelease(
        Effect.void,
        () =>
          Effect.withFiber((fiber) => {
            const bounded = {
              kind: "pool",
              name: "p",
              stats: () => {
                throw new Error("unused")
              },
              predict: () => 0,
              reserve: () => {
                throw new Error("unused")
              },
            }
            return Effect.provideService(
              Effect.never,
              CurrentScope,
              fiber.getRef(CurrentScope).withHold(bounded),
            )
          }),
        () => trace.reason("here"),
      ),
  }

  for (const [place, work] of Object.entries(places)) {
    it.effect(`is readable in ${place}`, () =>
      clean(() =>
        Effect.gen(function* () {
          const trace = new Trace()
          yield* cancelled(work(trace))
          expect(trace.steps).toEqual(["here: requested by operator: stop"])
        })
      ))
  }

  it.effect("is none when nobody cancelled", () =>
    clean(() =>
      Effect.gen(function* () {
        const trace = new Trace()
        yield* trace.reason("outside")
        yield* Task.run("x", trace.reason("inside"))
        expect(trace.steps).toEqual(["outside: none", "inside: none"])
      })
    ))

  it.effect("is none under plain Effect.all when a sibling fails, which Weir cannot know", () =>
    clean(() =>
      Effect.gen(function* () {
        const trace = new Trace()
        yield* Effect.flip(Task.run(
          "x",
          Effect.all([trace.never("sibling"), Effect.fail("no")], { concurrency: "unbounded" }),
        ))
        expect(trace.steps).toEqual(["sibling: none"])
      })
    ))

  it.effect("is the first one, however many follow", () =>
    clean(() =>
      Effect.scoped(Effect.gen(function* () {
        const trace = new Trace()
        const task = yield* Task.start(
          "x",
          Effect.onInterrupt(
            Effect.never,
            () => Effect.andThen(Effect.sleep("1 second"), trace.reason("x")),
          ),
          { deadline: "500 millis" },
        )
        yield* fork(task.cancel(CancelReason.ClientAbort))
        yield* fork(task.cancel(CancelReason.Shutdown))
        yield* TestClock.adjust("1 second")
        expect(trace.steps).toEqual(["x: client abort"])
        expect(yield* Effect.flip(task.join)).toMatchObject({ why: "client abort" })
      }))
    ))

  it.effect("is ParentEnded when the owner just ends, and the owner's own when it has one", () =>
    clean(() =>
      Effect.gen(function* () {
        const trace = new Trace()
        const parent = (end: Effect.Effect<void>) =>
          Task.run(
            "parent",
            Effect.andThen(Task.start("child", trace.never("child")), end),
            { deadline: "1 second" },
          )
        yield* parent(Effect.void)
        const late = yield* fork(Effect.flip(parent(Effect.never)))
        yield* TestClock.adjust("1 second")
        expect(yield* Fiber.join(late)).toMatchObject({ _tag: "DeadlineExceeded" })
        expect(trace.steps).toEqual(["child: parent ended: parent", "child: deadline exceeded"])
      })
    ))

  it.effect("of a sibling does not leak into a task that goes on", () =>
    clean(() =>
      Effect.scoped(Effect.gen(function* () {
        const trace = new Trace()
        const first = yield* Task.start("first", trace.never("first"))
        yield* Task.start("second", trace.never("second"))
        yield* first.cancel(CancelReason.Requested("me"))
        yield* trace.reason("parent")
        expect(trace.steps).toEqual(["first: requested by me", "parent: none"])
      }))
    ))

  it("reads well", () => {
    const all = [
      CancelReason.ClientAbort,
      CancelReason.DeadlineExceeded(5),
      CancelReason.ParentEnded("checkout"),
      CancelReason.SiblingFailed("pay"),
      CancelReason.Shutdown,
      CancelReason.LeaseLost,
      CancelReason.Requested("operator"),
      CancelReason.Requested("operator", "too slow"),
    ]
    expect(all.map(CancelReason.format)).toEqual([
      "client abort",
      "deadline exceeded",
      "parent ended: checkout",
      "sibling failed: pay",
      "shutdown",
      "lease lost",
      "requested by operator",
      "requested by operator: too slow",
    ])
  })

  it.effect("a task cancelled by its listener before it starts never runs", () =>
    clean((tree: TaskTree.TaskTree) =>
      Effect.gen(function* () {
        const trace = new Trace()
        const stop = tree.unsafe.listen((event) => {
          if (event._tag === "Started") {
            tree.unsafe.find(event.taskId)?.cancel(CancelReason.Requested("listener"))
          }
        })
        expect(yield* Effect.flip(Task.run("x", trace.add("ran"))))
          .toMatchObject({ _tag: "Cancelled", why: "requested by listener" })
        stop()
        expect(trace.steps).toEqual([])
      })
    ))
})
