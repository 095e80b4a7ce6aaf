import { describe, expect, it } from "@effect/vitest"
import { CancelReason, Supervisor, Task } from "@weir/runtime"
import { Effect, Exit, Fiber, Schedule, Scope } from "effect"
import { TestClock } from "effect/testing"
import { causes, clean, fork } from "./support.ts"
import { identities, mistake, open, settle, states, Workers } from "./supervisor_support.ts"

const never = Supervisor.restart({ intensity: 0 })
const perSupervisor = { budget: "supervisor" } as const

describe("strategies", () => {
  it.effect("one-for-one restarts only the one that failed (OTP 1, one_for_one)", () =>
    clean(() =>
      Effect.gen(function* () {
        const workers = new Workers()
        const { made, close } = yield* open(Supervisor.make({
          name: "root",
          policy: Supervisor.restart({ intensity: 2 }),
          children: [workers.child("c1"), workers.child("c2")],
        }))
        const before = yield* identities(made)
        yield* workers.fail("c1")
        const after = yield* identities(made)
        expect(after["c2"]).toBe(before["c2"])
        expect(after["c1"]).toBeDefined()
        expect(after["c1"]).not.toBe(before["c1"])
        yield* workers.fail("c1")
        yield* workers.fail("c1")
        expect(causes(yield* Effect.exit(made.await))).toEqual(["fail SupervisorExhausted"])
        expect(workers.taken()).toEqual([
          ...["start c1", "start c2", "start c1", "start c1"],
          "stop c2: parent ended: root",
        ])
        yield* close
      })
    ))

  it.effect("a child that always fails to restart ends its siblings (OTP 2, escalation)", () =>
    clean(() =>
      Effect.gen(function* () {
        const workers = new Workers()
        const c1 = workers.worker("c1", (nth) => nth > 1 ? Effect.fail("no") : Effect.void)
        const outer = yield* fork(Effect.exit(Supervisor.run({
          name: "outer",
          policy: never,
          children: [{
            id: "inner",
            effect: Supervisor.run({
              name: "inner",
              children: [{ id: "c1", effect: c1, ready: "signal" }, workers.child("c2")],
            }),
          }, workers.child("beside")],
        })))
        yield* workers.fail("c1")
        const exit = yield* Fiber.join(outer)
        expect(causes(exit)).toEqual(["fail SupervisorExhausted"])
        expect(workers.taken()).toEqual([
          ...["start c1", "start c2", "start beside", "start c1", "start c1", "start c1"],
          ...["stop c2: parent ended: inner", "stop beside: parent ended: outer"],
        ])
        const error = Exit.isFailure(exit) && exit.cause.reasons[0]?._tag === "Fail"
          ? exit.cause.reasons[0].error
          : undefined
        expect(error?.message).toBe(
          'Supervisor "outer" gave up: child "inner" failed once within 5 s ' +
            '(Supervisor "inner" gave up: child "c1" failed 4 times within 5 s (no)). ' +
            "Mend what fails, or allow more restarts.",
        )
      })
    ))

  it.effect("one-for-all replaces all, the youngest stopped first (OTP 3, one_for_all)", () =>
    clean(() =>
      Effect.gen(function* () {
        const workers = new Workers()
        const { made, close } = yield* open(Supervisor.make({
          name: "root",
          strategy: "one-for-all",
          children: ["a", "b", "c"].map((id) => workers.child(id)),
        }))
        const before = yield* identities(made)
        workers.taken()
        yield* workers.fail("b")
        expect(workers.taken()).toEqual([
          ...["stop c: sibling failed: b", "stop a: sibling failed: b"],
          ...["start a", "start b", "start c"],
        ])
        const after = yield* identities(made)
        for (const id of ["a", "b", "c"]) expect(after[id]).not.toBe(before[id])
        yield* close
      })
    ))

  it.effect("rest-for-one replaces it and those after it (OTP 5, rest_for_one)", () =>
    clean(() =>
      Effect.gen(function* () {
        const workers = new Workers()
        const { made, close } = yield* open(Supervisor.make({
          name: "root",
          strategy: "rest-for-one",
          children: ["a", "b", "c"].map((id) => workers.child(id)),
        }))
        const before = yield* identities(made)
        workers.taken()
        yield* workers.fail("b")
        expect(workers.taken()).toEqual(["stop c: sibling failed: b", "start b", "start c"])
        const after = yield* identities(made)
        expect(after["a"]).toBe(before["a"])
        expect(after["c"]).not.toBe(before["c"])
        yield* close
      })
    ))
})

describe("restart types", () => {
  const ends = {
    normal: Effect.void,
    shutdown: Effect.interrupt,
    abnormal: Effect.fail("broken"),
    defect: Effect.die("bug"),
  }
  const restarted = (restart: Supervisor.RestartType, how: keyof typeof ends) =>
    Effect.gen(function* () {
      const workers = new Workers()
      const { made, close } = yield* open(Supervisor.make({
        name: "root",
        children: [workers.child("x", { restart })],
      }))
      yield* workers.end("x", ends[how])
      const left = yield* made.children
      yield* close
      return [workers.starts.get("x")! > 1, left.length] as const
    })

  it.effect.each(["normal", "shutdown", "abnormal", "defect"] as const)(
    "permanent: restarted after %s (OTP 8)",
    (how) =>
      clean(() => Effect.map(restarted("permanent", how), (is) => expect(is).toEqual([true, 1]))),
  )

  it.effect.each(
    [["normal", false], ["shutdown", false], ["abnormal", true], ["defect", true]] as const,
  )(
    "transient: after %s restarted: %s (OTP 9)",
    ([how, again]) =>
      clean(() => Effect.map(restarted("transient", how), (is) => expect(is).toEqual([again, 1]))),
  )

  it.effect.each(["normal", "shutdown", "abnormal", "defect"] as const)(
    "temporary: after %s forgotten (OTP 10)",
    (how) =>
      clean(() => Effect.map(restarted("temporary", how), (is) => expect(is).toEqual([false, 0]))),
  )

  it.effect("a child that somebody else cancels has ended normally", () =>
    clean((tree) =>
      Effect.gen(function* () {
        const workers = new Workers()
        const { made, close } = yield* open(Supervisor.make({
          name: "root",
          children: [workers.child("x", { restart: "transient" })],
        }))
        const [info] = yield* made.children
        expect(yield* tree.cancel(info!.taskId!, CancelReason.Requested("operator"))).toBe(true)
        yield* settle
        expect(workers.taken()).toEqual(["start x", "stop x: requested by operator"])
        expect(yield* states(made)).toEqual({ x: "stopped" })
        yield* close
      })
    ))

  it.effect("a transient supervisor that gave up is restarted, one that was cancelled is not", () =>
    clean((tree) =>
      Effect.gen(function* () {
        const workers = new Workers()
        const inner = (name: string): Supervisor.ChildSpec => ({
          id: name,
          restart: "transient",
          effect: Supervisor.run({ name, policy: never, children: [workers.child(`of ${name}`)] }),
        })
        const { made, close } = yield* open(
          Supervisor.make({ name: "root", children: [inner("s"), inner("t")] }),
        )
        yield* workers.fail("of s")
        expect(workers.starts.get("of s")).toBe(2)
        const task = (yield* tree.dump).find((it) => it.name === "t" && it.kind === "supervisor")
        yield* tree.cancel(task!.id, CancelReason.Requested("operator"))
        yield* settle
        expect(workers.starts.get("of t")).toBe(1)
        expect(yield* states(made)).toEqual({ s: "running", t: "stopped" })
        yield* close
      })
    ))
})

describe("significant children (OTP 12)", () => {
  const shutsDown = (autoShutdown: "any" | "all", restart: "transient" | "temporary") =>
    Effect.gen(function* () {
      const workers = new Workers()
      const run = yield* fork(Supervisor.run({
        name: "root",
        autoShutdown,
        children: [
          workers.child("a"),
          workers.child("x", { restart, significant: true }),
          workers.child("y", { restart, significant: true }),
        ],
      }))
      workers.taken()
      yield* workers.end("x", Effect.void)
      const afterOne = run.pollUnsafe()
      if (afterOne === undefined) yield* workers.end("y", Effect.void)
      yield* Fiber.join(run)
      return { afterOne: afterOne !== undefined, steps: workers.taken() }
    })

  it.effect.each(["transient", "temporary"] as const)(
    "any: the first %s one ends the supervisor, normally",
    (restart) =>
      clean(() =>
        Effect.map(shutsDown("any", restart), (seen) =>
          expect(seen).toEqual({
            afterOne: true,
            steps: ["stop y: parent ended: root", "stop a: parent ended: root"],
          }))
      ),
  )

  it.effect.each(["transient", "temporary"] as const)(
    "all: the last %s one ends the supervisor, normally",
    (restart) =>
      clean(() =>
        Effect.map(
          shutsDown("all", restart),
          (seen) =>
            expect(seen).toEqual({ afterOne: false, steps: ["stop a: parent ended: root"] }),
        )
      ),
  )

  it.effect("a transient one that fails is restarted instead", () =>
    clean(() =>
      Effect.gen(function* () {
        const workers = new Workers()
        const { made, close } = yield* open(Supervisor.make({
          name: "root",
          autoShutdown: "any",
          children: [workers.child("x", { restart: "transient", significant: true })],
        }))
        yield* workers.fail("x")
        expect(yield* states(made)).toEqual({ x: "running" })
        yield* close
      })
    ))

  it.effect("all: one that waits for its restart has not ended", () =>
    clean(() =>
      Effect.gen(function* () {
        const workers = new Workers()
        const { made, close } = yield* open(Supervisor.make({
          name: "root",
          autoShutdown: "all",
          policy: Supervisor.restart({ backoff: Schedule.spaced("1 second") }),
          children: ["x", "y"].map((id) =>
            workers.child(id, { restart: "transient", significant: true })
          ),
        }))
        yield* workers.fail("x")
        yield* workers.end("y", Effect.void)
        expect(yield* states(made)).toEqual({ x: "restarting", y: "stopped" })
        yield* TestClock.adjust("1 second")
        yield* workers.end("x", Effect.void)
        yield* made.await
        yield* close
      })
    ))

  it.effect("is refused for a permanent child, and without autoShutdown", () =>
    Effect.gen(function* () {
      const attempt = (autoShutdown: "any" | "never", restart: "permanent" | "transient") =>
        Effect.exit(Effect.scoped(Supervisor.make({
          name: "root",
          autoShutdown,
          children: [{ id: "x", effect: Effect.never, restart, significant: true }],
        })))
      expect(mistake(yield* attempt("any", "permanent"))).toContain("significant and permanent")
      expect(mistake(yield* attempt("never", "transient"))).toContain("Set autoShutdown")
    }))
})

describe("start", () => {
  it.effect("a child that fails to start leaves nothing running (OTP 13)", () =>
    clean(() =>
      Effect.gen(function* () {
        const workers = new Workers()
        const made = yield* Effect.flip(Effect.scoped(Supervisor.make({
          name: "root",
          children: [
            workers.child("a"),
            workers.child("b"),
            { id: "f", effect: workers.worker("f", () => Effect.fail("no disk")), ready: "signal" },
            workers.child("d"),
          ],
        })))
        expect(made._tag).toBe("StartFailed")
        expect(made.message).toBe('Child "f" of supervisor "root" did not start: no disk.')
        expect(workers.taken()).toEqual([
          ...["start a", "start b", "start f"],
          ...["stop b: parent ended: root", "stop a: parent ended: root"],
        ])
      })
    ))

  it.effect("a child that throws is a start that failed, and its id is free again (actor-ts 914)", () =>
    clean(() =>
      Effect.gen(function* () {
        const { made, close } = yield* open(Supervisor.make({ name: "root" }))
        const throwing = Effect.suspend((): Effect.Effect<void> => {
          throw new Error("bad constructor")
        })
        const spec = { id: "x", effect: throwing, ready: "signal" } as const
        const error = yield* Effect.flip(made.startChild(spec))
        expect(error.message).toBe('Child "x" of supervisor "root" did not start: bad constructor.')
        expect(yield* made.children).toEqual([])
        expect((yield* made.startChild({ id: "x", effect: Effect.never })).state).toBe("running")
        yield* close
      })
    ))

  it.effect("a factory that throws at a restart counts as a failure (Pekko 29)", () =>
    clean(() =>
      Effect.gen(function* () {
        let starts = 0
        const effect = Effect.suspend(() => {
          if (++starts > 1) throw new Error("thrown")
          return Effect.andThen(Effect.sleep("1 second"), Effect.fail("first"))
        })
        const { made, close } = yield* open(Supervisor.make({
          name: "root",
          children: [{ id: "x", effect }],
        }))
        yield* TestClock.adjust("1 second")
        const error = yield* Effect.flip(made.await)
        expect(error.message).toContain('child "x" failed 4 times within 5 s (thrown)')
        expect(starts).toBe(4)
        yield* close
      })
    ))

  it.effect("what a half-built incarnation has made is cleaned up before the next (Pekko 28)", () =>
    clean(() =>
      Effect.gen(function* () {
        const workers = new Workers()
        const effect = Effect.suspend(() => {
          const nth = (workers.starts.get("x") ?? 0) + 1
          workers.starts.set("x", nth)
          return Effect.gen(function* () {
            yield* Effect.acquireRelease(
              workers.add(`acquire ${nth}`),
              () => workers.add(`release ${nth}`),
            )
            yield* Task.start(`helper ${nth}`, workers.never(`helper ${nth}`))
            if (nth === 1) yield* Effect.die("half built")
            return yield* Effect.never
          })
        })
        const { close } = yield* open(Supervisor.make({
          name: "root",
          children: [{ id: "x", effect }],
        }))
        yield* settle
        expect(workers.taken()).toEqual([
          ...["acquire 1", "helper 1: parent ended: x", "release 1", "acquire 2"],
        ])
        yield* close
      })
    ))

  it.effect("a child that declines has a place, but no task (OTP 14)", () =>
    clean((tree) =>
      Effect.gen(function* () {
        const workers = new Workers()
        const { made, close } = yield* open(Supervisor.make({
          name: "root",
          children: [
            workers.child("a"),
            { id: "i", effect: Supervisor.ignore, ready: "signal" },
            { id: "t", effect: Supervisor.ignore, restart: "temporary" },
            workers.child("b"),
          ],
        }))
        expect(yield* states(made)).toEqual({ a: "running", i: "stopped", b: "running" })
        expect(yield* made.counts).toEqual({
          specs: 3,
          active: 2,
          restarting: 0,
          supervisors: 0,
          workers: 3,
        })
        expect((yield* tree.dump).map(({ name }) => name)).toEqual(["root", "a", "b"])
        yield* close
      })
    ))

  it.effect("a child that declines later is not started again either", () =>
    clean(() =>
      Effect.gen(function* () {
        const later = Effect.andThen(Effect.sleep("1 second"), Supervisor.ignore)
        const { made, close } = yield* open(Supervisor.make({
          name: "root",
          children: [{ id: "a", effect: later }, { id: "t", effect: later, restart: "temporary" }],
        }))
        expect(yield* states(made)).toEqual({ a: "running", t: "running" })
        yield* TestClock.adjust("1 second")
        expect(yield* states(made)).toEqual({ a: "stopped" })
        yield* close
      })
    ))

  it.effect("the next child starts only once the one before it is ready", () =>
    clean(() =>
      Effect.gen(function* () {
        const workers = new Workers()
        const slow = workers.worker("slow", () => Effect.sleep("2 seconds"))
        const scope = yield* Scope.make()
        const made = yield* fork(Effect.provideService(
          Supervisor.make({
            name: "root",
            children: [{ id: "slow", effect: slow, ready: "signal" }, workers.child("next")],
          }),
          Scope.Scope,
          scope,
        ))
        yield* TestClock.adjust("1999 millis")
        expect(workers.taken()).toEqual(["start slow"])
        expect(made.pollUnsafe()).toBeUndefined()
        yield* TestClock.adjust("1 millis")
        yield* Fiber.join(made)
        expect(workers.taken()).toEqual(["start next"])
        yield* Scope.close(scope, Exit.void)
      })
    ))

  it.effect("a child that ends before it is ready has not started, even when it ended well", () =>
    clean(() =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(Effect.scoped(Supervisor.make({
          name: "root",
          children: [{ id: "x", effect: Effect.sleep(0), ready: "signal" }],
        })))
        expect(error.message).toContain("it ended before it was ready")
      })
    ))

  it.effect("interrupted while it starts, it stops what it has started", () =>
    clean(() =>
      Effect.gen(function* () {
        const workers = new Workers()
        const made = yield* fork(Effect.scoped(Supervisor.make({
          name: "root",
          children: [
            workers.child("a"),
            { id: "slow", effect: workers.worker("slow", () => Effect.never), ready: "signal" },
          ],
        })))
        yield* settle
        yield* Fiber.interrupt(made)
        expect(workers.taken()).toEqual([
          ...["start a", "start slow"],
          ...["stop slow: parent ended: scope", "stop a: parent ended: scope"],
        ])
      })
    ))

  it.effect("two children of one id, and an id that is empty, are mistakes", () =>
    Effect.gen(function* () {
      const attempt = (...ids: ReadonlyArray<string>) =>
        Effect.exit(Effect.scoped(Supervisor.make({
          name: "root",
          children: ids.map((id) => ({ id, effect: Effect.never })),
        })))
      expect(mistake(yield* attempt("x", "x"))).toContain('two of its children are called "x"')
      expect(mistake(yield* attempt(""))).toContain("has no id")
      expect(mistake(yield* Effect.exit(Effect.scoped(Supervisor.make({ name: "" })))))
        .toContain("its name is empty")
    }))
})

describe("stop", () => {
  const slowly = (workers: Workers, id: string, time: "20 seconds" | "1 minute") =>
    Effect.onInterrupt(
      workers.add(`start ${id}`).pipe(Effect.andThen(Effect.never)),
      () =>
        workers.add(`stopping ${id}`).pipe(
          Effect.andThen(Effect.sleep(time)),
          Effect.andThen(workers.add(`stopped ${id}`)),
        ),
    )

  it.effect("is the reverse of the start, through the tree (OTP 20, order_of_children, tree)", () =>
    clean(() =>
      Effect.gen(function* () {
        const workers = new Workers()
        const inner = (name: string, ...ids: ReadonlyArray<string>): Supervisor.ChildSpec => ({
          id: name,
          effect: Supervisor.run({ name, children: ids.map((id) => workers.child(id)) }),
        })
        const { close } = yield* open(Supervisor.make({
          name: "root",
          children: [workers.child("a"), inner("s", "b", "c"), workers.child("d"), inner("t", "e")],
        }))
        expect(workers.taken().map((step) => step.slice(-1))).toEqual(["a", "b", "c", "d", "e"])
        yield* close
        expect(workers.taken().map((step) => step.slice(5, 6))).toEqual(["e", "d", "c", "b", "a"])
      })
    ))

  it.effect("a child that overruns its budget is abandoned, its siblings are not (OTP 15)", () =>
    clean((tree) =>
      Effect.gen(function* () {
        const workers = new Workers()
        const { close } = yield* open(Supervisor.make({
          name: "root",
          children: [
            workers.child("a"),
            { id: "slow", effect: slowly(workers, "slow", "20 seconds"), shutdown: "3 seconds" },
            workers.child("c"),
          ],
        }))
        workers.taken()
        const closing = yield* fork(close)
        yield* TestClock.adjust("2999 millis")
        expect(workers.taken()).toEqual(["stop c: parent ended: scope", "stopping slow"])
        yield* TestClock.adjust("1 millis")
        yield* Fiber.join(closing)
        expect(workers.taken()).toEqual(["stop a: parent ended: scope"])
        expect((yield* tree.dump).map(({ name, state }) => [name, state]))
          .toEqual([["slow", "abandoned"]])
        yield* TestClock.adjust("17 seconds")
        expect(workers.taken()).toEqual(["stopped slow"])
      })
    ))

  it.effect("brutal is for that child only, and waits for nothing (OTP 16)", () =>
    clean((tree) =>
      Effect.gen(function* () {
        const workers = new Workers()
        const { close } = yield* open(Supervisor.make({
          name: "root",
          children: [
            workers.child("a"),
            { id: "x", effect: slowly(workers, "x", "20 seconds"), shutdown: "brutal" },
            workers.child("c"),
          ],
        }))
        workers.taken()
        yield* close
        expect(workers.taken()).toEqual([
          ...["stop c: parent ended: scope", "stopping x", "stop a: parent ended: scope"],
        ])
        yield* TestClock.adjust(0)
        expect((yield* tree.dump).map(({ state }) => state)).toEqual(["abandoned"])
        yield* TestClock.adjust("20 seconds")
      })
    ))

  it.effect("infinity waits as long as it takes (OTP 17)", () =>
    clean(() =>
      Effect.gen(function* () {
        const workers = new Workers()
        const { close } = yield* open(Supervisor.make({
          name: "root",
          children: [{ id: "x", effect: slowly(workers, "x", "1 minute"), shutdown: "infinity" }],
        }))
        const closing = yield* fork(close)
        yield* TestClock.adjust("59 seconds")
        expect(closing.pollUnsafe()).toBeUndefined()
        yield* TestClock.adjust("1 second")
        yield* Fiber.join(closing)
        expect(workers.taken()).toEqual(["start x", "stopping x", "stopped x"])
      })
    ))

  it.effect("a nested supervisor is given the time of its children", () =>
    clean(() =>
      Effect.gen(function* () {
        const workers = new Workers()
        const { close } = yield* open(Supervisor.make({
          name: "root",
          children: [{
            id: "inner",
            effect: Supervisor.run({
              name: "inner",
              children: [
                { id: "x", effect: slowly(workers, "x", "20 seconds"), shutdown: "30 seconds" },
                { id: "y", effect: slowly(workers, "y", "20 seconds"), shutdown: "30 seconds" },
              ],
            }),
          }],
        }))
        workers.taken()
        const closing = yield* fork(close)
        yield* TestClock.adjust("40 seconds")
        yield* Fiber.join(closing)
        expect(workers.taken()).toEqual(["stopping y", "stopped y", "stopping x", "stopped x"])
      })
    ))

  it.effect("work that a child has detached does not hang it (OTP 21, child_unlink)", () =>
    clean((tree) =>
      Effect.gen(function* () {
        const elsewhere = yield* Scope.make()
        const detached = Task.start("detached", Effect.never, { detached: true })
        const { close } = yield* open(Supervisor.make({
          name: "root",
          children: [{
            id: "x",
            effect: Effect.andThen(
              Effect.provideService(detached, Scope.Scope, elsewhere),
              Effect.never,
            ),
          }],
        }))
        yield* close
        expect((yield* tree.dump).map(({ name }) => name)).toEqual(["detached"])
        yield* Scope.close(elsewhere, Exit.void)
      })
    ))

  it.effect("a child reads the reason of the supervisor's own cancel", () =>
    clean((tree) =>
      Effect.gen(function* () {
        const workers = new Workers()
        const run = yield* fork(
          Effect.exit(Supervisor.run({ name: "root", children: [workers.child("a")] })),
        )
        yield* tree.cancelAll(CancelReason.Shutdown)
        yield* Fiber.join(run)
        expect(workers.taken()).toEqual(["start a", "stop a: shutdown"])
      })
    ))

  it.effect("works while a child fails again and again (OTP-9549)", () =>
    clean(() =>
      Effect.gen(function* () {
        let starts = 0
        const { close } = yield* open(Supervisor.make({
          name: "root",
          policy: Supervisor.restart({ intensity: Infinity }),
          children: [{
            id: "x",
            effect: Effect.andThen(
              Effect.yieldNow,
              Effect.suspend(() => {
                starts++
                return Effect.fail("again")
              }),
            ),
          }],
        }))
        yield* settle
        expect(starts).toBeGreaterThan(3)
        yield* close
        const then = starts
        yield* settle
        expect(starts).toBe(then)
      })
    ))

  it.effect("works while starts fail again and again, without ever suspending", () =>
    clean(() =>
      Effect.gen(function* () {
        let starts = 0
        const workers = new Workers()
        const effect = Effect.suspend(() =>
          ++starts === 1 ? workers.worker("x") : Effect.fail("no")
        )
        const { close } = yield* open(Supervisor.make({
          name: "root",
          policy: Supervisor.restart({ intensity: Infinity }),
          children: [{ id: "x", effect, ready: "signal" }],
        }))
        yield* workers.fail("x")
        expect(starts).toBeGreaterThan(3)
        yield* close
      })
    ))
})

describe("the budget", () => {
  it.effect("is that of each child: five siblings that fail three times all live (actor-ts 917)", () =>
    clean(() =>
      Effect.gen(function* () {
        const workers = new Workers()
        const ids = ["a", "b", "c", "d", "e"]
        const { made, close } = yield* open(
          Supervisor.make({ name: "root", children: ids.map((id) => workers.child(id)) }),
        )
        for (let round = 0; round < 3; round++) for (const id of ids) yield* workers.fail(id)
        expect(Object.values(yield* states(made))).toEqual(ids.map(() => "running"))
        expect((yield* made.children).map(({ restarts }) => restarts)).toEqual([3, 3, 3, 3, 3])
        yield* close
      })
    ))

  it.effect("is shared where it is told to, and says so", () =>
    clean(() =>
      Effect.gen(function* () {
        const workers = new Workers()
        const { made, close } = yield* open(Supervisor.make({
          name: "root",
          ...perSupervisor,
          policy: Supervisor.restart({ intensity: 1 }),
          children: [workers.child("a"), workers.child("b")],
        }))
        yield* workers.fail("a")
        yield* workers.fail("b")
        expect((yield* Effect.flip(made.await)).message).toContain(
          'its children failed twice within 5 s, the last one was "b" (broken)',
        )
        yield* close
      })
    ))

  it.effect("of 0 stops at the first failure (Pekko 23)", () =>
    clean(() =>
      Effect.gen(function* () {
        const workers = new Workers()
        const { made, close } = yield* open(
          Supervisor.make({ name: "root", policy: never, children: [workers.child("a")] }),
        )
        yield* workers.end("a", Effect.void)
        expect((yield* Effect.flip(made.await)).message)
          .toContain('child "a" failed once within 5 s (it ended)')
        expect(workers.starts.get("a")).toBe(1)
        yield* close
      })
    ))

  it.effect("forgets failures that are older than the period (OTP 1)", () =>
    clean(() =>
      Effect.gen(function* () {
        const workers = new Workers()
        const { made, close } = yield* open(
          Supervisor.make({ name: "root", children: [workers.child("a")] }),
        )
        for (let i = 0; i < 20; i++) {
          yield* workers.fail("a")
          yield* TestClock.adjust("1700 millis")
        }
        expect(yield* states(made)).toEqual({ a: "running" })
        for (let i = 0; i < 4; i++) yield* workers.fail("a")
        expect(causes(yield* Effect.exit(made.await))).toEqual(["fail SupervisorExhausted"])
        yield* close
      })
    ))
})
