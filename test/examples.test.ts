import { describe, expect, it } from "@effect/vitest"
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { basename, join } from "node:path"
import {
  abbreviate,
  clean,
  type Example,
  numbered,
  parse,
  run,
  runBroken,
} from "./support/examples.ts"
import { filesUnder, root } from "./support/tree.ts"

/** For a slow machine; all of them together take half a minute on an idle one. */
const timeoutMs = 180_000

const parsed = (text: string): Example => {
  const example = parse(text)
  if (typeof example === "string") throw new Error(`The example ${example}`)
  return example
}

const files = await numbered()
const examples = await Promise.all(files.map(async (file) => {
  const text = await readFile(file, "utf8")
  return { file, name: basename(file), text, example: parse(text) }
}))

/** The pages of the course, and the timelines that they show: of their example, or of one they name. */
const pages = await Promise.all(
  (await filesUnder("docs/learn")).filter((file) => file.endsWith(".md"))
    .map(async (file) => ({ page: basename(file, ".md"), text: await readFile(file, "utf8") })),
)
const shown = pages.flatMap(({ page, text }) =>
  [...text.matchAll(/^```text trace(?: (\S+))?\n([^]*?)^```$/gm)]
    .map(([, of = page, lines = ""]) => ({ page, of, lines }))
)
/** The formatter takes away what all lines of a fence begin with. */
const unindented = (text: string) => clean(text).replaceAll(/^ +/gm, "")
const pictures = (name: string) =>
  shown.filter(({ of }) => `${of}.ts` === name).map(({ lines, page }) => [page, lines] as const)

describe.concurrent("a numbered example", () => {
  for (const { file, name, text } of examples) {
    // One after the other: both may want the same database.
    it(`${name} prints its output, and another one when it is broken`, async ({ expect }) => {
      const example = parsed(text)
      // With --trace, which writes to standard error and must change nothing else.
      const whole = await run(example, timeoutMs, ["--trace"])
      expect(whole.printed, whole.errors).toBe(whole.expected)
      expect(whole.code, whole.errors).toBe(0)
      for (const [page, shown] of pictures(name)) {
        const [printed, expected] = [unindented(whole.errors), unindented(shown)]
        expect(abbreviate(printed, expected), page).toBe(expected)
      }

      const broken = await runBroken(example, file, timeoutMs)
      expect(broken.printed, broken.errors).toBe(broken.expected)
      expect(broken.code, broken.errors).toBe(0)
      expect(abbreviate(whole.whole, broken.expected), "the same").toBe(whole.whole)
    }, timeoutMs)
  }
})

describe("every numbered example", () => {
  it("has a number of its own", () => {
    const numbers = files.map((file) => basename(file).slice(0, 2))
    expect(numbers).toEqual([...new Set(numbers)])
  })

  it("says its goal, has an exercise, and fits on two screens", () => {
    for (const { example, name, text } of examples) {
      expect(text, name).toMatch(/^\/\*\*\n \* Goal: .+\n \* Run: deno run .+\n \*\/\n/)
      expect(example, name).toMatchObject({ broken: { output: expect.any(String) } })
      expect(text.trimEnd().split("\n").length, name).toBeLessThanOrEqual(80)
    }
  })

  it("has a page in the course, and the course has no other", () => {
    const index = pages.find(({ page }) => page === "index")?.text ?? ""
    const names = examples.map(({ name }) => name.replace(/\.ts$/, ""))
    expect(pages.map(({ page }) => page).filter((page) => /^\d\d-/.test(page)).sort()).toEqual(
      names,
    )
    expect([...index.matchAll(/\((\d\d-[\w-]+)\.md\)/g)].map(([, name]) => name)).toEqual(names)
    expect(shown.filter(({ of }) => !names.includes(of))).toEqual([])
    expect(shown.length).toBeGreaterThan(10)
  })

  it("uses no function of Effect that the course does not explain", () => {
    const explained = pages.find(({ page }) => page === "effect")!.text
    for (const { name, text } of examples) {
      const modules = [...text.matchAll(/^import \{([^}]*)\} from "effect"$/gm)]
        .flatMap(([, names = ""]) => names.split(",").map((one) => one.trim()))
      expect(modules, name).toContain("Effect")
      const used = text.matchAll(new RegExp(`\\b(?:${modules.join("|")})\\.[a-z]\\w*`, "g"))
      for (const [call] of used) expect(explained, name).toMatch(new RegExp(`\\b${call}\\b`))
    }
  })

  it("is compared with others by pages that name their sources", () => {
    for (const { page, text } of pages.filter(({ page }) => /^\d\d-/.test(page))) {
      const rows = text.split("\n## Elsewhere\n")[1]?.match(/^\| \w.*$/gm) ?? []
      expect(rows.length, page).toBeGreaterThan(2)
      expect(rows.filter((row) => !row.includes("](https://")), page).toEqual([])
    }
  })

  it("shows its tasks with --trace", () => {
    for (const { name, text } of examples) expect(text, name).toContain("Trace.layer()")
  })

  it("is a program whose exercise has the right types too", async () => {
    const scratch = join(root, ".snippets")
    await mkdir(scratch, { recursive: true })
    const folder = await mkdtemp(join(scratch, "broken-"))
    try {
      const copies = await Promise.all(examples.map(async ({ name, text }) => {
        await writeFile(join(folder, name), parsed(text).broken?.text ?? "")
        return join(folder, name)
      }))
      const check = new Deno.Command(Deno.execPath(), {
        args: ["check", "--quiet", ...copies],
        cwd: root,
        env: { NO_COLOR: "1" },
      })
      const { code, stderr } = await check.output()
      expect(code, new TextDecoder().decode(stderr)).toBe(0)
    } finally {
      await rm(folder, { recursive: true })
    }
  }, timeoutMs)
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

  it("keeps the indentation of the first line, the head of a table", () => {
    expect(clean("\n   ok  no\nA   1   2 \n\n")).toBe("   ok  no\nA   1   2")
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

  it("runs the exercise, and lets a block leave lines out", async () => {
    const text = (path: string) =>
      `// Run: deno run ${path}\nconsole.log("one")\n// Break it: console.log("zwei")\n` +
      `console.log("two")\nconsole.log("three")\n// Output:\n// one\n// …\n\n` +
      `// Output when broken:\n// …\n// zwei\n// three\n`
    expect(await withFile(text)).toMatchObject({ printed: "one\n…", expected: "one\n…" })
    const file = join(tmpdir(), "01-fixture.ts")
    const outcome = await runBroken(parsed(text(file)), file, timeoutMs)
    expect(outcome).toMatchObject({ code: 0, printed: "…\nzwei\nthree" })
  })

  it("leaves a line out when the exercise says so", () => {
    const text = "// Run: deno run a.ts\n1\n  // Break it: leave this line out\n  2\n3\n" +
      "// Output:\n// a\n// Output when broken:\n// b\n"
    expect(parsed(text).broken).toEqual({
      text: text.replace("  // Break it: leave this line out\n  2\n", "\n"),
      output: "b",
    })
  })

  it.each([
    ["no Run line", "1\n// Output:\n", "has no line"],
    ["no output block", "// Run: deno run a.ts\n1\n", "Output:"],
    [
      "code after the output block",
      "// Run: deno run a.ts\n// Output:\n// a\n1\n",
      "has code after",
    ],
    [
      "an exercise without its output",
      "// Run: deno run a.ts\n// Break it: 2\n1\n// Output:\n// a\n",
      "needs both",
    ],
    [
      "an output of no exercise",
      "// Run: deno run a.ts\n1\n// Output:\n// a\n// Output when broken:\n// b\n",
      "needs both",
    ],
    [
      "two exercises",
      "// Run: deno run a.ts\n// Break it: 2\n1\n// Break it: 2\n1\n// Output:\n// a\n",
      "more than one",
    ],
    ["all permissions", "// Run: deno run -A a.ts\n// Output:\n", "all permissions"],
  ])("refuses an example with %s", (_, text, reason) => {
    expect(parse(text)).toContain(reason)
  })
})
