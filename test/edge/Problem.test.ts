import { expect, it } from "@effect/vitest"
import * as Problem from "../../src/edge/Problem.ts"

it("exports the mapping, and no helper that only the edge needs", () => {
  expect(Object.keys(Problem).toSorted()).toEqual([
    "AllowedMethods",
    "fromCancel",
    "fromCause",
    "fromError",
    "fromRefusal",
    "render",
  ])
})
