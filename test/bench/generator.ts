/**
 * The load generator's process, seen from the harness.
 */
import type { Job, Result } from "./load.ts"
import { BenchError } from "./process.ts"

export interface Generator {
  readonly run: (job: Job) => Promise<Result>
  readonly close: () => Promise<void>
}

/** Starts `load.ts`. One job at a time. */
export const startGenerator = (): Generator => {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--allow-ffi", new URL("./load.ts", import.meta.url).pathname],
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn()
  const writer = child.stdin.getWriter()
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader()
  return {
    run: async (job) => {
      await writer.write(new TextEncoder().encode(`${JSON.stringify(job)}\n`))
      let text = ""
      while (!text.endsWith("\n")) {
        const { value, done } = await reader.read()
        if (done) throw new BenchError("The load generator ended. Its message is above.")
        text += value
      }
      return JSON.parse(text) as Result
    },
    close: async () => {
      await writer.close().catch(() => {})
      await child.status
    },
  }
}
