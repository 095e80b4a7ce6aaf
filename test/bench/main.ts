/**
 * `deno task bench`. See `docs/benchmarks.md`.
 *
 * Exit code 0 also when a target is missed: speed is no test. 1 when an answer was wrong or
 * something did not start, 2 for a mistake in the arguments.
 */
import { actors } from "./actors/suite.ts"
import { admission } from "./admission/suite.ts"
import { parse, usage } from "./args.ts"
import { http } from "./http/suite.ts"
import { machine } from "./machine.ts"
import { BenchError } from "./process.ts"
import { makeReport, refreshDocs, type Report, toMarkdown } from "./report.ts"
import { measureStarts, startReport } from "./start.ts"
import { runRounds, type Suite, VerificationFailed } from "./suite.ts"

const suites: ReadonlyArray<Suite> = [http, actors, admission]
const docs = new URL("../../docs/benchmarks.md", import.meta.url)

const abort = new AbortController()
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.addSignalListener(signal, () => abort.abort(new BenchError(`Ended by ${signal}.`)))
}

/** One line on stderr that the next one replaces; on a pipe a line each. */
const progress = (line: string): void => {
  const text = Deno.stderr.isTerminal() ? `\r\x1b[2K${line}` : `${line}\n`
  Deno.stderr.writeSync(new TextEncoder().encode(text))
}

const measure = async (
  command: Exclude<ReturnType<typeof parse>, { _tag: "Help" }>,
): Promise<Report> => {
  const about = { at: new Date().toISOString(), machine: await machine() }
  const common = { progress, signal: abort.signal }
  if (command._tag === "Start") {
    return startReport(await measureStarts({ ...command, ...common }), command.command, {
      ...about,
      idleSeconds: command.idleSeconds,
    })
  }
  const { suite, rounds, seconds, only } = command
  progress(`preparing suite ${suite.name}`)
  const { subjects, skipped, close } = await suite.prepare(only)
  try {
    const taken = await runRounds(subjects, { rounds, seconds, ...common })
    return makeReport(suite, subjects, taken, {
      ...about,
      method: `${rounds} rounds of ${seconds} s each`,
      skipped,
    })
  } finally {
    await close()
  }
}

const write = (path: string | URL, text: string): Promise<void> =>
  Deno.writeTextFile(path, text).catch((error) => {
    throw new BenchError(`Cannot write ${path}: ${error.message}`)
  })

const main = async (): Promise<number> => {
  let command
  try {
    command = parse(Deno.args, suites)
  } catch (error) {
    if (!(error instanceof BenchError)) throw error
    console.error(error.message)
    return 2
  }
  if (command._tag === "Help") {
    console.log(usage(suites))
    return 0
  }
  try {
    if (Deno.build.os !== "linux") {
      throw new BenchError("The benchmarks read CPU time from /proc and so run on Linux only.")
    }
    const report = await measure(command)
    const text = toMarkdown(report)
    progress("")
    console.log(text)
    if (command.json !== undefined) {
      await write(command.json, `${JSON.stringify(report, null, 2)}\n`)
    }
    if (command.writeDocs) {
      await write(docs, refreshDocs(await Deno.readTextFile(docs), report.suite, text))
    }
    return 0
  } catch (error) {
    // Ctrl-C reaches the subjects too, and then their answers fail first.
    const cause = abort.signal.aborted ? abort.signal.reason : error
    if (!(cause instanceof BenchError || cause instanceof VerificationFailed)) throw cause
    progress("")
    console.error(cause.message)
    return 1
  }
}

Deno.exit(await main())
