import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { fromRefusal, reasons } from "../../src/bounded/Refused.ts"
import * as Problem from "../../src/edge/Problem.ts"
import { renderRefusal } from "../../src/edge/refusal.ts"

it.effect("a refusal written in one go has the same bytes as the problem", () =>
  Effect.sync(() => {
    for (const reason of reasons) {
      for (const resource of ["database", 'a "quoted" \\ name', "line\nbreak", "…"]) {
        const refusal = {
          _tag: "Refusal" as const,
          reason,
          kind: "pool",
          resource,
          inUse: 10,
          capacity: 10,
          waiting: 41,
          predictedWaitMs: 812.4,
          retryAfterMs: 812.4,
          backlogMs: 3210,
        }
        for (const random of [0, 0.5, 0.99]) {
          const slow = Problem.render(Problem.fromRefusal(refusal), random)
          const fast = renderRefusal(refusal, random)
          expect(fast.body).toEqual(slow.body)
          expect(fast.headers).toEqual(slow.headers)
          expect(fast.status).toBe(slow.status)
          // As an error it knows the same, and tells nobody else.
          const error = fromRefusal(refusal)
          expect(Problem.render(Problem.fromRefusal(error), random).body).toEqual(slow.body)
          expect(Object.keys(error)).not.toContain("backlogMs")
        }
      }
    }
  }))
