/**
 * A process that answers one line of JSON for each that it is sent.
 */

/** A process of {@link startWorker}. */
export interface Worker<Job, Answer> {
  /** Sends a job and waits for its answer. One at a time. */
  readonly run: (job: Job) => Promise<Answer>
  /** Closes the process's input and waits until it has ended. */
  readonly close: () => Promise<void>
}

/** Runs a module with Deno. Where the process ends before it has answered, `run` fails with `ended`. */
export const startWorker = <Job, Answer>(
  args: ReadonlyArray<string>,
  ended: () => Error,
): Worker<Job, Answer> => {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", ...args],
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
        if (done) throw ended()
        text += value
      }
      return JSON.parse(text) as Answer
    },
    close: async () => {
      await writer.close().catch(() => {})
      await child.status
    },
  }
}
