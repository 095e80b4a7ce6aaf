/**
 * The command line of `deno task sim`.
 */
import { readFlags } from "../support/flags.ts"
import type { Policy } from "./control.ts"
import type { Scenario } from "./scenario.ts"
import { scenarios, select } from "./scenarios.ts"

/** A mistake in the arguments, as one sentence. */
export class SimError extends Error {}

/** What was asked for. */
export type Command =
  | { readonly _tag: "Help" }
  | {
    readonly _tag: "Run"
    readonly scenarios: ReadonlyArray<Scenario>
    readonly policies: ReadonlyArray<Policy>
    readonly seed: number
    readonly phases: boolean
    readonly json: string | undefined
  }

export const usage = (policies: ReadonlyArray<Policy>): string =>
  `Usage: deno task sim [scenario...] [options]

Runs scenarios in virtual time and compares policies with the oracle. Without a scenario: all.

Scenarios:
${scenarios.map(({ id, title }) => `  ${id.padEnd(14)} ${title}`).join("\n")}
  A group runs all of its members: S3 is S3/0.4x, S3/10x and S3/20x.

Policies:
${policies.map(({ about, name }) => `  ${name.padEnd(14)} ${about}`).join("\n")}

Options:
  --policy A,B   these policies alone (default: all)
  --seed N       a whole number; the same one gives the same run (default 1)
  --phases       one line for each phase
  --json FILE    also write the results as JSON
  --help         this text`

/** Reads the arguments. Throws a {@link SimError} that says what is wrong with them. */
export const parse = (args: ReadonlyArray<string>, policies: ReadonlyArray<Policy>): Command => {
  const { positionals, values } = readArgs(args)
  if (values.help === true) return { _tag: "Help" }
  const names = values.policy === undefined ? undefined : namesIn(values.policy)
  return {
    _tag: "Run",
    scenarios: positionals.length === 0 ? scenarios : positionals.flatMap((id) => {
      const found = select(id)
      if (found.length > 0) return found
      const groups = new Set(scenarios.map(({ id }) => id.split("/")[0]))
      throw new SimError(
        `There is no scenario "${id}". There are: ${[...groups].join(", ")}; see --help.`,
      )
    }),
    policies: names === undefined ? policies : names.map((name) => {
      const policy = policies.find((it) => it.name === name)
      if (policy !== undefined) return policy
      throw new SimError(
        `There is no policy "${name}". There are: ${policies.map((it) => it.name).join(", ")}.`,
      )
    }),
    seed: seedOf(values.seed),
    phases: values.phases ?? false,
    json: fileOf(values.json),
  }
}

const readArgs = (args: ReadonlyArray<string>) =>
  readFlags("sim", args, {
    help: { type: "boolean", short: "h" },
    policy: { type: "string" },
    seed: { type: "string" },
    phases: { type: "boolean" },
    json: { type: "string" },
  }, (message) => new SimError(message))

const namesIn = (text: string): ReadonlyArray<string> => {
  const names = text.split(",").map((name) => name.trim()).filter(Boolean)
  if (names.length > 0) return names
  throw new SimError('--policy takes names with commas between them, not "".')
}

const seedOf = (text: string | undefined): number => {
  if (text === undefined) return 1
  if (/^\d{1,9}$/.test(text)) return Number(text)
  throw new SimError(`--seed takes a whole number of at most nine digits, not "${text}".`)
}

const fileOf = (text: string | undefined): string | undefined => {
  if (text !== "") return text
  throw new SimError('--json takes the name of a file, not "".')
}
