/**
 * `deno task sim`. See `docs/simulator.md`.
 *
 * Exit code 0 whatever the figures are; 1 when the results cannot be written, 2 for a mistake in the
 * arguments.
 */
import { parse, SimError, usage } from "./args.ts"
import { policies } from "./controls.ts"
import type { Result } from "./ledger.ts"
import { byPhase, comparison } from "./show.ts"
import { simulate } from "./simulate.ts"

/** One line on stderr that the next one replaces; nothing on a pipe. */
const progress = (line: string): void => {
  if (!Deno.stderr.isTerminal()) return
  Deno.stderr.writeSync(new TextEncoder().encode(`\r\x1b[2K${line}`))
}

const main = async (): Promise<number> => {
  let command
  try {
    command = parse(Deno.args.filter((arg) => arg !== "--"), policies)
  } catch (error) {
    if (!(error instanceof SimError)) throw error
    console.error(error.message)
    return 2
  }
  if (command._tag === "Help") {
    console.log(usage(policies))
    return 0
  }
  const { seed } = command
  const results: Array<Result> = []
  for (const scenario of command.scenarios) {
    for (const policy of command.policies) {
      progress(`${scenario.id} ${policy.name}`)
      results.push(simulate(scenario, policy, { seed }))
    }
  }
  progress("")
  console.log(comparison(results))
  if (command.phases) {
    for (const result of results) {
      console.log(`\n${result.scenario.id}, ${result.policy}\n\n${byPhase(result)}`)
    }
  }
  if (command.json === undefined) return 0
  try {
    await Deno.writeTextFile(command.json, `${JSON.stringify({ seed, results }, null, 2)}\n`)
    return 0
  } catch (error) {
    console.error(`Cannot write ${command.json}: ${error instanceof Error ? error.message : error}`)
    return 1
  }
}

Deno.exit(await main())
