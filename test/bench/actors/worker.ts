/**
 * The process of one subject: runs its workload as often as it is told to on stdin.
 *
 *     deno run -A --v8-flags=--expose-gc test/bench/actors/worker.ts nact tell
 */
import { VerificationFailed } from "../suite.ts"
import type { Job, Run, Workload } from "./shared.ts"

const libraries: Readonly<
  Record<string, () => Promise<Partial<Record<Workload, Run>>>>
> = {
  weir: async () => (await import("./weir.ts")).runs,
  naive: async () => (await import("./naive.ts")).naive,
  batched: async () => (await import("./naive.ts")).batched,
  nact: async () => (await import("./nact.ts")).runs,
  xstate: async () => (await import("./xstate.ts")).xstate,
  transition: async () => (await import("./xstate.ts")).xstateTransition,
  promise: async () => (await import("./promise.ts")).runs,
}

const [library, workload] = Deno.args
const run = (await libraries[library!]!())[workload as Workload]!

/** One line in, one line out. */
let rest = ""
for await (const text of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
  const lines = (rest + text).split("\n")
  rest = lines.pop()!
  for (const line of lines) {
    const answer = await run(JSON.parse(line) as Job).then(
      (sample) => ({ sample }),
      (error) => ({
        wrong: error instanceof VerificationFailed,
        message: error instanceof Error ? error.stack : String(error),
      }),
    )
    console.log(JSON.stringify(answer))
  }
}
