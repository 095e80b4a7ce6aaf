import { describe, expect, it } from "@effect/vitest"
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { basename, join } from "node:path"
import { type Example, numbered, parse, run } from "./support/examples.ts"

const timeoutMs = 60_000

const parsed = (text: string): Example => {
  const example = parse(text)
  if (typeof example === "string") throw new Error(`The example ${example}`)
  return example
}

const files = await numbered()

describe("a numbered example", () => {
  for (const file of files) {
    it(`${basename(file)} prints its output`, async () => {
      const outcome = await run(parsed(await readFile(file, "utf8")), timeoutMs)
      expect(outcome.printed, outcome.errors).toBe(outcome.expected)
      expect(outcome.code, outcome.errors).toBe(0)
    }, timeoutMs + 10_000)
  }

  it("has a number of its own", () => {
    const numbers = files.map((file) => basename(file).slice(0, 2))
    expect(numbers).toEqual([...new Set(numbers)])
  })
})

describe("the runner of examples", () => {
  const withFile = async (text: (path: string) => string) => {
    const folder = await mkdtemp(join(tmpdir(), "weir-example-"))
    const path = join(folder, "01-fixture.ts")
    try {
      await writeFile(path, text(path))
      return await run(parsed(await readFile(path, "utf8")), timeoutMs)
    } finally {
      await rm(folder, { recursive: true })
    }
  }

  it("compares what an example prints with its output block", async () => {
    const outcome = await withFile((path) =>
      `// Run: deno run ${path}\nconsole.log("one\\n\\ntwo")\n\n// Output:\n// one\n//\n// two\n`
    )
    expect(outcome).toMatchObject({ code: 0, printed: "one\n\ntwo", expected: "one\n\ntwo" })
  })

  it("grants only the permissions of the Run line", async () => {
    const outcome = await withFile((path) =>
      `/**\n * Run: \`deno run ${path}\`\n */\nDeno.env.get("HOME")\n// Output:\n`
    )
    expect(outcome.code).toBe(1)
    expect(outcome.errors).toContain("--allow-env")
  })

  it("sees another output and another exit code", async () => {
    const outcome = await withFile((path) =>
      `// Run: npx -y deno@2.9.6 run ${path}\nconsole.log("two")\nDeno.exit(3)\n// Output:\n// one\n`
    )
    expect(outcome).toMatchObject({ code: 3, printed: "two", expected: "one" })
  })

  it.each([
    ["no Run line", "1\n// Output:\n", "has no line"],
    ["no output block", "// Run: deno run a.ts\n1\n", "Output:"],
    [
      "code after the output block",
      "// Run: deno run a.ts\n// Output:\n// a\n1\n",
      "has code after",
    ],
    ["all permissions", "// Run: deno run -A a.ts\n// Output:\n", "all permissions"],
  ])("refuses an example with %s", (_, text, reason) => {
    expect(parse(text)).toContain(reason)
  })
})
