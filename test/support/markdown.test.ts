import { expect, it } from "@effect/vitest"
import { codeSpans, headings, links } from "./markdown.ts"

const page =
  "# Where is …?\n\nSee [a](b.md#c) and `x [y](z.md)`, ![p](q.png).\n\n```md\n# No\n[n](o.md) `m`\n```\n"

it("finds links outside code", () => {
  expect(links(page)).toEqual(["b.md#c", "q.png"])
})

it("finds code spans outside fences", () => {
  expect(codeSpans(page)).toEqual(["x [y](z.md)"])
})

it("names headings as GitHub does", () => {
  expect(headings(page)).toEqual(["where-is-"])
  expect(headings("## Effect 4.1, and what became of `@effect/platform`\n"))
    .toEqual(["effect-41-and-what-became-of-effectplatform"])
})
