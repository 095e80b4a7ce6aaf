import { describe, expect, it } from "@effect/vitest"
import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { sourceFiles } from "./support/graph.ts"
import { root } from "./support/tree.ts"

/** What docs/problems.md must say, as the code has it. */

const sources = await Promise.all(
  (await sourceFiles()).map(async (file) => ({
    file,
    text: await readFile(join(root, file), "utf8"),
  })),
)

const all = (text: string, pattern: RegExp): ReadonlyArray<string> =>
  Array.from(text.matchAll(pattern), (match) => match[1]!)

const sorted = (names: Iterable<string>): ReadonlyArray<string> => Array.from(new Set(names)).sort()

/** The last parts of all problem types. */
const slugs = sorted(sources.flatMap(({ text }) => [
  ...all(text, /\bslug: "([a-z-]+)"/g),
  ...all(text, /\btype\("([a-z-]+)"\)/g),
  ...all(text, /"urn:weir:problem:([a-z-]+)"/g),
]))

/** All errors with a tag that a module exports, and where they are. */
const errors = sources.flatMap(({ file, text }) =>
  [
    ...all(text, /\.(?:TaggedError|Problem)<(\w+)(?:, unknown)?>\(\)\(/g),
    ...all(text, /export class (\w+) extends (?:\w*Error)\b/g),
  ].map((name) => ({ file, name }))
)

/** Of each error the fields that say which of several things has happened. */
const distinctions = (await Promise.all(errors.map(async ({ file, name }) => {
  const module = await import(pathToFileURL(join(root, file)).href)
  const fields: Readonly<Record<string, { readonly literals?: ReadonlyArray<string> }>> =
    module[name].fields ?? {}
  return Object.entries(fields)
    .filter(([key, { literals }]) => key !== "_tag" && literals !== undefined)
    .map(([field, { literals }]) => ({ name, field, words: sorted(literals!) }))
}))).flat()

interface Table {
  readonly columns: ReadonlyArray<string>
  readonly rows: ReadonlyArray<ReadonlyArray<string>>
}

const page = await readFile(join(root, "docs/problems.md"), "utf8")

/** The first table of each part of the page, by its heading; that of the beginning by "". */
const tables = new Map(
  page.split(/^#{2,3} /m).map((part, at): readonly [string, Table] => {
    const cells = part.split("\n").filter((line) => line.startsWith("|"))
      .map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()))
    const [columns = [], , ...rows] = cells
    return [at === 0 ? "" : part.split("\n", 1)[0]!.replaceAll("`", ""), { columns, rows }]
  }),
)

const first = (table: Table | undefined): ReadonlyArray<string> =>
  (table?.rows ?? []).map(([cell]) => cell!.replaceAll("`", ""))

const kebab = (name: string): string => name.replace(/(?!^)[A-Z]/g, "-$&").toLowerCase()

describe("docs/problems.md", () => {
  it("has every problem type, and none that the code has not", () => {
    expect(slugs.length).toBeGreaterThan(20)
    expect(first(tables.get("")).toSorted()).toEqual(slugs)
  })

  it("has every error that can be caught by its tag, and none that the code has not", () => {
    expect(errors.length).toBeGreaterThan(20)
    const table = tables.get("Errors in a program")
    expect(first(table).toSorted()).toEqual(sorted(errors.map(({ name }) => name)))
    // What leaves as a problem leaves as one that there is.
    for (const [error, , , problems = ""] of table!.rows) {
      const named = all(problems, /`([a-z-]+)`/g)
      expect(named.every((slug) => slugs.includes(slug)), error).toBe(true)
      expect(named.length > 0 || problems === "none", error).toBe(true)
      const own = kebab(error!.replaceAll("`", ""))
      if (slugs.includes(own)) expect(named, error).toContain(own)
    }
  })

  it("tells apart what an error tells apart, word for word", () => {
    expect(distinctions.length).toBeGreaterThan(5)
    const told = new Set<string>()
    for (const { field, name, words } of distinctions) {
      const heading = tables.has(kebab(name)) ? kebab(name) : name
      const table = tables.get(heading)
      told.add(heading)
      expect(table?.columns[0], name).toBe(`\`${field}\``)
      expect(first(table).toSorted(), name).toEqual(words)
    }
    const parts = Array.from(tables.keys()).filter((it) => it !== "" && !it.includes(" "))
    expect(parts.toSorted()).toEqual(sorted(told))
  })

  it("says for each what happened and what to do", () => {
    for (const [heading, { columns, rows }] of tables) {
      expect(columns, heading).toContain("What to do")
      for (const row of rows) {
        expect(row.length, row[0]).toBe(columns.length)
        expect(row.filter((cell) => cell.length < 3), row[0]).toEqual([])
      }
    }
  })
})
