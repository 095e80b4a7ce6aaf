import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { main } from "../../../examples/lab/command.ts"
import type { Results } from "../../../examples/lab/results.ts"

const run = async (...args: ReadonlyArray<string>) => {
  let [out, err] = ["", ""]
  const code = await Effect.runPromise(main(args, {
    out: (text) => out += `${text}\n`,
    err: (text) => err += text,
    watched: false,
  }))
  return { code, out, err }
}

describe("deno task lab", () => {
  it.each([
    [["--pool", "0"], '--pool: "0". Expected a whole number from 1 to 1000'],
    [["--pool", "-1"], "whole number from 1 to 1000"],
    [["--pool=-1"], "whole number from 1 to 1000"],
    [["--query", "NaN"], "whole number from 1 to 60000"],
    [["--requests", "1e9"], "whole number from 1 to 10000"],
    [["--requests", "1000000000"], "whole number from 1 to 10000"],
    [["--requests", "1.5"], "whole number from 1 to 10000"],
    [["--deadline"], "Missing value for flag --deadline"],
    [["--deadline", ""], "--deadline"],
    [["--seed", "x"], "whole number from 0"],
    [["--out="], "name of a directory"],
    [["--variants", "A,fesibility"], `there is no "fesibility". Did you mean feasibility?`],
    [["--variants", "Z"], `there is no "Z"`],
    [["--variants", ","], "at least one of"],
    [["--pol", "3"], "--pool"],
    [["more"], "more"],
    [["--pool", "1000", "--query", "1"], "Use a smaller --pool"],
    [["--pool", "1", "--query", "60000", "--requests", "10000"], "Use --virtual"],
  ])("refuses %j with a sentence and exit code 2", async (args, sentence) => {
    const { code, err, out } = await run(...args)
    expect(err).toContain(sentence)
    expect(err).not.toContain("    at ")
    expect({ code, out }).toEqual({ code: 2, out: "" })
  })

  it("shows examples first, then flags with unit and default", async () => {
    const { code, err, out } = await run("--help")
    expect({ code, err }).toEqual({ code: 0, err: "" })
    expect(out.indexOf("Examples:")).toBeGreaterThan(0)
    expect(out.indexOf("Examples:")).toBeLessThan(out.indexOf("Flags:"))
    expect(out).toMatch(/--deadline MS\s+how long a client waits, in ms \(default 1000\)/)
    expect(Math.max(...out.split("\n").map(({ length }) => length))).toBeLessThanOrEqual(100)
  })

  it("prints verdicts first, then tables and plots, and nothing else on standard output", async () => {
    const { code, err, out } = await run("--virtual", "--variants", "A,B,C,F")
    expect(code).toBe(0)
    expect(out).toMatch(/^Virtual time: every number of every variant equals the prediction\./)
    expect(out).toContain(
      "10 queries × 200 ms of database work are thrown away".replaceAll("200 ms", "200\u00a0ms"),
    )
    expect(out).toContain("it refuses 60 at 0\u00a0ms")
    expect(out).toContain("Waterfall of B")
    expect(out).not.toContain("real ")
    expect(err.split("\n")).toHaveLength(2)
    const bare = await run("--virtual", "--variants", "A", "--no-plots")
    expect(bare.out).not.toContain("Waterfall")
  })

  it("says of these numbers what is true of these numbers", async () => {
    const text = async (...args: ReadonlyArray<string>) => {
      const { out } = await run("--virtual", "--no-plots", ...args)
      return out.replaceAll("\u00a0", " ")
    }
    expect(await text("--variants", "A")).toContain("50 % of the answers take longer than 1 000 ms")
    // The last wave is not full: 5 of 25.
    expect(await text("--variants", "A", "--requests", "25")).toContain(
      "20 % of the answers take longer than 400 ms",
    )
    const room = await text("--variants", "A,D", "--pool", "200", "--queue", "100")
    expect(room).toContain("There is a slot for each.")
    expect(room).not.toContain("No slot is idle")
    expect(room).toContain("here all have a place")
  })

  it("names what will run, and for how long", async () => {
    const { err } = await run("--virtual", "--variants", "B,A", "--no-plots")
    expect(err).toBe(
      "lab: A, B. It takes a few seconds, in virtual time alone. Ctrl+C stops it.\n",
    )
  })

  it("prints everything as JSON with --json", async () => {
    const { out } = await run("--virtual", "--variants", "d", "--json", "--queue", "5")
    const results = JSON.parse(out) as Results
    expect(results.bursts[0]!.virtual.figures).toMatchObject({ ok: 15, refused: 85 })
    expect(results.bursts[0]!.virtual.rows).toHaveLength(100)
  })

  it("writes a report that needs nothing else, and the plots", async () => {
    const folder = await mkdtemp(join(tmpdir(), "weir-lab-"))
    try {
      const to = join(folder, "new", "lab")
      const { err } = await run("--virtual", "--variants", "A,B,D,F", "--out", to)
      expect(err).toContain("report.html")
      const names = (await readdir(to)).sort()
      expect(names).toEqual([
        "1-waterfall-A.svg",
        "1-waterfall-B.svg",
        "1-waterfall-F.svg",
        "2-queue.svg",
        "3-totals-A.svg",
        "4-slots.svg",
        "5-outcomes.svg",
        "report.html",
      ])
      const html = await readFile(join(to, "report.html"), "utf8")
      expect(html.replaceAll("http://www.w3.org/2000/svg", "")).not.toMatch(
        /https?:|<script|<link|@import|url\(|\ssrc=/,
      )
      // What it says comes before what it counts, and that before what it draws.
      const order = ["<h1>", "every number of every variant", "<table>", "<svg", "Seed"]
      const found = order.map((it) => html.indexOf(it))
      expect(found).toEqual([...found].sort((a, b) => a - b))
      expect(found[0]).toBeGreaterThan(0)
      // A title is not cut off with the table that is wider than a small screen.
      expect(html).toMatch(/<p class="over">The burst: [^<]+<\/p>\n<div class="wide"/)
      for (const name of names) {
        const text = await readFile(join(to, name), "utf8")
        expect(text, name).not.toMatch(/NaN|Infinity|undefined/)
        expect(text, name).toContain("prefers-color-scheme:dark")
      }
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  it("says where it cannot write, before it runs anything", async () => {
    const folder = await mkdtemp(join(tmpdir(), "weir-lab-"))
    try {
      const file = join(folder, "file")
      await writeFile(file, "")
      const { code, err, out } = await run("--virtual", "--variants", "A", "--out", file)
      expect(err).toContain(`Cannot write to ${file}: `)
      expect(err).toContain("Name another directory with --out.")
      expect({ code, out }).toEqual({ code: 1, out: "" })
    } finally {
      await rm(folder, { recursive: true })
    }
  })
})
