/**
 * The generator's process, seen from those who use it.
 */
import { startWorker, type Worker } from "../support/worker.ts"
import type { Job, Result } from "./job.ts"

export type Generator = Worker<Job, Result>

/** The generator ended before it had answered. */
export class GeneratorEnded extends Error {}

/** Starts `worker.ts` in a process of its own. */
export const startGenerator = (): Generator =>
  startWorker(
    ["-A", new URL("./worker.ts", import.meta.url).pathname],
    () => new GeneratorEnded("The load generator ended. Its message is above."),
  )
