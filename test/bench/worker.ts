/**
 * The process of a subject that needs no server: it is told a job and answers with a sample.
 */
import { startWorker } from "../support/worker.ts"
import { BenchError } from "./process.ts"
import { type Running, type Sample, VerificationFailed } from "./suite.ts"

type Answer =
  | { readonly sample: Sample }
  | { readonly sample?: undefined; readonly message: string; readonly wrong: boolean }

/** Starts the process of the subject `id` and warms it up. One job at a time. */
export const startSubject = async <Job>({ args, id, job, warmUp }: {
  readonly id: string
  readonly args: ReadonlyArray<string>
  /** What the process is told for so many seconds. */
  readonly job: (seconds: number, warm: boolean) => Job
  /** Before the first round: so many runs of so many seconds. */
  readonly warmUp: { readonly runs: number; readonly seconds: number }
}): Promise<Running> => {
  const worker = startWorker<Job, Answer>(
    ["-A", "--unstable-no-legacy-abort", ...args],
    () => new BenchError(`The process of ${id} ended. Its message is above.`),
  )
  const run = async (job: Job): Promise<Sample> => {
    const answer = await worker.run(job)
    if (answer.sample !== undefined) return answer.sample
    const message = `${id}: ${answer.message}`
    throw answer.wrong ? new VerificationFailed(message) : new BenchError(message)
  }
  try {
    for (let i = 0; i < warmUp.runs; i++) await run(job(warmUp.seconds, true))
  } catch (error) {
    await worker.close()
    throw error
  }
  return {
    warm: async (seconds) => void await run(job(seconds, true)),
    measure: (seconds) => run(job(seconds, false)),
    stop: worker.close,
  }
}
