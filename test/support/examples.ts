/**
 * Runs a numbered example as its `Run:` line says and compares what it prints with `// Output:`.
 *
 * An example may hold one exercise: a comment `// Break it: code` above a line that this code is to
 * replace (`// Break it: leave this line out` for no code), and a block `// Output when broken:`. A
 * line `// …` of a block stands for lines that are left out.
 */
import { basename } from "node:path"
import { filesUnder, root } from "./tree.ts"

export interface Example {
  /** Arguments of `deno`, taken from the `Run:` line. */
  readonly args: ReadonlyArray<string>
  readonly output: string
  /** The exercise: its text as a program, and what that prints. */
  readonly broken: { readonly text: string; readonly output: string } | undefined
}

const runLine = /^[\s/*]*Run:\s*`?(?:npx -y deno@\S+|deno) (run [^`\n]*?)`?\s*$/m
const outputLine = "// Output:"
const brokenLine = "// Output when broken:"
const exercise = /^( *)\/\/ Break it: (.+)\n.*$/m
const nothing = "leave this line out"

/** Reads the contracts of an example; a sentence says which one is missing. */
export const parse = (text: string): Example | string => {
  const args = runLine.exec(text)?.[1]?.trim().split(/\s+/)
  if (args === undefined) return "has no line `Run: deno run …`"
  if (args.includes("-A") || args.includes("--allow-all")) {
    return "asks for all permissions; name those that it needs"
  }
  const lines = text.trimEnd().split("\n")
  const at = lines.findIndex((line) => line.trimEnd() === outputLine)
  if (at < 0) return "has no `// Output:` block at its end"
  const end = lines.slice(at + 1)
  if (!end.every((line) => line === "" || line === "//" || line.startsWith("// "))) {
    return "has code after its `// Output:` block"
  }
  const second = end.findIndex((line) => line.trimEnd() === brokenLine)
  const printed = (block: ReadonlyArray<string>) => block.map((line) => line.slice(3)).join("\n")
  const output = printed(second < 0 ? end : end.slice(0, second))
  const found = text.match(new RegExp(exercise, "gm")) ?? []
  if (found.length > 1) return "has more than one `// Break it:`"
  if ((found.length === 1) !== (second >= 0)) {
    return "needs both `// Break it:` and `// Output when broken:`, or neither"
  }
  if (second < 0) return { args, output, broken: undefined }
  const broken = text.replace(
    exercise,
    (_, indent: string, code: string) => code === nothing ? "" : `${indent}${code}`,
  )
  return { args, output, broken: { text: broken, output: printed(end.slice(second + 1)) } }
}

/** Without blank ends; the first line keeps its indentation, because it may be the head of a table. */
export const clean = (printed: string): string =>
  printed.split("\n").map((line) => line.trimEnd()).join("\n").replace(/^\n+/, "").trimEnd()

export interface Outcome {
  readonly code: number
  /** All of it. */
  readonly whole: string
  /** In the form of what is expected, if it fits. */
  readonly printed: string
  readonly expected: string
  readonly errors: string
}

/** Shortens what was printed to the form of what is expected; as it is, where the two do not fit. */
export const abbreviate = (printed: string, expected: string): string => {
  const shown = printed.split("\n")
  const wanted = expected.split("\n")
  const fits = (i: number, j: number): boolean =>
    j === wanted.length
      ? i === shown.length
      : wanted[j]?.trim() === "…"
      ? Array.from({ length: shown.length - i }, (_, n) => i + n + 1).some((k) => fits(k, j + 1))
      : i < shown.length && shown[i] === wanted[j] && fits(i + 1, j + 1)
  return fits(0, 0) ? expected : printed
}

/** Runs one example in the root of the repository, with more arguments if given, until its end. */
export const run = async (
  example: Pick<Example, "args" | "output">,
  timeoutMs: number,
  more: ReadonlyArray<string> = [],
): Promise<Outcome> => {
  const [first = "run", ...rest] = example.args
  const child = new Deno.Command(Deno.execPath(), {
    args: [first, "--no-prompt", "--quiet", ...rest, ...more],
    cwd: root,
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    signal: AbortSignal.timeout(timeoutMs),
  }).spawn()
  const { code, stdout, stderr } = await child.output()
  const decode = (bytes: Uint8Array) => clean(new TextDecoder().decode(bytes))
  const expected = clean(example.output)
  const whole = decode(stdout)
  return { code, whole, printed: abbreviate(whole, expected), expected, errors: decode(stderr) }
}

/** Runs the exercise of an example, from a file that is there only meanwhile. */
export const runBroken = async (
  example: Example,
  file: string,
  timeoutMs: number,
  more: ReadonlyArray<string> = [],
): Promise<Outcome> => {
  const { broken } = example
  if (broken === undefined) throw new Error(`${basename(file)} has no exercise`)
  // Inside the repository, because there the import map of deno.json holds.
  const scratch = `${root}/.snippets`
  await Deno.mkdir(scratch, { recursive: true })
  const folder = await Deno.makeTempDir({ dir: scratch })
  try {
    const copy = `${folder}/${basename(file)}`
    await Deno.writeTextFile(copy, broken.text)
    const args = example.args.map((arg) => basename(arg) === basename(file) ? copy : arg)
    return await run({ args, output: broken.output }, timeoutMs, more)
  } finally {
    await Deno.remove(folder, { recursive: true })
  }
}

/** The numbered examples, in order, as absolute paths. */
export const numbered = async (): Promise<ReadonlyArray<string>> =>
  (await filesUnder("examples")).filter((file) => /\/\d\d-[^/]*\.ts$/.test(file))
