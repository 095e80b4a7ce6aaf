/**
 * Locks on files: the operating system gives them back when a process dies, however it dies, which
 * no file with a process id in it can promise.
 */
import type { Duration, Scope } from "effect"
import { Effect, Schedule } from "effect"
import type { DatabaseStartError } from "./DatabaseStartError.ts"
import * as StartError from "./DatabaseStartError.ts"
import { reasonOf } from "./command.ts"

/** Opens (and creates) a file to be locked; closing the scope closes it and so unlocks it. */
export const open = (
  path: string,
): Effect.Effect<Deno.FsFile, DatabaseStartError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.tryPromise({
      try: () => Deno.open(path, { read: true, write: true, create: true, mode: 0o600 }),
      catch: (error) => notWritable(path, error),
    }),
    (file) => Effect.sync(() => file.close()),
  )

/** Takes the lock now, or says that somebody else has it. */
export const tryLock = (file: Deno.FsFile, mode: "shared" | "exclusive"): Effect.Effect<boolean> =>
  Effect.promise(() => file.tryLock(mode === "exclusive"))

/** Holds the file's lock until the scope closes; `false` when it was not free in time. */
export const exclusive = (
  path: string,
  patience: Duration.Input,
): Effect.Effect<boolean, DatabaseStartError, Scope.Scope> =>
  Effect.flatMap(open(path), (file) =>
    tryLock(file, "exclusive").pipe(
      Effect.repeat({ until: (locked: boolean) => locked, schedule: Schedule.spaced("20 millis") }),
      Effect.timeoutOrElse({ duration: patience, orElse: () => Effect.succeed(false) }),
    ))

/** The error for a path that we may not write to. */
export const notWritable = (path: string, error: unknown): DatabaseStartError =>
  StartError.make(
    "DirectoryNotWritable",
    `Cannot use ${path} for the database`,
    reasonOf(error),
    "Make the directory writable, name another one in WEIR_DATA_DIR, or set DATABASE_URL",
  )
