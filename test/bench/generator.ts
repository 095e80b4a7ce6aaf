/**
 * The load generator's process, seen from the harness.
 */
import { startWorker, type Worker } from "../support/worker.ts"
import type { Job, Result } from "./load.ts"
import { BenchError } from "./process.ts"

export type Generator = Worker<Job, Result>

/** Starts `load.ts`. One job at a time. */
export const startGenerator = (): Generator =>
  startWorker(
    ["--allow-ffi", new URL("./load.ts", import.meta.url).pathname],
    () => new BenchError("The load generator ended. Its message is above."),
  )
