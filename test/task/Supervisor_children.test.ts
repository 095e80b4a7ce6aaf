import { describe, expect, it } from "@effect/vitest"
import { Deadline, Saturation, Supervisor, Task } from "@weir/runtime"
import { Context, Duration, Effect, Fiber, Layer, Option, Tracer } from "effect"
import { TestClock } from "effect/testing"
import { clean, fork } from "./support.ts"
import { mistake, open, settle, states, Workers } from "./supervisor_support.ts"

const refusal = (
  effect: Effect.Effect<unknown, { readonly _tag: string; readonly reason?: string }>,
) => Effect.map(Effect.flip(effect), (error) => error.reason ?? error._tag)

describe("children that come later", () => {
  it.effect("are listed last, stopped first, and live by the same rules", () =>
    clean(() =>
      Effect.gen(function* () {
        const workers = new Workers()
        const { made, close } = yield* open(
          Supervisor.make({ name: "root", children: [workers.child("a")] }),
        )
        const info = yield* made.startChild(workers.child("b"))
        expect(info).toMatchObject({ id: "b", state: "running", type: "worker", restarts: 0 })
        yield* workers.fail("b")
        expect((yield* made.children).map(({ id, restarts }) => [id, restarts]))
          .toEqual([["a", 0], ["b", 1]])
        workers.taken()
        yield* close
        expect(workers.taken().map((step) => step.slice(0, 6))).toEqual(["stop b", "stop a"])
      })
    ))

  it.effect("are terminated, restarted and deleted as in OTP", () =>
    clean(() =>
      Effect.gen(function* () {
        const workers = new Workers()
        const { made, close } = yield* open(
          Supervisor.make({ name: "root", children: [workers.child("a")] }),
        )
        expect(yield* refusal(made.startChild(workers.child("a")))).toBe("AlreadyStarted")
        expect(yield* refusal(made.restartChild("a"))).toBe("Running")
        expect(yield* refusal(made.deleteChild("a"))).toBe("Running")
        expect(yield* refusal(made.terminateChild("x"))).toBe("NotFound")
        yield* made.terminateChild("a")
        expect(workers.taken()).toEqual([
          "start a",
          "stop a: requested by Supervisor.terminateChild",
        ])
        expect(yield* refusal(made.startChild(workers.child("a")))).toBe("AlreadyPresent")
        expect((yield* made.restartChild("a")).state).toBe("running")
        yield* made.terminateChild("a")
        yield* made.deleteChild("a")
        expect(yield* made.children).toEqual([])
        expect((yield* Effect.flip(made.deleteChild("a"))).message)
          .toBe('Supervisor "root" refused: it has no child "a". Look at its list of children.')
        yield* close
      })
    ))

  it.effect("are refused by a supervisor that has ended or is ending", () =>
    clean(() =>
      Effect.gen(function* () {
        const workers = new Workers()
        const stuck = workers.worker("stuck", () => Effect.never)
        const { made, close } = yield* open(
          Supervisor.make({ name: "root", children: [workers.child("a")] }),
        )
        const running = yield* fork(
          refusal(made.startChild({ id: "stuck", effect: stuck, ready: "signal" })),
        )
        const queued = yield* fork(refusal(made.startChild(workers.child("queued"))))
        yield* settle
        yield* close
        expect([yield* Fiber.join(running), yield* Fiber.join(queued)]).toEqual(["Ended", "Ended"])
        expect(yield* refusal(made.terminateChild("a"))).toBe("Ended")
        expect(workers.starts.has("queued")).toBe(false)
      })
    ))

  it.effect("a call that is interrupted before its turn does nothing, a later one is completed", () =>
    clean(() =>
      Effect.gen(function* () {
        const workers = new Workers()
        const slow = workers.worker("slow", () => Effect.sleep("1 second"))
        const { made, close } = yield* open(Supervisor.make({ name: "root" }))
        const first = yield* fork(
          made.startChild({ id: "slow", effect: slow, ready: "signal" }),
        )
        const second = yield* fork(made.startChild(workers.child("second")))
        yield* settle
        yield* Fiber.interrupt(first)
        yield* Fiber.interrupt(second)
        yield* TestClock.adjust("1 second")
        yield* settle
        expect(yield* states(made)).toEqual({ slow: "running" })
        yield* close
      })
    ))

  it.effect("belong to the supervisor, not to the task that asked for them", () =>
    clean((tree) =>
      Effect.gen(function* () {
        class Name extends Context.Service<Name, string>()("test/Name") {}
        const workers = new Workers()
        const { made, close } = yield* open(Supervisor.make({ name: "root" }))
        const look = Effect.gen(function* () {
          yield* workers.add(`hello ${yield* Name}`)
          yield* workers.add(`deadline ${Duration.isFinite(yield* Deadline.remaining)}`)
          const span = yield* Effect.option(Effect.currentParentSpan)
          yield* workers.add(`span ${Option.isSome(span)}`)
          return yield* Effect.never
        })
        yield* Task.run(
          "request",
          made.startChild({ id: "a", effect: look }).pipe(
            Effect.provideService(Name, "caller"),
            Effect.withParentSpan(Tracer.externalSpan({ spanId: "1", traceId: "2" })),
          ),
          { deadline: "1 second" },
        )
        yield* TestClock.adjust("1 minute")
        expect(workers.taken()).toEqual(["hello caller", "deadline false", "span false"])
        const dump = yield* tree.dump
        expect(dump.map(({ kind, name, parentId }) => [kind, name, parentId])).toEqual([
          ["supervisor", "root", undefined],
          ["child", "a", dump[0]!.id],
        ])
        yield* close
      })
    ))

  it.effect("a child that asks its supervisor before it is ready is told so", () =>
    clean(() =>
      Effect.gen(function* () {
        const { made, close } = yield* open(Supervisor.make({ name: "root" }))
        const effect = Effect.suspend(() => made.startChild({ id: "b", effect: Effect.never }))
        const error = yield* Effect.flip(made.startChild({ id: "a", effect, ready: "signal" }))
        expect(error.message).toContain("Say Supervisor.ready first")
        yield* close
      })
    ))

  it.effect("a child may end itself by terminating itself", () =>
    clean(() =>
      Effect.gen(function* () {
        const workers = new Workers()
        const { made, close } = yield* open(Supervisor.make({ name: "root" }))
        const effect = Effect.onInterrupt(
          Effect.suspend(() => made.terminateChild("a")),
          () => workers.reason("a"),
        )
        yield* made.startChild({ id: "a", effect })
        yield* settle
        expect(workers.taken()).toEqual(["a: requested by Supervisor.terminateChild"])
        expect(yield* states(made)).toEqual({ a: "stopped" })
        yield* close
      })
    ))

  it.effect("that is a mistake by its options does not end the supervisor", () =>
    clean(() =>
      Effect.gen(function* () {
        const { made, close } = yield* open(Supervisor.make({ name: "root" }))
        const exit = yield* Effect.exit(
          made.startChild({ id: "x", effect: Effect.never, significant: true }),
        )
        expect(mistake(exit)).toContain("significant and permanent")
        expect(yield* made.children).toEqual([])
        yield* close
      })
    ))
})

describe("layer", () => {
  it.effect("runs the children as long as it is there", () =>
    clean(() =>
      Effect.gen(function* () {
        const workers = new Workers()
        yield* Effect.gen(function* () {
          const supervisor = yield* Supervisor.Supervisor
          expect(yield* states(supervisor)).toEqual({ a: "running" })
        }).pipe(
          Effect.provide(Supervisor.layer({ name: "root", children: [workers.child("a")] })),
        )
        expect(workers.taken().map((step) => step.slice(0, 7))).toEqual(["start a", "stop a:"])
      })
    ))

  it.effect("needs what its children need", () =>
    clean(() =>
      Effect.gen(function* () {
        class Name extends Context.Service<Name, string>()("test/Name") {}
        const seen: Array<string> = []
        const effect = Effect.andThen(
          Effect.flatMap(Name, (name) => Effect.sync(() => void seen.push(name))),
          Effect.never,
        )
        const scoped = Effect.andThen(Effect.scope, Effect.never)
        const layer: Layer.Layer<Supervisor.Supervisor, Supervisor.StartFailed, Name> = Supervisor
          .layer({
            name: "root",
            children: [{ id: "a", effect }, { id: "b", effect: scoped }],
          })
        yield* Effect.scoped(Layer.build(Layer.provide(layer, Layer.succeed(Name, "weir"))))
        expect(seen).toEqual(["weir"])
      })
    ))
})

describe("dynamic", () => {
  it.effect("children are alike, forgotten when they end, and restarted when they fail", () =>
    clean(() =>
      Effect.gen(function* () {
        const workers = new Workers()
        const { made, close } = yield* open(Supervisor.dynamic({
          name: "pool",
          restart: "transient",
          child: (id: string) => workers.worker(id),
        }))
        expect((yield* made.startChild("a")).id).toBe("1")
        expect((yield* made.startChild("b")).id).toBe("2")
        expect((yield* made.startChild("c", { id: "mine" })).id).toBe("mine")
        expect(yield* refusal(made.startChild("d", { id: "mine" }))).toBe("AlreadyStarted")
        yield* workers.fail("a")
        expect(workers.starts.get("a")).toBe(2)
        yield* workers.end("b", Effect.void)
        yield* made.terminateChild("mine")
        expect(yield* states(made)).toEqual({ "1": "running" })
        yield* close
      })
    ))

  it.effect("all are stopped at once, and awaited together", () =>
    clean(() =>
      Effect.gen(function* () {
        const workers = new Workers()
        const { made, close } = yield* open(Supervisor.dynamic({
          name: "pool",
          child: (id: string) =>
            Effect.onInterrupt(
              Effect.never,
              () => Effect.andThen(Effect.sleep("2 seconds"), workers.add(`stopped ${id}`)),
            ),
        }))
        for (const id of ["a", "b", "c"]) yield* made.startChild(id)
        const closing = yield* fork(close)
        yield* TestClock.adjust("2 seconds")
        yield* Fiber.join(closing)
        expect(workers.taken()).toEqual(["stopped c", "stopped b", "stopped a"])
      })
    ))

  it.effect("refuses more than maxChildren", () =>
    clean(() =>
      Effect.gen(function* () {
        const { made, close } = yield* open(
          Supervisor.dynamic({ name: "pool", maxChildren: 2, child: () => Effect.never }),
        )
        yield* made.startChild(undefined)
        yield* made.startChild(undefined)
        expect(yield* refusal(made.startChild(undefined))).toBe("Full")
        const saturation = yield* Saturation.Saturation
        expect(saturation.snapshot(0)).toEqual([expect.objectContaining({
          ...{ kind: "supervisor", name: "pool", capacity: 2, inUse: 2, waiting: 0 },
          refused: expect.objectContaining({ QueueFull: 1 }),
        })])
        yield* made.terminateChild("1")
        yield* made.startChild(undefined)
        yield* close
        expect(mistake(
          yield* Effect.exit(Effect.scoped(
            Supervisor.dynamic({ name: "pool", maxChildren: 0, child: () => Effect.never }),
          )),
        )).toContain('The supervisor "pool" needs a whole number of places above zero, not 0')
        expect(saturation.snapshot(0)).toEqual([])
      }).pipe(Effect.provideService(Saturation.Saturation, Saturation.makeUnsafe()))
    ))

  it.effect("a start that fails leaves nothing, one that gives up ends all", () =>
    clean(() =>
      Effect.gen(function* () {
        const workers = new Workers()
        const { made, close } = yield* open(Supervisor.dynamic({
          name: "pool",
          ready: "signal",
          policy: Supervisor.restart({ intensity: 1 }),
          child: (id: string) =>
            workers.worker(id, () => id === "bad" ? Effect.fail("bad") : Effect.void),
        }))
        expect(yield* refusal(made.startChild("bad"))).toBe("StartFailed")
        expect(yield* made.children).toEqual([])
        yield* made.startChild("a")
        yield* made.startChild("b")
        yield* workers.fail("a")
        yield* workers.fail("a")
        expect((yield* Effect.flip(made.await)).message)
          .toContain('Supervisor "pool" gave up: child "2" failed twice within 5 s')
        expect(workers.taken().at(-1)).toBe("stop b: parent ended: pool")
        yield* close
      })
    ))

  it.effect("starting and ending one costs the same however many there are (OTP, 10 000)", () =>
    clean(() =>
      Effect.gen(function* () {
        // Not by time: what each child costs must not depend on how many others there are.
        const cost = (n: number) =>
          Effect.gen(function* () {
            const { made, close } = yield* open(
              Supervisor.dynamic({ name: "pool", child: () => Effect.never }),
            )
            const walked = walks()
            for (let i = 0; i < n; i++) yield* made.startChild(undefined)
            expect((yield* made.counts).active).toBe(n)
            for (let i = 1; i <= n; i++) yield* made.terminateChild(String(i))
            expect((yield* made.counts).specs).toBe(0)
            yield* close
            return walked() / n
          })
        const small = yield* cost(100)
        const large = yield* cost(10_000)
        expect(large).toBeLessThanOrEqual(small + 1)
      })
    ))
})

/** Counts the children that are walked through: a walk through all of them per call would show. */
const walks = (): () => number => {
  const walk = Map.prototype.values
  let walked = 0
  Map.prototype.values = function (this: Map<unknown, unknown>) {
    walked += this.size
    return walk.call(this)
  } as typeof walk
  return () => {
    Map.prototype.values = walk
    return walked
  }
}
