import { describe, expect, it } from "@effect/vitest"
import { Task, TaskTree, Trace, VirtualClock } from "@weir/runtime"
import { Console, Effect } from "effect"
import { mkdtemp, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { run } from "../support/examples.ts"
import { root } from "../support/tree.ts"

const program = Task.run("checkout", Task.run("pay", Effect.sleep("20 millis")))

/** What the layer writes to standard error, given those arguments. */
const told = async (args: ReadonlyArray<string>): Promise<ReadonlyArray<string>> => {
  const lines: Array<string> = []
  const tree = TaskTree.makeUnsafe()
  const terminal = { error: (line: string) => lines.push(line) } as unknown as Console.Console
  await program.pipe(
    Effect.provide([VirtualClock.layer, Trace.layer({ args })]),
    Effect.provideService(TaskTree.TaskTree, tree),
    Effect.provideService(Console.Console, terminal),
    Effect.runPromise,
  )
  expect(tree.unsafe.observed({ hasId: false } as never), "still listens").toBe(false)
  return lines
}

const inFolder = async (body: (file: string) => Promise<void>) => {
  const folder = await mkdtemp(join(tmpdir(), "weir-trace-"))
  try {
    await body(join(folder, "trace.svg"))
  } finally {
    await rm(folder, { recursive: true })
  }
}

describe("the layer", () => {
  it("does nothing when it is not asked to", async () => {
    expect(await told([])).toEqual([])
    expect(await told(["--verbose"])).toEqual([])
  })

  it("writes a line for each event with --trace", async () => {
    expect(await told(["--trace"])).toEqual([
      "     0 ms  ┌ checkout",
      "     0 ms  │ ┌ pay",
      "    20 ms  │ └ pay completed after 20 ms",
      "    20 ms  └ checkout completed after 20 ms",
    ])
  })

  it("writes a picture with --svg, and lines only if asked for these too", () =>
    inFolder(async (file) => {
      expect(await told(["--svg", file])).toEqual([])
      const svg = await readFile(file, "utf8")
      expect(svg).toContain(">checkout</text>")
      expect(svg).toContain(">pay</text>")
      expect(await told(["--svg", file, "--trace"])).toHaveLength(4)
    }))

  it("draws the picture that the course shows", () =>
    inFolder(async (file) => {
      const args = ["run", `--allow-write=${file}`, "examples/06-race-and-losers.ts"]
      const outcome = await run({ args, output: "" }, 60_000, ["--svg", file])
      expect(outcome.code, outcome.errors).toBe(0)
      expect(await readFile(file, "utf8"))
        .toBe(await readFile(join(root, "docs/learn/06-race-and-losers.svg"), "utf8"))
    }))

  it.each([[["--svg"]], [["--svg", "--trace"]]])(
    "asks for a file when there is none: %s",
    async (args) => {
      expect((await told(args))[0]).toBe(
        "No picture: --svg wants the name of a file, as in --svg trace.svg.",
      )
    },
  )

  it("says why it cannot write, and lets the program run", () =>
    inFolder(async (file) => {
      const [line, ...rest] = await told(["--svg", `${file}/none/trace.svg`, "--trace"])
      expect(line).toMatch(/^No picture: cannot write .*trace\.svg: /)
      expect(rest).toHaveLength(4)
    }))

  it("names the permission that Deno wants", () =>
    inFolder(async (file) => {
      const example = { args: ["run", "examples/01-hello-task.ts"], output: "" }
      const outcome = await run(example, 60_000, ["--svg", file])
      expect(outcome.errors).toBe(
        `No picture: Deno may not write ${file}. Say --allow-write=${file} after "deno run".`,
      )
      expect(outcome.whole).toContain("result: 900")
      expect(outcome.code).toBe(0)
    }))
})
