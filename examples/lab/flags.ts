/**
 * The command line: flags with their units and bounds, and sentences for what makes no sense.
 *
 * @module
 */
import { Effect, FileSystem, Layer, Option, Path, Stdio, Terminal } from "effect"
import { CliConfig, CliOutput, Flag, GlobalFlag, type HelpDoc } from "effect/cli"
import { ChildProcessSpawner } from "effect/process"
import { defaults, ids, others, variants } from "./variants.ts"

const whole = (
  name: string,
  unit: string,
  description: string,
  [least, most]: readonly [number, number],
  otherwise: number,
) =>
  Flag.String(name).pipe(
    Flag.withMetavar(unit),
    Flag.withDescription(`${description} (default ${otherwise})`),
    Flag.mapTryCatch(
      (text) => {
        const value = Number(text)
        if (/^\d+$/.test(text) && value >= least && value <= most) return value
        throw new Error()
      },
      () => `Expected a whole number from ${least} to ${most}, such as ${otherwise}.`,
    ),
    Flag.withDefault(otherwise),
  )

const known = variants(defaults)

/** The ids behind a list of letters and ids; throws a sentence for what is none. */
export const chosen = (list: string): ReadonlyArray<string> => {
  const names = list.split(",").map((name) => name.trim()).filter((name) => name !== "")
  if (names.length === 0) throw new Error(`Expected at least one of: ${ids.join(", ")}.`)
  return names.map((name) => {
    const found = known.find(({ letter }) => letter === name.toUpperCase())?.id ??
      ids.find((id) => id === name.toLowerCase())
    if (found !== undefined) return found
    const near = ids.map((id) => [distance(name.toLowerCase(), id), id] as const)
      .sort(([a], [b]) => a - b)[0]!
    throw new Error(
      `Expected names of variants, and there is no "${name}". ${
        near[0] <= 3 ? `Did you mean ${near[1]}? ` : ""
      }There are: ${known.map(({ id, letter }) => `${letter} or ${id}`).join(", ")}; ${
        others.join(", ")
      }.`,
    )
  })
}

/** How many letters have to be changed, left out or put in (Levenshtein). */
const distance = (a: string, b: string): number => {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const change = a[i - 1] === b[j - 1] ? 0 : 1
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + change))
    }
    row = next
  }
  return row[b.length]!
}

export const flags = {
  requests: whole("requests", "N", "how many arrive at once", [1, 10_000], defaults.requests),
  pool: whole("pool", "N", "queries that may run at once", [1, 1000], defaults.pool),
  query: whole("query", "MS", "how long a query takes, in ms", [1, 60_000], defaults.queryMs),
  deadline: whole(
    "deadline",
    "MS",
    "how long a client waits, in ms",
    [1, 600_000],
    defaults.deadlineMs,
  ),
  queue: whole("queue", "N", "how many may wait, in variant D", [0, 10_000], defaults.queue),
  seed: whole("seed", "N", "of the arrivals of load and storm", [0, 2 ** 32 - 1], defaults.seed),
  variants: Flag.String("variants").pipe(
    Flag.withMetavar("LIST"),
    Flag.withDescription("some of those below, by letter or name (default all)"),
    Flag.mapTryCatch(chosen, (error) => error instanceof Error ? error.message : String(error)),
    Flag.withDefault(ids),
  ),
  virtual: Flag.Boolean("virtual").pipe(
    Flag.withDescription("virtual time only: no PostgreSQL, about 20 s"),
    Flag.withoutNegation,
    Flag.withDefault(false),
  ),
  out: Flag.String("out").pipe(
    Flag.withMetavar("DIR"),
    Flag.withDescription("write report.html and the plots as SVG files there"),
    Flag.filter((path) => path.trim() !== "", () => "Expected the name of a directory."),
    Flag.optional,
  ),
  json: Flag.Boolean("json").pipe(
    Flag.withDescription("print everything that was measured as JSON instead"),
    Flag.withoutNegation,
    Flag.withDefault(false),
  ),
  plots: Flag.Boolean("no-plots").pipe(
    Flag.withDescription("leave the plots out of what is printed"),
    Flag.withoutNegation,
    Flag.withDefault(false),
    Flag.map((without) => !without),
  ),
}

export const examples = [
  { command: "deno task lab", description: "everything, in virtual and in real time" },
  {
    command: "deno task lab --virtual --variants A,B,C,F",
    description: "four variants, in no time",
  },
  { command: "deno task lab --out lab", description: "with lab/report.html and SVG files" },
  {
    command: "deno task lab --pool 5 --query 100 --deadline 700 --variants B,F",
    description: "other numbers",
  },
]

/** Examples first: what most people want to see of a help. */
const help = (doc: HelpDoc.HelpDoc): string => {
  const rows = [...doc.flags, ...doc.globalFlags ?? []].map((flag) =>
    [
      [`--${flag.name}`, ...flag.aliases].join(", ") +
      (flag.type === "boolean" ? "" : ` ${flag.type}`),
      Option.getOrElse(flag.description, () => ""),
    ] as const
  )
  const width = Math.max(...rows.map(([name]) => name.length))
  return [
    doc.description,
    "",
    "Examples:",
    ...(doc.examples ?? []).map(({ command, description }) =>
      `  ${command}${description === undefined ? "" : `\n      ${description}`}`
    ),
    "",
    "Flags:",
    ...rows.map(([name, text]) => `  ${name.padEnd(width)}  ${text}`),
    "",
    "Variants, with the numbers above:",
    ...known.map(({ id, letter, title }) => `  ${letter}  ${id.padEnd(18)}  ${title}`),
    `     ${"load".padEnd(18)}  0.5 to 20 times what the pool can do, with and without admission`,
    `     ${"storm".padEnd(18)}  clients that retry while queries are slow`,
    "",
    "Exit codes: 0 it ran; 1 it could not run, or found what cannot be; 2 a mistake in the arguments;",
    "130 stopped with Ctrl+C. More: docs/learn/lab.md",
  ].join("\n")
}

const presenter = (out: (text: string) => void, err: (text: string) => void) => ({
  present: (event: CliOutput.Presenter.Event) =>
    Effect.sync(() => {
      switch (event._tag) {
        case "Help":
          return out(help(event.helpDoc))
        case "InvalidInvocation":
          for (const { message } of event.errors) err(`${message}\n`)
          return err("See deno task lab --help.\n")
        case "Version":
          return out(`${event.name} ${event.version}`)
      }
    }),
})

/** What `effect/cli` wants to have. The laboratory asks nothing, and reads no file by a flag. */
export const environment = (out: (text: string) => void, err: (text: string) => void) =>
  Layer.mergeAll(
    CliConfig.layer({ builtIns: [GlobalFlag.Help, GlobalFlag.Version] }),
    CliOutput.layerPresenter(presenter(out, err)),
    FileSystem.layerNoop({}),
    Path.layer,
    Stdio.layerTest({}),
    Layer.succeed(
      Terminal.Terminal,
      Terminal.make({
        columns: Effect.succeed(80),
        rows: Effect.succeed(24),
        size: Effect.die("The laboratory asks nothing."),
        readInput: Effect.die("The laboratory asks nothing."),
        readLine: Effect.die("The laboratory asks nothing."),
        display: () => Effect.void,
      }),
    ),
    Layer.succeed(
      ChildProcessSpawner.ChildProcessSpawner,
      ChildProcessSpawner.make(() => Effect.die("The laboratory starts nothing by itself.")),
    ),
  )
