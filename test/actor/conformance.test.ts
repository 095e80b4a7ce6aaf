import { expect, it } from "@effect/vitest"
import { readFile } from "node:fs/promises"

/** The tests that the decision names: each text in quotes belongs to the file named before it. */
const named = (document: string): ReadonlyArray<readonly [string, string]> => {
  const found: Array<readonly [string, string]> = []
  for (const line of document.split("\n").filter((line) => line.startsWith("|"))) {
    let file = ""
    for (const [, path, name] of line.matchAll(/`(test\/[^`]+\.test\.ts)`|"([^"]+)"/g)) {
      if (path !== undefined) file = path
      else found.push([file, name!])
    }
  }
  return found
}

it("every test that the conformance table names exists", async () => {
  const tests = named(await readFile("docs/decisions/0008-actor-conformance.md", "utf8"))
  const missing: Array<string> = []
  for (const [file, name] of tests) {
    const text = await readFile(file, "utf8").catch(() => "")
    if (!text.includes(name)) missing.push(`${file}: ${name}`)
  }
  expect(missing).toEqual([])
  expect(tests.length).toBeGreaterThan(60)
})
