import { describe, expect, it } from "@effect/vitest"
import { Admission, Bulkhead, type Refused, Saturation } from "@weir/runtime"
import { Cause, Context, Effect, Exit, Layer } from "effect"

const fresh = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.suspend(() =>
    Effect.provideService(effect, Saturation.Saturation, Saturation.makeUnsafe())
  )

const door = (options?: Admission.Options) =>
  Effect.map(
    Layer.build(Admission.layer(options)),
    (context) => Context.get(context, Admission.Admission),
  )

const request = { now: 0, deadline: Infinity, service: undefined }

const full: Refused.Refusal = {
  _tag: "Refusal",
  reason: "QueueFull",
  kind: "quota",
  resource: "ann",
  inUse: 1,
  capacity: 1,
  waiting: 0,
  predictedWaitMs: 0,
  retryAfterMs: 1000,
}

const refusal = (entered: unknown) => {
  expect(entered).toMatchObject({ _tag: "Refusal" })
  return entered as Refused.Refusal
}

describe("Admission", () => {
  it.effect("takes a ticket in every bounded thing, or in none", () =>
    fresh(Effect.gen(function* () {
      const admission = yield* door()
      const wide = yield* Bulkhead.make({ name: "wide", capacity: 9 })
      const narrow = yield* Bulkhead.make({ name: "narrow", capacity: 1, queueCapacity: 0 })
      const uses = [wide.bounded, narrow.bounded]
      const tickets = admission.enter(uses, request)
      expect(tickets).toHaveLength(2)
      expect(wide.bounded.stats(0).waiting).toBe(1)
      const no = refusal(admission.enter(uses, request))
      expect([no.resource, no.reason]).toEqual(["narrow", "QueueFull"])
      expect([wide.bounded.stats(0).waiting, admission.inUse]).toEqual([1, 1])
      admission.leave(tickets as ReadonlyArray<never>)
      expect(uses.map((thing) => thing.stats(0).waiting)).toEqual([0, 0])
      expect(admission.inUse).toBe(0)
    })))

  it.effect("refuses above maxConcurrent, and everything once it is closed; both can be seen", () =>
    fresh(Effect.gen(function* () {
      const admission = yield* door({ maxConcurrent: 1 })
      expect(admission.enter([], request)).toEqual([])
      expect(refusal(admission.enter([], request)).reason).toBe("QueueFull")
      admission.leave([])
      admission.close()
      expect(refusal(admission.enter([], request)).reason).toBe("ShuttingDown")
      const { snapshot } = yield* Saturation.Saturation
      expect(snapshot(0)).toMatchObject([{
        kind: "admission",
        name: "admission",
        capacity: 1,
        inUse: 0,
        highWater: 1,
        refused: { QueueFull: 1, ShuttingDown: 1 },
      }])
    })))

  it.effect("does not start with a bound that is none", () =>
    fresh(Effect.gen(function* () {
      for (const maxConcurrent of [NaN, 0, -1, 1.5, Infinity]) {
        const exit = yield* Effect.exit(door({ maxConcurrent }))
        expect(Exit.isFailure(exit) && Cause.pretty(exit.cause)).toContain(
          `The admission "admission" needs a whole number of places above zero, not ${maxConcurrent}.`,
        )
      }
    })))

  const guarded = (options: Admission.Options, heapUsed: () => number) =>
    Effect.map(
      Layer.build(Admission.layerGuarded({
        memory: { heapLimit: 100, every: 1, read: () => ({ heapUsed: heapUsed(), rss: 1 }) },
        ...options,
      })),
      (context) => Context.get(context, Admission.Admission),
    )

  it.effect("asks the cheapest question first, and none that comes after a refusal", () =>
    fresh(Effect.gen(function* () {
      const asked: Array<string> = []
      let heap = 96
      let over = true
      const admission = yield* guarded({
        maxConcurrent: 1,
        quota: {
          check: (caller, now) => {
            asked.push(`quota of ${caller?.id} at ${now}`)
            return over ? { ...full, reason: "RateLimited" } : undefined
          },
        },
      }, () => (asked.push("memory"), heap))
      const pool = yield* Bulkhead.make({ name: "pool", capacity: 1, queueCapacity: 0 })
      let now = 1000
      const enter = () => {
        asked.length = 0
        const caller = { id: "ann", tenant: "acme", criticality: undefined }
        const entered = admission.enter([pool.bounded], { ...request, now: now += 10, caller })
        return "_tag" in entered ? (entered as Refused.Refusal).reason : "in"
      }
      expect([enter(), asked]).toEqual(["Overloaded", ["memory"]])
      heap = 1
      expect([enter(), asked]).toEqual(["RateLimited", ["memory", `quota of ann at ${now}`]])
      over = false
      expect(enter()).toBe("in")
      expect([enter(), asked]).toEqual(["QueueFull", ["memory"]])
      admission.close()
      expect([enter(), asked]).toEqual(["ShuttingDown", []])
    })))

  it.effect("in the dark counts what each layer would refuse, and refuses nothing", () =>
    fresh(Effect.gen(function* () {
      const dark = "dark" as const
      const admission = yield* guarded({
        maxConcurrent: 1,
        modes: { memory: dark, concurrency: dark, quota: dark, tickets: dark },
        quota: { check: () => ({ ...full, reason: "RateLimited" }) },
      }, () => 99)
      const pool = yield* Bulkhead.make({ name: "pool", capacity: 1, expected: "100 millis" })
      const late = { ...request, now: 1000, deadline: 1150 }
      const entered = [1, 2, 3].map(() => admission.enter([pool.bounded], late))
      expect(entered.map((it) => (it as ReadonlyArray<unknown>).length)).toEqual([1, 1, 1])
      const registry = yield* Saturation.Saturation
      const spared = (name: string) => {
        const { refused, wouldRefuse } = registry.get(name)!.stats(1000)
        expect(Object.values(refused).every((n) => n === 0)).toBe(true)
        return Object.entries(wouldRefuse ?? {}).filter(([, n]) => n > 0)
      }
      expect(spared("memory")).toEqual([["Overloaded", 3]])
      expect(spared("admission")).toEqual([["QueueFull", 2], ["RateLimited", 3]])
      expect(spared("pool")).toEqual([["Infeasible", 2]])
      for (const tickets of entered) admission.leave(tickets as never)
      expect(admission.inUse).toBe(0)
    })))

  it.effect("gives back to a quota what capacity refuses, and nothing else", () =>
    fresh(Effect.gen(function* () {
      const said: Array<string> = []
      let over = false
      const admission = yield* door({
        quota: {
          check: (_caller, _now, dark) => {
            said.push(dark === true ? "check dark" : "check")
            return over ? { ...full, reason: "RateLimited" } : undefined
          },
          refund: () => said.push("refund"),
        },
      })
      const pool = yield* Bulkhead.make({ name: "pool", capacity: 1, queueCapacity: 0 })
      const enter = () => {
        said.length = 0
        const entered = admission.enter([pool.bounded], request)
        return [...said, "_tag" in entered ? (entered as Refused.Refusal).reason : "in"]
      }
      expect(enter()).toEqual(["check", "in"])
      expect(enter()).toEqual(["check", "refund", "QueueFull"])
      over = true
      expect(enter()).toEqual(["check", "RateLimited"])
      admission.update({ modes: { quota: "dark" } })
      expect(enter()).toEqual(["check dark", "QueueFull"])
      over = false
      expect(enter()).toEqual(["check dark", "refund", "QueueFull"])
      admission.update({ modes: { quota: "off" } })
      expect(enter()).toEqual(["QueueFull"])
    })))

  it.effect("refuses in the dark what a bound refuses: nothing is unbounded", () =>
    fresh(Effect.gen(function* () {
      const admission = yield* door({ modes: { tickets: "dark" } })
      const pool = yield* Bulkhead.make({ name: "pool", capacity: 1, queueCapacity: 0 })
      const entered = [1, 2].map(() => admission.enter([pool.bounded], request))
      expect(entered.map((it) => (it as ReadonlyArray<unknown>).length)).toEqual([1, 0])
      expect(pool.bounded.stats(0)).toMatchObject({ waiting: 1, refused: { QueueFull: 1 } })
    })))

  it.effect("does not ask layers that are off", () =>
    fresh(Effect.gen(function* () {
      const off = "off" as const
      const admission = yield* guarded({
        maxConcurrent: 1,
        modes: { memory: off, loopLag: off, concurrency: off, quota: off, tickets: off },
        quota: { check: () => full },
      }, () => 99)
      const pool = yield* Bulkhead.make({ name: "pool", capacity: 1, queueCapacity: 0 })
      const entered = [1, 2, 3].map(() =>
        admission.enter([pool.bounded], { ...request, now: 1000 })
      )
      expect(entered).toEqual([[], [], []])
      expect([admission.inUse, pool.bounded.stats(0).waiting]).toEqual([3, 0])
    })))

  it.effect("changes its limits while work goes on, and nobody inside has to go", () =>
    fresh(Effect.gen(function* () {
      const context = yield* Layer.build(Admission.layer({ maxConcurrent: 3 }))
      const admission = Context.get(context, Admission.Admission)
      for (let i = 0; i < 3; i++) admission.enter([], request)
      yield* Effect.provideContext(Admission.update({ maxConcurrent: 1 }), context)
      expect(refusal(admission.enter([], request))).toMatchObject({ inUse: 3, capacity: 1 })
      yield* Effect.provideContext(Admission.update({ modes: { concurrency: "dark" } }), context)
      expect(admission.enter([], request)).toEqual([])
      expect(yield* Effect.provideContext(Admission.limits, context)).toEqual({
        maxConcurrent: 1,
        modes: { memory: "on", loopLag: "on", concurrency: "dark", quota: "on", tickets: "on" },
      })
    })))

  it.effect("changes nothing for a limit that makes no sense, and says so", () =>
    fresh(Effect.gen(function* () {
      const context = yield* Layer.build(Admission.layer())
      const wrong: ReadonlyArray<readonly [unknown, string]> = [
        [{ maxConcurrent: 0 }, "needs a whole number of places above zero, not 0."],
        [{ modes: { memory: "maybe" } }, 'The mode of the layer memory is "maybe"'],
        [{ modes: { loop: "on" } }, 'There is no layer "loop" of admission.'],
      ]
      for (const [limits, sentence] of wrong) {
        const exit = yield* Effect.exit(
          Effect.provideContext(Admission.update(limits as Admission.Limits), context),
        )
        expect(Exit.isFailure(exit) && Cause.pretty(exit.cause)).toContain(sentence)
      }
      const { maxConcurrent, modes } = yield* Effect.provideContext(Admission.limits, context)
      expect([maxConcurrent, modes.memory]).toEqual([4096, "on"])
    })))
})
