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
})
