/**
 * Suite `admission`: what the decision about a request costs, and how long it takes. No sockets: the
 * same calls that the edge makes, and one slot taken and given back in each bounded thing.
 */
import { BenchError } from "../process.ts"
import { type Sample, type Subject, type Suite, VerificationFailed } from "../suite.ts"
import type { Job } from "./shared.ts"

const specs = {
  "off": "all layers off, nothing bounded",
  "off-1": "all layers off, 1 bounded thing",
  "on-0": "everything on, nothing bounded",
  "on-1": "everything on, 1 bounded thing",
  "on-3": "everything on, 3 bounded things",
  "refused": "everything on, refused: 160 wait, of 3 classes and 20 tenants",
} as const
type Id = keyof typeof specs

const ids = Object.keys(specs) as ReadonlyArray<Id>

/** Before the first round: so many runs of so many seconds. */
const WARM_UP = { runs: 4, seconds: 0.5 }

/** The process of a subject. One job at a time. */
const startWorker = (id: Id) => {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-A", "--quiet", "--unstable-no-legacy-abort"],
      ...[new URL("./worker.ts", import.meta.url).pathname, id],
    ],
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn()
  const writer = child.stdin.getWriter()
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader()
  return {
    run: async (job: Job): Promise<Sample> => {
      await writer.write(new TextEncoder().encode(`${JSON.stringify(job)}\n`))
      let text = ""
      while (!text.endsWith("\n")) {
        const { value, done } = await reader.read()
        if (done) throw new BenchError(`The process of ${id} ended. Its message is above.`)
        text += value
      }
      const answer = JSON.parse(text)
      if (answer.sample !== undefined) return answer.sample
      const message = `${id}: ${answer.message}`
      throw answer.wrong ? new VerificationFailed(message) : new BenchError(message)
    },
    stop: async () => {
      await writer.close().catch(() => {})
      await child.status
    },
  }
}

const subjectOf = (id: Id): Subject => ({
  id,
  name: specs[id],
  baseline: id === "off" ? undefined : "off",
  start: async () => {
    const { run, stop } = startWorker(id)
    try {
      for (let i = 0; i < WARM_UP.runs; i++) await run({ seconds: WARM_UP.seconds })
    } catch (error) {
      await stop()
      throw error
    }
    return {
      warm: async (seconds) => void await run({ seconds }),
      measure: (seconds) => run({ seconds }),
      stop,
    }
  },
})

/** See the module's documentation. */
export const admission: Suite = {
  name: "admission",
  description: "what deciding about a request costs: off, on, with 1 and 3 bounded things, refused",
  metrics: [
    { name: "CPU per request", unit: "us" },
    { name: "p50", unit: "us" },
    { name: "p99", unit: "us" },
  ],
  ids,
  prepare: (only) =>
    Promise.resolve({
      subjects: ids.filter((id) => only.length === 0 || only.includes(id)).map(subjectOf),
      skipped: [],
      close: () => Promise.resolve(),
    }),
  targets: [
    {
      name: "everything on, 1 bounded thing, CPU µs per request",
      limit: ["<=", 2],
      value: (read) => read("on-1"),
    },
    {
      name: "a refusal is decided, p99 in ms",
      limit: ["<=", 2],
      value: (read) => read("refused", "p99") / 1000,
    },
  ],
}
