/**
 * The generator's process, seen from those who use it.
 */
import type { Job, Result } from "./job.ts"

export interface Generator {
  /** Runs a job. One at a time. */
  readonly run: (job: Job) => Promise<Result>
  readonly close: () => Promise<void>
}

/** The generator ended before it had answered. */
export class GeneratorEnded extends Error {}

/** Starts `worker.ts` in a process of its own. */
export const startGenerator = (): Generator => {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "-A", new URL("./worker.ts", import.meta.url).pathname],
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
        if (done) throw new GeneratorEnded("The load generator ended. Its message is above.")
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
