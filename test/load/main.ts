/**
 * `deno task load`. See `docs/load.md`.
 *
 * Exit code 0; 1 when the run means nothing; 2 for a mistake in the arguments.
 */
import { type Command, parse, usage } from "./args.ts"
import { write } from "./progress.ts"
import { invalid, toSvg, toText } from "./report.ts"
import { runScenarios } from "./scenarios/run.ts"
import { LoadError } from "./target.ts"
import { work } from "./worker.ts"

const save = (path: string, text: string): void => {
  try {
    Deno.writeTextFileSync(path, text)
  } catch (error) {
    throw new LoadError(`Cannot write ${path}: ${error instanceof Error ? error.message : error}`)
  }
}

const runOne = (command: Extract<Command, { _tag: "Run" }>): number => {
  const { job, json, svg, allowLate } = command
  const result = work(job)
  if (Deno.stderr.isTerminal()) write("")
  console.log(toText(result, allowLate))
  if (json !== undefined) save(json, `${JSON.stringify(result, null, 2)}\n`)
  if (svg !== undefined) {
    const { host, port, streams } = job
    save(svg, toSvg(result, `Load on ${host}:${port}${streams[0]!.path}`))
  }
  if (result.parts.every(({ outcomes, attempts }) => outcomes.unreachable === attempts)) {
    throw new LoadError(
      `Nobody listens on ${job.host}:${job.port}. Start the service first, or correct the port.`,
    )
  }
  if (result.problem !== null) throw new LoadError(`Wrong answers: ${result.problem}`)
  return invalid(result) === undefined || allowLate ? 0 : 1
}

const main = async (): Promise<number> => {
  let command
  try {
    command = parse(Deno.args)
  } catch (error) {
    if (!(error instanceof LoadError)) throw error
    console.error(error.message)
    return 2
  }
  if (command._tag === "Help") {
    console.log(usage)
    return 0
  }
  try {
    if (Deno.build.os !== "linux") {
      throw new LoadError(
        "The generator calls the C library of Linux (glibc), so it runs there only.",
      )
    }
    return command._tag === "Run" ? runOne(command) : await runScenarios(command)
  } catch (error) {
    if (!(error instanceof LoadError)) throw error
    console.error(error.message)
    return 1
  }
}

Deno.exit(await main())
