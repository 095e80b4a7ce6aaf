/**
 * The generator as a process: one {@link Job} per line on stdin, one {@link Result} per line on
 * stdout, a line of progress each second on stderr.
 */
import { run } from "./engine.ts"
import type { Job } from "./job.ts"
import { progressLine } from "./progress.ts"
import { summarize } from "./summary.ts"

const encoder = new TextEncoder()

/** Runs one job and sums it up; blocks the thread. */
export const work = (job: Job): ReturnType<typeof summarize> => {
  const at = new Date().toISOString()
  const raw = run(job, job.progress === true ? progressLine() : undefined)
  if (job.records !== undefined) {
    using file = Deno.openSync(job.records, { write: true, create: true, truncate: true })
    for (const line of raw.records.csv(job.streams.map(({ name }) => name))) {
      file.writeSync(encoder.encode(line))
    }
  }
  return summarize(job, raw, at)
}

if (import.meta.main) {
  let rest = ""
  for await (const text of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n")
    rest = lines.pop()!
    for (const line of lines) console.log(JSON.stringify(work(JSON.parse(line) as Job)))
  }
}
