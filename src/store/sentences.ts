/** Turns what PostgreSQL's programs write into one sentence for a person. */
import { reasonOf } from "./command.ts"
import type { DatabaseStartError } from "./DatabaseStartError.ts"
import * as StartError from "./DatabaseStartError.ts"

/** The way out that is always there; half a sentence. */
export const instead = "or set DATABASE_URL to a PostgreSQL server of your own"

/** The error that the text of `initdb`, `pg_ctl` or the server's log stands for. */
export const explain = (what: string, text: string): DatabaseStartError => {
  const line = (pattern: RegExp): string | undefined =>
    text.split("\n").find((candidate) => pattern.test(candidate))
      ?.replace(/^.*?(FATAL|ERROR|LOG|PANIC|initdb|pg_ctl): +(error: )?/, "").trim()
  if (/Address already in use/.test(text)) {
    return StartError.make(
      "PortInUse",
      what,
      "the port is in use by another program",
      `Stop that program, choose another port, ${instead}`,
    )
  }
  if (/is still in use|already exists/.test(text)) {
    return StartError.make(
      "DirectoryInUse",
      what,
      reasonOf(line(/still in use|already exists/) ?? "another server uses it"),
      `Stop that server, name another directory in WEIR_DATA_DIR, ${instead}`,
    )
  }
  if (/No space left on device|Disk quota exceeded/.test(text)) {
    return StartError.make(
      "DiskFull",
      what,
      "the disk is full",
      `Free about 100 MB, name another directory in WEIR_DATA_DIR, ${instead}`,
    )
  }
  if (/Permission denied|Read-only file system/.test(text)) {
    return StartError.make(
      "DirectoryNotWritable",
      what,
      reasonOf(line(/Permission denied|Read-only/) ?? "permission denied"),
      `Make the directory writable, name another one in WEIR_DATA_DIR, ${instead}`,
    )
  }
  if (/loading shared libraries|GLIBC|Library not loaded|not found \(required by/.test(text)) {
    return StartError.make(
      "BinaryFailed",
      what,
      reasonOf(line(/shared libraries|GLIBC|Library not|required by/) ?? "a library is missing"),
      "Allow the package's install script (`deno approve-scripts`) and run `deno install`, " +
        instead,
    )
  }
  if (/incompatible|invalid permissions|wrong ownership|not a valid data dir/.test(text)) {
    const detail = line(/DETAIL/)?.replace(/^.*DETAIL: +/, "")
    return StartError.make(
      "DirectoryDamaged",
      what,
      reasonOf(detail ?? line(/FATAL/) ?? "its files do not fit this PostgreSQL"),
      `Name another directory in WEIR_DATA_DIR, ${instead}`,
    )
  }
  return StartError.make(
    "NotStarted",
    what,
    reasonOf(
      line(/FATAL|PANIC/) ?? line(/error/) ?? (text.trim().split("\n").at(-1) || "no reason given"),
    ),
    `Read server.log in that directory, ${instead}`,
  )
}
