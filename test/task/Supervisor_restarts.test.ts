import { describe, expect, it } from "@effect/vitest"
import { Metrics, Supervisor, Task } from "@weir/runtime"
import { Cause, Effect, Schedule } from "effect"
import { TestClock } from "effect/testing"
import { Fatal } from "../../src/task/fatal.ts"
import { text } from "../../src/telemetry/prometheus.ts"
import { armed, clean } from "./support.ts"
import { logged, open, states, Workers } from "./supervisor_support.ts"

const doubling = Supervisor.restart({
  intensity: 10,
  backoff: Schedule.exponential("1 second"),
})

describe("the back-off", () => {
  it.effect("shows in list and counts, exactly, while it lasts (OTP 22)", () =>
    clean(() =>
      Effect.gen(function* () {
        const workers = new Workers()
        const { made, close } = yield* open(Supervisor.make({
          name: "root",
          policy: doubling,
          children: [workers.child("a"), workers.child("b"), {
            id: "s",
            effect: Supervisor.run({ name: "s" }),
          }],
        }))
        const counts = (active: number, restarting: number) => ({
          specs: 3,
          active,
          restarting,
          supervisors: 1,
          workers: 2,
        })
        expect(yield* made.counts).toEqual(counts(3, 0))
        yield* workers.fail("a")
        expect(yield* made.counts).toEqual(counts(2, 1))
        yield* workers.fail("b")
        expect(yield* made.counts).toEqual(counts(1, 2))
        expect(yield* states(made)).toEqual({ a: "restarting", b: "restarting", s: "running" })
        yield* TestClock.adjust("999 millis")
        expect(yield* made.counts).toEqual(counts(1, 2))
        yield* TestClock.adjust("1 millis")
        expect(yield* made.counts).toEqual(counts(3, 0))
        yield* close
        expect(yield* made.counts).toEqual(counts(0, 0))
      })
    ))

  it.effect("grows with each failure, and begins anew after quiet (Pekko 25)", () =>
    clean(() =>
      Effect.gen(function* () {
        const workers = new Workers()
        const { made, close } = yield* open(
          Supervisor.make({ name: "root", policy: doubling, children: [workers.child("a")] }),
        )
        const waits = (ms: number) =>
          Effect.gen(function* () {
            yield* workers.fail("a")
            yield* TestClock.adjust(ms - 1)
            const before = (yield* states(made))["a"]
            yield* TestClock.adjust(1)
            return [before, (yield* states(made))["a"]]
          })
        const then = ["restarting", "running"]
        expect(yield* waits(1000)).toEqual(then)
        expect(yield* waits(2000)).toEqual(then)
        expect(yield* waits(4000)).toEqual(then)
        yield* TestClock.adjust("5 seconds")
        expect(yield* waits(1000)).toEqual(then)
        yield* close
      })
    ))

  it.effect("can be cut short by a stop, which leaves no timer", () =>
    clean(() =>
      Effect.gen(function* () {
        const workers = new Workers()
        const { close } = yield* open(
          Supervisor.make({ name: "root", policy: doubling, children: [workers.child("a")] }),
        )
        yield* workers.fail("a")
        expect(yield* armed).toBe(1)
        yield* close
        expect(yield* armed).toBe(0)
      })
    ))

  it.effect.each(["one-for-one", "one-for-all", "rest-for-one"] as const)(
    "%s: can be taken back by terminating the child, which leaves no timer",
    (strategy) =>
      clean(() =>
        Effect.gen(function* () {
          const workers = new Workers()
          const { made, close } = yield* open(Supervisor.make({
            name: "root",
            strategy,
            policy: doubling,
            children: [workers.child("a"), workers.child("z")],
          }))
          yield* workers.fail("z")
          expect((yield* Effect.flip(made.restartChild("z"))).message).toContain("about to be")
          expect(yield* Effect.flip(made.deleteChild("z"))).toMatchObject({ reason: "Restarting" })
          yield* made.terminateChild("z")
          if (strategy === "one-for-all") yield* made.terminateChild("a")
          expect(yield* armed).toBe(0)
          yield* TestClock.adjust("1 minute")
          expect((yield* states(made))["z"]).toBe("stopped")
          expect(workers.starts.get("z")).toBe(1)
          yield* close
        })
      ),
  )

  it.effect("stops the siblings of a group at once, and starts them together after it", () =>
    clean(() =>
      Effect.gen(function* () {
        const workers = new Workers()
        const { made, close } = yield* open(Supervisor.make({
          name: "root",
          strategy: "rest-for-one",
          policy: doubling,
          children: ["a", "b", "c"].map((id) => workers.child(id)),
        }))
        workers.taken()
        yield* workers.fail("b")
        expect(workers.taken()).toEqual(["stop c: sibling failed: b"])
        expect(yield* states(made)).toEqual({ a: "running", b: "restarting", c: "restarting" })
        // Another failure before them joins the wait; its own is as long, and began later.
        yield* TestClock.adjust("400 millis")
        yield* workers.fail("a")
        yield* TestClock.adjust("999 millis")
        expect(workers.taken()).toEqual([])
        yield* TestClock.adjust("1 millis")
        expect(workers.taken()).toEqual(["start a", "start b", "start c"])
        yield* close
      })
    ))

  it.effect("a group goes on without the one that was terminated meanwhile", () =>
    clean(() =>
      Effect.gen(function* () {
        const workers = new Workers()
        const { made, close } = yield* open(Supervisor.make({
          name: "root",
          strategy: "one-for-all",
          policy: doubling,
          children: ["a", "b"].map((id) => workers.child(id)),
        }))
        yield* workers.fail("a")
        yield* made.terminateChild("a")
        yield* TestClock.adjust("1 second")
        expect(yield* states(made)).toEqual({ a: "stopped", b: "running" })
        yield* close
      })
    ))

  it.effect("a schedule that refuses a cause makes it fatal (Pekko 30)", () =>
    clean(() =>
      Effect.gen(function* () {
        const workers = new Workers()
        const backoff = Schedule.forever.pipe(
          Schedule.while(({ input }: { readonly input: Cause.Cause<unknown> }) =>
            Effect.succeed(!Cause.hasDies(input))
          ),
        ) as Schedule.Schedule<unknown, Cause.Cause<unknown>>
        const { made, close } = yield* open(Supervisor.make({
          name: "root",
          policy: Supervisor.restart({ backoff }),
          children: [workers.child("a")],
        }))
        yield* workers.fail("a")
        yield* workers.end("a", Effect.die(new Error("out of memory")))
        expect((yield* Effect.flip(made.await)).message).toContain("(out of memory)")
        expect(workers.starts.get("a")).toBe(2)
        yield* close
      })
    ))
})

describe("the log", () => {
  it.effect("tells every restart once, with child, cause, attempt and wait", () => {
    const { layer, lines } = logged()
    return clean(() =>
      Effect.gen(function* () {
        const workers = new Workers()
        const { close } = yield* open(Supervisor.make({
          name: "root",
          strategy: "one-for-all",
          policy: doubling,
          children: [workers.child("a"), {
            id: "b",
            effect: workers.worker("b", (nth) => nth === 2 ? Effect.fail("not yet") : Effect.void),
            ready: "signal",
          }],
        }))
        yield* workers.fail("a")
        yield* TestClock.adjust("1 second")
        yield* TestClock.adjust("1 second")
        yield* workers.end("b", Effect.void)
        yield* TestClock.adjust("2 seconds")
        yield* close
        expect(lines).toEqual([
          {
            level: "Warn",
            message: 'Child "a" of supervisor "root" failed. ' +
              "Restart 1 follows in 1000 ms, together with 1 other.",
            cause: "broken",
            annotations: { supervisor: "root", child: "a", attempt: 1, delayMs: 1000 },
          },
          {
            level: "Warn",
            message: 'Child "b" of supervisor "root" did not start. ' +
              "Restart 1 follows in 1000 ms, together with 1 other.",
            cause: "not yet",
            annotations: { supervisor: "root", child: "b", attempt: 1, delayMs: 1000 },
          },
          {
            level: "Warn",
            message: 'Child "b" of supervisor "root" ended. ' +
              "Restart 2 follows in 2000 ms, together with 1 other.",
            cause: "",
            annotations: { supervisor: "root", child: "b", attempt: 2, delayMs: 2000 },
          },
        ])
      }).pipe(Effect.provide(layer))
    )
  })

  it.effect("tells the failure of a temporary child, and of a cleanup", () => {
    const { layer, lines } = logged()
    return clean(() =>
      Effect.gen(function* () {
        const workers = new Workers()
        const { close } = yield* open(Supervisor.make({
          name: "root",
          children: [
            workers.child("t", { restart: "temporary" }),
            { id: "c", effect: Effect.onInterrupt(Effect.never, () => Effect.die("no cleanup")) },
          ],
        }))
        yield* workers.fail("t")
        yield* close
        expect(lines.map(({ level, message }) => `${level} ${message}`)).toEqual([
          'Warn Child "t" of supervisor "root" failed. It is temporary: no restart follows.',
          'Warn Child "c" of supervisor "root" failed while it was being stopped.',
        ])
      }).pipe(Effect.provide(layer))
    )
  })
})

describe("a supervisor that gives up", () => {
  const broken = { id: "a", effect: Effect.fail("broken") }
  const once = Supervisor.restart({ intensity: 0 })

  it.effect("is an error in the log, once, and the end of the program when it stands alone", () => {
    const { layer, lines } = logged()
    const fatal: Array<Error> = []
    return clean(() =>
      Effect.gen(function* () {
        const { made, close } = yield* open(
          Supervisor.make({ name: "root", policy: once, children: [broken] }),
        )
        const error = yield* Effect.flip(made.await)
        expect(fatal).toEqual([error])
        expect(lines).toEqual([{
          level: "Error",
          message: error.message,
          cause: "broken",
          annotations: { supervisor: "root", child: "a" },
        }])
        expect(yield* states(made)).toEqual({ a: "stopped" })
        yield* close
      }).pipe(
        Effect.provide(layer),
        Effect.provideService(Fatal, (error) => void fatal.push(error)),
      )
    )
  })

  it.effect("is the affair of its caller, its task or its supervisor when it has one", () => {
    const { layer, lines } = logged()
    const fatal: Array<Error> = []
    const options = { name: "inner", policy: once, children: [broken] } as const
    return clean(() =>
      Effect.gen(function* () {
        yield* Effect.flip(Supervisor.run(options))
        yield* Task.run(
          "owner",
          Effect.scoped(Effect.flatMap(Supervisor.make(options), (it) => Effect.flip(it.await))),
        )
        expect(lines.map(({ level }) => level)).toEqual(["Error", "Error"])
        const { made, close } = yield* open(Supervisor.make({
          name: "outer",
          children: [{ id: "inner", effect: Supervisor.run(options), restart: "temporary" }],
        }))
        expect(yield* states(made)).toEqual({})
        yield* close
        expect(lines.map(({ level }) => level)).toEqual(["Error", "Error", "Warn"])
        // A child that makes one and does not look at it.
        const careless = Effect.andThen(Supervisor.make(options), Effect.never)
        yield* Effect.scoped(
          Supervisor.make({ name: "above", children: [{ id: "careless", effect: careless }] }),
        )
        expect(lines.map(({ level }) => level)).toEqual(["Error", "Error", "Warn", "Error"])
        expect(fatal).toEqual([])
      }).pipe(
        Effect.provide(layer),
        Effect.provideService(Fatal, (error) => void fatal.push(error)),
      )
    )
  })
})

describe("metrics", () => {
  it.effect("count restarts by child, those of children that came later together", () =>
    clean(() =>
      Effect.gen(function* () {
        const metrics = Metrics.makeUnsafe()
        const workers = new Workers()
        yield* Effect.gen(function* () {
          const { made, close } = yield* open(
            Supervisor.make({ name: "root", children: [workers.child("a"), workers.child("b")] }),
          )
          yield* made.startChild(workers.child("later 1"))
          yield* made.startChild(workers.child("later 2"))
          for (const id of ["a", "a", "later 1", "later 2"]) yield* workers.fail(id)
          yield* close
        }).pipe(Effect.provideService(Metrics.Metrics, metrics))
        const page = text(metrics.read(0))
        const line = (child: string, n: number) =>
          `weir_supervisor_restarts_total{supervisor="root",child="${child}"} ${n}\n`
        expect(page).toContain(line("a", 2))
        expect(page).toContain(line("dynamic", 2))
        expect(page.match(/weir_supervisor_restarts_total\{/g)?.length).toBe(2)
      })
    ))

  it("fold what is beyond their bound", () => {
    const metrics = Metrics.makeUnsafe()
    for (let i = 0; i < 1010; i++) metrics.supervisorRestart("root", `child ${i}`)
    const page = text(metrics.read(0))
    expect(page).toContain('weir_supervisor_restarts_total{supervisor="other",child="other"} 10\n')
  })
})
