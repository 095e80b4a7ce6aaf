import { describe, expect, it } from "@effect/vitest"
import { readFile } from "node:fs/promises"
import denoJson from "../deno.json" with { type: "json" }
import {
  cycles,
  exportViolations,
  importViolations,
  indexViolations,
  type Module,
  order,
  staleSeams,
  wantedExports,
} from "./support/architecture.ts"
import { sourceFiles, sourceGraph } from "./support/graph.ts"
import { root } from "./support/tree.ts"

const module = (
  file: string,
  imports: ReadonlyArray<string> = [],
  packages: ReadonlyArray<string> = [],
): Module => ({ file, imports, packages })

const read = (file: string): Promise<string> => readFile(`${root}/${file}`, "utf8")

describe("src", () => {
  it("imports only from folders to the right, without a cycle", async () => {
    const graph = await sourceGraph()
    expect(graph.map(({ file }) => file).sort()).toEqual([...(await sourceFiles())].sort())
    expect({ wrong: importViolations(graph), cycles: cycles(graph), stale: staleSeams(graph) })
      .toEqual({ wrong: [], cycles: [], stale: [] })
  })

  it("exports every public module, and nothing else (deno task exports lists them)", async () => {
    const files = await sourceFiles()
    expect(exportViolations(denoJson.exports, files)).toEqual([])
    expect(indexViolations(await read("src/index.ts"), files)).toEqual([])
  })

  it("has no file above 400 lines", async () => {
    const files = await sourceFiles()
    const lengths = await Promise.all(
      files.map(async (file) => `${file}: ${(await read(file)).split("\n").length - 1}`),
    )
    expect(lengths.filter((line) => Number(line.split(": ")[1]) > 400)).toEqual([])
  })
})

describe("the import rule", () => {
  it("accepts imports to the right, within a folder, and of internal helpers", () => {
    const graph = [
      module("src/index.ts", ["src/edge/Server.ts", "src/task/Task.ts"]),
      module("src/edge/Server.ts", ["src/task/Task.ts", "src/internal/ring.ts"], ["effect"]),
      module("src/task/Task.ts", ["src/task/frames.ts"]),
      module("src/task/frames.ts"),
      module("src/internal/ring.ts"),
    ]
    expect(importViolations(graph)).toEqual([])
    expect(cycles(graph)).toEqual([])
  })

  it("refuses every import to the left", () => {
    const pairs = order.flatMap((folders, i) =>
      order.slice(0, i).map((left) => [folders[0], left[0]])
    )
    const found = pairs.flatMap(([from, to]) =>
      importViolations([module(`src/${from}/A.ts`, [`src/${to}/B.ts`])])
    )
    expect(found).toHaveLength(pairs.length)
    expect(found.every((line) => line.includes("to its right"))).toBe(true)
  })

  it.each([
    ["of the index", module("src/task/Task.ts", ["src/index.ts"]), "only users import index.ts"],
    ["between siblings", module("src/actor/A.ts", ["src/cache/B.ts"]), "to its right"],
    ["of a private file", module("src/edge/A.ts", ["src/pool/slots.ts"]), "private to its folder"],
    [
      "of internal by the index",
      module("src/index.ts", ["src/internal/ring.ts"]),
      "public modules",
    ],
    ["of a test helper", module("src/task/A.ts", ["test/support/tree.ts"]), "outside src"],
    ["of a test package", module("src/task/A.ts", [], ["vitest"]), "only tests may"],
    ["in a folder without a place", module("src/misc/A.ts"), "no place"],
  ])("refuses an import %s", (_, violation, reason) => {
    const found = importViolations([violation])
    expect(found).toHaveLength(1)
    expect(found[0]).toContain(reason)
  })

  it("lets folders to the left import a private file that is a seam, and others not", () => {
    const graph = [module("src/edge/A.ts", ["src/pool/slots.ts"])]
    expect(importViolations(graph, { "src/pool/slots.ts": "why" })).toEqual([])
    const upwards = [module("src/task/A.ts", ["src/pool/slots.ts"])]
    expect(importViolations(upwards, { "src/pool/slots.ts": "why" })).toHaveLength(1)
  })

  it("reports a seam that only its own folder uses", () => {
    const graph = [module("src/pool/A.ts", ["src/pool/slots.ts"])]
    expect(staleSeams(graph, { "src/pool/slots.ts": "why" })).toEqual(["src/pool/slots.ts"])
  })

  it("finds each cycle once", () => {
    const graph = [
      module("src/task/A.ts", ["src/task/B.ts"]),
      module("src/task/B.ts", ["src/task/C.ts"]),
      module("src/task/C.ts", ["src/task/A.ts", "src/task/D.ts"]),
      module("src/task/D.ts", ["src/task/D.ts"]),
      module("src/task/E.ts", ["src/task/A.ts"]),
    ]
    expect(cycles(graph)).toEqual([
      ["src/task/A.ts", "src/task/B.ts", "src/task/C.ts"],
      ["src/task/D.ts"],
    ])
  })
})

describe("the exports rule", () => {
  const files = ["src/index.ts", "src/task/Task.ts", "src/task/frames.ts", "src/internal/Ring.ts"]

  it("wants the index and each public module, never internal or lower-case files", () => {
    expect(wantedExports(files)).toEqual({ ".": "./src/index.ts", "./Task": "./src/task/Task.ts" })
  })

  it("reports what is missing, what is too much and what is twice", () => {
    expect(exportViolations({ ".": "./src/index.ts" }, files)).toEqual([
      `deno.json: exports lacks "./Task": "./src/task/Task.ts"`,
    ])
    expect(exportViolations({ ...wantedExports(files), "./frames": "./src/task/frames.ts" }, files))
      .toEqual([`deno.json: exports has "./frames", which is no public module`])
    expect(exportViolations(wantedExports(files), [...files, "src/pool/Task.ts"]))
      .toContain("Two public modules are called Task")
  })

  it("wants one line per public module in the index, and no code", () => {
    const line = `export * as Task from "./task/Task.ts"`
    expect(indexViolations(`/** Doc. */\n// why\n${line}\n`, files)).toEqual([])
    expect(indexViolations("", files)).toEqual([`src/index.ts lacks: ${line}`])
    expect(indexViolations(`${line}\n${line}`, files)).toEqual([`src/index.ts twice: ${line}`])
    const pool = `export * as Pool from "./pool/Pool.ts"`
    const both = [...files, "src/pool/Pool.ts"]
    expect(indexViolations(`${pool}\n${line}`, both)).toEqual([])
    expect(indexViolations(`${line}\n${pool}`, both)).toEqual([
      "src/index.ts: not in data-flow order",
    ])
    expect(indexViolations(`${line}\nexport const x = 1`, files)).toEqual([
      "src/index.ts holds something that is no public module: export const x = 1",
    ])
  })
})
