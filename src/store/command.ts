/** Runs PostgreSQL's own programs: no shell, a small environment, the right user. */
import { Effect } from "effect"
import type { DatabaseStartError } from "./DatabaseStartError.ts"
import * as StartError from "./DatabaseStartError.ts"

/** Under whose name a program runs; `undefined` means our own. */
export interface Account {
  readonly uid: number
  readonly gid: number
}

export interface Output {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/**
 * Runs a program to its end. Interruption sends it SIGTERM (which makes `initdb` remove what it
 * wrote).
 */
export const run = (
  program: string,
  args: ReadonlyArray<string>,
  account: Account | undefined,
): Effect.Effect<Output, DatabaseStartError> =>
  Effect.tryPromise({
    try: async (signal) => {
      const output = await new Deno.Command(program, {
        args: [...args],
        // Messages are read by programs (ours), so they must be in English.
        env: { LC_ALL: "C", PATH: "/usr/sbin:/usr/bin:/sbin:/bin" },
        clearEnv: true,
        // The working directory may be one that the other user must not enter.
        cwd: "/",
        stdin: "null",
        stdout: "piped",
        stderr: "piped",
        signal,
        ...account,
      }).output()
      const decoder = new TextDecoder()
      return {
        code: output.code,
        stdout: decoder.decode(output.stdout),
        stderr: decoder.decode(output.stderr),
      }
    },
    catch: (error) =>
      StartError.make(
        "BinaryFailed",
        `Cannot run ${program}`,
        reasonOf(error),
        `Allow it to run, or set DATABASE_URL to a PostgreSQL server of your own`,
      ),
  })

/** The message of a thrown value without its full stop. */
export const reasonOf = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).replace(/\.\s*$/, "")
