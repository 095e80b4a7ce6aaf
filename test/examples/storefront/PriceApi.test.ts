import { describe, expect, it } from "@effect/vitest"
import { Context, Result, Schema } from "effect"
import { HttpApi } from "effect/http-api"
import { Behaviour, healthy, PriceApi } from "../../../examples/storefront/PriceApi.ts"

const strict = Context.getUnsafe(PriceApi.annotations, HttpApi.PayloadParseOptions)

/** What becomes of it, or why it is refused. */
const behaviour = (input: unknown) =>
  Result.match(
    Schema.decodeUnknownResult(Schema.toCodecJson(Behaviour), strict)(input),
    { onSuccess: (value): unknown => value, onFailure: String },
  )

describe("how the provider behaves", () => {
  it("is healthy where nothing is said", () => {
    expect(behaviour({})).toEqual(healthy)
    expect(behaviour({ hangRate: 0.5 })).toEqual({ ...healthy, hangRate: 0.5 })
    expect(healthy).toMatchObject({ hangRate: 0, refusalRate: 0, errorRate: 0 })
  })

  it.each([
    [{ latencyMs: -1 }, "milliseconds from 0 to 60000"],
    [{ latencyMs: "1 second" }, "latencyMs"],
    [{ retryAfterMs: 60_001 }, "milliseconds from 0 to 60000"],
    [{ hangRate: 1.1 }, "a share from 0 to 1"],
    [{ errorRate: 0.6, refusalRate: 0.6 }, "together at most 1"],
    [{ latency: 5 }, "latency"],
    [[], "Expected Behaviour"],
  ])("refuses %j", (input, why) => {
    expect(behaviour(input)).toContain(why)
  })
})
