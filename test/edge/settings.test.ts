import { describe, expect, it } from "@effect/vitest"
import { Bulkhead, Health, ResourcePool, RespondAsync } from "@weir/runtime"
import { Cause, Effect, Layer } from "effect"

const parsecs = "5 parsecs" as "5 seconds"
const form = 'is "5 parsecs", which is no duration. Write it as "500 millis", "2 seconds" or ' +
  '"1 minute", or as a number of milliseconds.'

/** The one sentence that a start prints for it. */
const mistake = (start: Effect.Effect<unknown, never, never>) =>
  Effect.map(Effect.exit(start), (exit) => {
    const error = exit._tag === "Failure" ? Cause.squash(exit.cause) : undefined
    expect(error).toMatchObject({ _tag: "Mistake" })
    return (error as Error).message
  })

const building = <A>(layer: Layer.Layer<A>) => mistake(Effect.scoped(Layer.build(layer)))

describe("an option that is no duration fails the start with one sentence", () => {
  it.effect("of a bulkhead", () =>
    Effect.gen(function* () {
      for (const option of ["expected", "maxWait"] as const) {
        const made = Bulkhead.make({ name: "mail", capacity: 1, [option]: parsecs })
        expect(yield* mistake(Effect.scoped(made)))
          .toBe(`Cannot make the bulkhead "mail": ${option} ${form}`)
      }
    }))

  it.effect("of a pool", () =>
    Effect.gen(function* () {
      const options = ["acquireTimeout", "validateAfter", "idleTimeToLive", "maxLifetime"] as const
      for (const option of [...options, "closeTimeout", "maxWait"] as const) {
        const made = ResourcePool.make({
          name: "ftp",
          capacity: 1,
          acquire: Effect.void,
          [option]: parsecs,
        })
        expect(yield* mistake(Effect.scoped(made)))
          .toBe(`Cannot make the pool "ftp": ${option} ${form}`)
      }
    }))

  it.effect("of the service", () =>
    Effect.gen(function* () {
      expect(yield* building(Health.layer({ timeout: parsecs }))).toBe(`health.timeout ${form}`)
      expect(yield* building(Health.layer({ reuse: parsecs }))).toBe(`health.reuse ${form}`)
      for (const option of ["ttl", "guaranteed", "maxWait"] as const) {
        expect(yield* building(RespondAsync.layer({ [option]: parsecs })))
          .toBe(`async.${option} ${form}`)
      }
    }))
})
