/**
 * The flags of a task's command line.
 */
import { parseArgs, type ParseArgsConfig } from "node:util"

type Flags = NonNullable<ParseArgsConfig["options"]>

/** What was given, positional arguments included. A flag that there is not is a `mistake`. */
export const readFlags = <const Options extends Flags>(
  task: string,
  args: ReadonlyArray<string>,
  options: Options,
  mistake: (message: string) => Error,
) => {
  try {
    return parseArgs({ args: [...args], allowPositionals: true, options })
  } catch (error) {
    const reason = error instanceof Error ? error.message.split(/\.\s/)[0] : String(error)
    throw mistake(`${reason}. See deno task ${task} --help.`)
  }
}
