import { expect, it } from "@effect/vitest"
import { checkedOnly } from "./fences.ts"

it("finds the `ts ignore` fences of Markdown, and no others", () => {
  const text = "a\n```ts\nrun()\n```\n```ts ignore\nserve()\n\nforever()\n```\n```sh\nls\n```\n"
  expect(checkedOnly(text)).toEqual([{ line: 5, code: "serve()\n\nforever()\n" }])
})

it("strips the stars of a documentation comment", () => {
  const text =
    "/**\n * Doc.\n *\n * ```ts ignore\n * serve({\n *   port: 1\n *\n * })\n * ```\n */\n"
  expect(checkedOnly(text)).toEqual([{ line: 4, code: "serve({\n  port: 1\n\n})\n" }])
})
