/**
 * The command line of `deno task bench`.
 */
import { readFlags } from "../support/flags.ts"
import { BenchError } from "./process.ts"
import type { Suite } from "./suite.ts"

/** What was asked for. */
export type Command =
  | { readonly _tag: "Help" }
  | {
    readonly _tag: "Run"
    readonly suite: Suite
    readonly rounds: number
    readonly seconds: number
    readonly lanes: number | undefined
    readonly json: string | undefined
    readonly only: ReadonlyArray<string>
    readonly writeDocs: boolean
  }
  | {
    readonly _tag: "Start"
    readonly command: ReadonlyArray<string>
    readonly runs: number
    readonly path: string
    readonly idleSeconds: number
    readonly json: string | undefined
    readonly writeDocs: boolean
  }

export const usage = (suites: ReadonlyArray<Suite>): string =>
  `Usage: deno task bench <suite> [options]
       deno task bench start [options] -- <command with {port}>

Suites:
${suites.map(({ name, description }) => `  ${name.padEnd(10)} ${description}`).join("\n")}
  ${"start".padEnd(10)} time from a process's start to its first 200, and its idle memory

Options of a suite:
  --rounds N       how often each subject is measured, in turn (default 5)
  --seconds S      how long each time (default 2; overload: 6, the length of a spike)
  --lanes N        how many subjects at the same time (default 1); only for suites that wait more
                   than they compute: overload
  --only A,B       these subjects alone
Options of start:
  --runs N         how many measured starts; one more before them warms the caches (default 5)
  --path PATH      what must answer 200 (default /health/ready)
  --idle S         seconds without a request before memory is read (default 5)
Options of both:
  --json FILE      also write the result as JSON
  --write-docs     also put the table into docs/benchmarks.md

Subjects:
${suites.map(({ name, ids }) => `  ${name.padEnd(10)} ${ids.join(", ")}`).join("\n")}`

/** Reads the arguments. Throws a {@link BenchError} that says what is wrong with them. */
export const parse = (args: ReadonlyArray<string>, suites: ReadonlyArray<Suite>): Command => {
  const { values, positionals } = readArgs(args)
  const [name, ...rest] = positionals
  if (values.help || name === undefined) return { _tag: "Help" }
  const common = { json: values.json, writeDocs: values["write-docs"] ?? false }
  if (name === "start") {
    if (rest.length === 0) {
      throw new BenchError(
        "No command to start. Put it behind --, with {port} where its port goes:\n" +
          "  deno task bench start -- deno task start --port {port}",
      )
    }
    return {
      _tag: "Start",
      command: rest,
      runs: positive("--runs", values.runs, 5),
      path: values.path ?? "/health/ready",
      idleSeconds: positive("--idle", values.idle, 5),
      ...common,
    }
  }
  const suite = suites.find((it) => it.name === name)
  if (suite === undefined) {
    const known = [...suites.map((it) => it.name), "start"].join(", ")
    throw new BenchError(`There is no suite "${name}". There are: ${known}.`)
  }
  if (rest.length > 0) throw new BenchError(`"${rest[0]}" is one argument too many.`)
  const only = values.only?.split(",").map((id) => id.trim()).filter(Boolean) ?? []
  const unknown = only.find((id) => !suite.ids.includes(id))
  if (unknown !== undefined) {
    throw new BenchError(
      `Suite ${name} has no subject "${unknown}". It has: ${suite.ids.join(", ")}.`,
    )
  }
  return {
    _tag: "Run",
    suite,
    rounds: positive("--rounds", values.rounds, 5),
    seconds: positive("--seconds", values.seconds, suite.seconds ?? 2),
    lanes: values.lanes === undefined ? undefined : positive("--lanes", values.lanes, 1),
    only,
    ...common,
  }
}

const readArgs = (args: ReadonlyArray<string>) =>
  readFlags("bench", args, {
    help: { type: "boolean", short: "h" },
    rounds: { type: "string" },
    seconds: { type: "string" },
    lanes: { type: "string" },
    only: { type: "string" },
    runs: { type: "string" },
    path: { type: "string" },
    idle: { type: "string" },
    json: { type: "string" },
    "write-docs": { type: "boolean" },
  }, (message) => new BenchError(message))

const positive = (option: string, text: string | undefined, otherwise: number): number => {
  if (text === undefined) return otherwise
  const value = Number(text)
  const whole = ["--rounds", "--runs", "--lanes"].includes(option)
  if (value > 0 && Number.isFinite(value) && (!whole || Number.isInteger(value))) return value
  throw new BenchError(`${option} takes a ${whole ? "whole " : ""}number above 0, not "${text}".`)
}
