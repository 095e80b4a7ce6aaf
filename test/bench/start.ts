/**
 * How long a command takes to its first answer, and what memory it then holds.
 */
import { freePort, listenerOn, residentMiB, startServer } from "./process.ts"
import { significant, summarize } from "./stats.ts"
import type { Report } from "./report.ts"

export interface StartOptions {
  /** `{port}` in it is replaced by a free port. The environment variable PORT holds it as well. */
  readonly command: ReadonlyArray<string>
  readonly runs: number
  readonly path: string
  readonly idleSeconds: number
  readonly progress: (line: string) => void
  readonly signal: AbortSignal
}

/** One start. */
export interface Started {
  readonly answerMs: number
  readonly idleMiB: number
}

/** Starts the command `runs` times, after one start that only warms the caches. */
export const measureStarts = async (options: StartOptions): Promise<ReadonlyArray<Started>> => {
  const starts: Array<Started> = []
  for (let run = 0; run <= options.runs; run++) {
    options.signal.throwIfAborted()
    options.progress(run === 0 ? "warm-up start" : `start ${run} of ${options.runs}`)
    const started = await startOnce(options, run === 0)
    if (run > 0) starts.push(started)
  }
  return starts
}

const startOnce = async (options: StartOptions, warmUp: boolean): Promise<Started> => {
  const port = freePort()
  const began = performance.now()
  const server = await startServer({
    name: options.command.join(" "),
    command: options.command.map((part) => part.replaceAll("{port}", String(port))),
    port,
    path: options.path,
    ready: (status) => status === 200,
    timeoutSeconds: 120,
    pollMs: 5,
    env: { PORT: String(port) },
  })
  const answerMs = performance.now() - began
  // A task runner starts the service as its child: the process that owns the socket is the one.
  const pid = await listenerOn(port, server.pid) ?? server.pid
  try {
    if (warmUp) return { answerMs, idleMiB: NaN }
    await sleep(options.idleSeconds)
    return { answerMs, idleMiB: await residentMiB(pid) }
  } finally {
    Deno.kill(pid, "SIGTERM") // to it alone: a second signal, passed on by the runner, ends it at once
    await Promise.race([server.ended, sleep(30)])
    await server.stop()
  }
}

const sleep = (seconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, seconds * 1000))

export const startReport = (
  starts: ReadonlyArray<Started>,
  command: ReadonlyArray<string>,
  about: Pick<Report, "at" | "machine"> & { readonly idleSeconds: number },
): Report => {
  const answer = summarize(starts.map(({ answerMs }) => answerMs))
  const row = (metric: string, unit: string, values: ReadonlyArray<number>) => {
    const { median, min, max } = summarize(values)
    return {
      subject: command.join(" "),
      metric,
      unit,
      median: significant(median),
      min: significant(min),
      max: significant(max),
      ratioTo: {},
    }
  }
  return {
    suite: "start",
    at: about.at,
    machine: about.machine,
    rounds: starts.length,
    method:
      `${starts.length} starts after one to warm up, memory after ${about.idleSeconds} s idle`,
    results: [
      row("start to first answer", "ms", starts.map(({ answerMs }) => answerMs)),
      row("idle memory (RSS)", "MiB", starts.map(({ idleMiB }) => idleMiB)),
    ],
    targets: [{
      name: "warm start to first answer, ms",
      target: "<= 1500",
      measured: significant(answer.median),
      met: answer.median <= 1500,
    }],
    skipped: [],
  }
}
