/** Runs a numbered example as its `Run:` line says and compares what it prints with `// Output:`. */
import { filesUnder, root } from "./tree.ts"

export interface Example {
  /** Arguments of `deno`, taken from the `Run:` line. */
  readonly args: ReadonlyArray<string>
  readonly output: string
}

const runLine = /^[\s/*]*Run:\s*`?(?:npx -y deno@\S+|deno) (run [^`\n]*?)`?\s*$/m
const marker = /^\/\/ Output:\s*$/m

/** Reads the two contracts of an example; a sentence says which one is missing. */
export const parse = (text: string): Example | string => {
  const args = runLine.exec(text)?.[1]?.trim().split(/\s+/)
  if (args === undefined) return "has no line `Run: deno run …`"
  if (args.includes("-A") || args.includes("--allow-all")) {
    return "asks for all permissions; name those that it needs"
  }
  const at = marker.exec(text)
  if (at === null) return "has no `// Output:` block at its end"
  const lines = text.slice(at.index).trimEnd().split("\n").slice(1)
  if (!lines.every((line) => line === "//" || line.startsWith("// "))) {
    return "has code after its `// Output:` block"
  }
  return { args, output: lines.map((line) => line.slice(3)).join("\n") }
}

const clean = (printed: string): string =>
  printed.split("\n").map((line) => line.trimEnd()).join("\n").trim()

export interface Outcome {
  readonly code: number
  readonly printed: string
  readonly expected: string
  readonly errors: string
}

/** Runs one example in the root of the repository and waits for its end. */
export const run = async (example: Example, timeoutMs: number): Promise<Outcome> => {
  const [first = "run", ...rest] = example.args
  const child = new Deno.Command(Deno.execPath(), {
    args: [first, "--no-prompt", "--quiet", ...rest],
    cwd: root,
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    signal: AbortSignal.timeout(timeoutMs),
  }).spawn()
  const { code, stdout, stderr } = await child.output()
  const decode = (bytes: Uint8Array) => clean(new TextDecoder().decode(bytes))
  return { code, printed: decode(stdout), expected: clean(example.output), errors: decode(stderr) }
}

/** The numbered examples, in order, as absolute paths. */
export const numbered = async (): Promise<ReadonlyArray<string>> =>
  (await filesUnder("examples")).filter((file) => /\/\d\d-[^/]*\.ts$/.test(file))
