import { describe, expect, it } from "@effect/vitest"
import { access, readFile } from "node:fs/promises"
import { dirname, join, relative } from "node:path"
import denoJson from "../deno.json" with { type: "json" }
import { isPublic } from "./support/architecture.ts"
import { sourceFiles } from "./support/graph.ts"
import { codeSpans, headings, links } from "./support/markdown.ts"
import { filesUnder, root } from "./support/tree.ts"

const read = (file: string): Promise<string> => readFile(join(root, file), "utf8")
const exists = (file: string): Promise<boolean> =>
  access(join(root, file)).then(() => true, () => false)

const documents = [
  ...(await exists("README.md") ? ["README.md"] : []),
  ...(await filesUnder("docs")).filter((file) => file.endsWith(".md"))
    .map((file) => relative(root, file)),
]

/** Where that source defines a function, a class or a method of that name; -1 if it does not. */
const definition = (source: string, name: string): number =>
  source.search(
    new RegExp(
      `^(export )?(const|function|class|interface) ${name}\\b|` +
        `^  (private |readonly |override |get |async )*#?${name}\\b *[(:=<]`,
      "m",
    ),
  )

describe("docs/map.md", () => {
  it("names only files that exist", async () => {
    const files = codeSpans(await read("docs/map.md"))
      .filter((span) => /^[\w./-]+\.(ts|json|md)$/.test(span))
    const found = await Promise.all(files.map(exists))
    expect(files.length).toBeGreaterThan(0)
    expect(files.filter((_, i) => !found[i])).toEqual([])
  })

  it("names every public module", async () => {
    const spans = codeSpans(await read("docs/map.md"))
    expect((await sourceFiles()).filter(isPublic).filter((file) => !spans.includes(file)))
      .toEqual([])
  })
})

describe("docs/glossary.md", () => {
  it("defines every word of the vocabulary once", async () => {
    const defined = [...(await read("docs/glossary.md")).matchAll(/^\*\*(.+?)\*\* – \S/gm)]
      .map((match) => match[1] as string)
    expect(defined).toEqual([...new Set(defined)])
    expect(defined).toEqual(expect.arrayContaining([
      ...["Task", "Deadline", "Cancel reason", "Supervisor", "Restart strategy", "Escalate"],
      ...[
        "Intensity and period",
        "Admission",
        "Refusal",
        "Bulkhead",
        "Resource pool",
        "Saturation",
      ],
      ...["Circuit breaker", "Retry budget", "Hedge", "Criticality", "Actor", "Mailbox", "Tell"],
      ...["Ask", "Stash", "Death watch", "Dead letter", "Router", "Lease", "Fencing", "Attempt"],
      "Dead-lettered",
    ]))
  })
})

describe("README.md and docs", () => {
  it("link only to files and headings that exist", async () => {
    const broken: Array<string> = []
    for (const document of documents) {
      for (const link of links(await read(document))) {
        if (/^[a-z]+:/.test(link)) continue
        const [path = "", anchor] = link.split("#")
        const target = path === "" ? document : join(dirname(document), path)
        if (!(await exists(target))) broken.push(`${document}: ${link}`)
        else if (anchor !== undefined) {
          const text = await read(target)
          const found = target.endsWith(".ts")
            ? definition(text, anchor) >= 0
            : headings(text).includes(anchor)
          if (!found) broken.push(`${document}: ${link} (no such heading or symbol)`)
        }
      }
    }
    expect(broken).toEqual([])
  })

  it("name only tasks that deno.json has", async () => {
    const names = Object.keys(denoJson.tasks)
    for (const document of documents) {
      const used = [...(await read(document)).matchAll(/deno(?:@[\d.]+)? task ([a-z][a-z:-]*)/g)]
        .map((match) => match[1] as string)
      expect(used.filter((name) => !names.includes(name)), document).toEqual([])
    }
  })
})

describe("docs/learn/cancelled.md", () => {
  const quote = /\[`(\w+)`\]\(\.\.\/\.\.\/(src\/[^)#]+)#(\w+)\): `([^`\n]+)`/g

  it("quotes what the named function of the named file says", async () => {
    const text = await read("docs/learn/cancelled.md")
    const quotes = [...text.matchAll(quote)]
    expect(quotes.length).toBe(text.match(/\]\(\.\.\/\.\.\/src\//g)?.length)
    expect(quotes.length).toBeGreaterThan(20)
    for (const [whole, name, file = "", symbol = "", code = ""] of quotes) {
      const source = await read(file)
      const from = definition(source, symbol)
      expect(name, whole).toBe(symbol)
      expect(from, whole).toBeGreaterThanOrEqual(0)
      const spaceless = (text: string) => text.replaceAll(/\s+/g, "")
      expect(spaceless(bodyAt(source, from)), whole).toContain(spaceless(code))
    }
  })
})

/** From a definition to the line at which what it is indented by ends. */
const bodyAt = (source: string, from: number): string => {
  const [first = "", ...rest] = source.slice(from).split("\n")
  const indent = /^ */.exec(first)![0].length
  const end = rest.findIndex((line) =>
    line !== "" && /^ */.exec(line)![0].length <= indent && !/^ *[)}\]]/.test(line)
  )
  return [first, ...rest.slice(0, end < 0 ? undefined : end)].join("\n")
}

describe("deno.json", () => {
  it("describes every task", () => {
    expect(Object.values(denoJson.tasks).filter((task) => task.description.length < 10)).toEqual([])
  })

  it("pins every dependency to one exact version", () => {
    const remote = Object.values(denoJson.imports).filter((target) => !target.startsWith("./"))
    expect(
      remote.filter((target) => !/^npm:(@[\w-]+\/)?[\w-]+@\d+\.\d+\.\d+(-[\w.]+)?$/.test(target)),
    )
      .toEqual([])
  })
})
