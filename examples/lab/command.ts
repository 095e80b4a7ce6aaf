/**
 * The command: reads the flags, runs, prints.
 *
 * @module
 */
import { Clock, Effect, Option, Result } from "effect"
import { Command } from "effect/cli"
import weir from "../../deno.json" with { type: "json" }
import { prepare, write } from "./files.ts"
import { environment, examples, flags } from "./flags.ts"
import { capacity, everyLoad, virtualSpan } from "./load.ts"
import { progress } from "./progress.ts"
import type { Results } from "./results.ts"
import { type Plan, plan, realTime, run } from "./run.ts"
import { verdicts } from "./say.ts"
import { tables, text } from "./table.ts"
import { terminalPlots } from "./terminal.ts"
import type { Parameters } from "./variants.ts"

/** The longest that a run in real time may take, in minutes. */
const longestMinutes = 10

/** The most requests of one offered load. */
const mostRequests = 50_000

/** What is wrong with the parameters together, as one sentence. */
export const objection = (it: Plan): string | undefined => {
  const { deadlineMs } = it.parameters
  const most = Math.max(...everyLoad) * capacity(it.parameters) * virtualSpan.whole * deadlineMs /
    1000
  if ((it.load || it.storm) && most > mostRequests) {
    return `With these numbers "load" would send ${
      Math.round(most).toLocaleString("en")
    } requests at once; the most is ${
      mostRequests.toLocaleString("en")
    }. Use a smaller --pool or --deadline, a longer --query, or --variants without load and storm.`
  }
  const minutes = realTime(it) / 60_000
  return minutes <= longestMinutes
    ? undefined
    : `In real time this would take ${
      Math.round(minutes).toLocaleString("en")
    } minutes; the most is ${longestMinutes}. Use --virtual, or smaller numbers.`
}

/** What will run, and for how long. */
const announcement = (it: Plan): string => {
  const names = [
    ...it.chosen.map(({ letter }) => letter),
    ...(it.load ? ["load"] : []),
    ...(it.storm ? ["storm"] : []),
  ].join(", ")
  const virtual = it.load ? "about 20 s" : "a few seconds"
  const time = it.real
    ? `${virtual} in virtual time, then about ${Math.ceil(realTime(it) / 1000)} s in real time`
    : `${virtual}, in virtual time alone`
  return `lab: ${names}. It takes ${time}. Ctrl+C stops it.`
}

/** How the program is seen from outside. */
export interface Outside {
  readonly out: (text: string) => void
  readonly err: (text: string) => void
  /** Whether somebody watches standard error. */
  readonly watched: boolean
}

const terminal: Outside = {
  out: (text) => console.log(text),
  err: (text) => Deno.stderr.writeSync(new TextEncoder().encode(text)),
  watched: Deno.stderr.isTerminal() && (Deno.env.get("NO_COLOR") ?? "") === "",
}

/** Everything that is printed, as text. */
const printed = (results: Results, plots: boolean): string =>
  [
    ...verdicts(results),
    ...tables(results).map(text),
    ...(plots ? [...terminalPlots(results, "virtual"), ...terminalPlots(results, "real")] : []),
  ].join("\n\n")

/** Runs with these arguments; the exit code. */
export const main = (
  args: ReadonlyArray<string>,
  { err, out, watched }: Outside = terminal,
): Effect.Effect<number> => {
  let code = 0
  const command = Command.make("lab", flags, (given) =>
    Effect.gen(function* () {
      const parameters: Parameters = {
        requests: given.requests,
        pool: given.pool,
        queryMs: given.query,
        deadlineMs: given.deadline,
        queue: given.queue,
        seed: given.seed,
      }
      const wanted = plan(parameters, given.variants, !given.virtual)
      const wrong = objection(wanted)
      if (wrong !== undefined) {
        err(`${wrong}\n`)
        code = 2
        return
      }
      err(`${announcement(wanted)}\n`)
      const clock = yield* Clock.Clock
      const directory = Option.getOrUndefined(given.out)
      const line = progress({
        visible: watched,
        write: err,
        now: () => clock.currentTimeMillisUnsafe(),
      })
      const found = yield* Effect.gen(function* () {
        if (directory !== undefined) yield* prepare(directory)
        const results = yield* run(wanted, line.tell)
        if (directory !== undefined) yield* write(directory, results)
        return results
      }).pipe(
        Effect.result,
        Effect.ensuring(Effect.sync(line.clear)),
      )
      if (Result.isFailure(found)) {
        err(`${found.failure.message}\n`)
        code = 1
        return
      }
      const results = found.success
      out(given.json ? JSON.stringify(results, null, 2) : printed(results, given.plots))
      if (directory !== undefined) err(`Written: ${directory}/report.html and the plots.\n`)
      if (results.bursts.some(({ real }) => real?.verdict.kind === "impossible")) code = 1
    })).pipe(
      Command.withDescription(
        "The laboratory: 100 requests at once, a pool of 10, a query of 200 ms, served in different ways.",
      ),
      Command.withExamples(examples),
    )
  return Command.runWith(command, { version: weir.version })(args).pipe(
    Effect.map(() => code),
    Effect.catch((error) =>
      Effect.succeed(error._tag === "ShowHelp" && error.errors.length === 0 ? 0 : 2)
    ),
    Effect.provide(environment(out, err)),
  )
}
