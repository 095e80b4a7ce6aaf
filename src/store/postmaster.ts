/** Reads `postmaster.pid`, the file in which a PostgreSQL server says where it is. */

/** The lines of `postmaster.pid` that matter here. */
export interface Postmaster {
  readonly pid: number
  readonly dataDirectory: string
  readonly port: number
  /** Missing in the first moments of a start. */
  readonly host: string | undefined
  /** `starting`, `ready`, `stopping` or `standby`; missing in the first moments of a start. */
  readonly status: string | undefined
}

/** Reads the file's text; `undefined` when it is empty, cut short or not such a file. */
export const parse = (text: string): Postmaster | undefined => {
  const lines = text.split("\n").map((line) => line.trim())
  const pid = Number(lines[0])
  const port = Number(lines[3])
  if (!Number.isInteger(pid) || pid <= 0 || !lines[1]) return undefined
  return {
    pid,
    dataDirectory: lines[1],
    port: Number.isInteger(port) && port > 0 ? port : 0,
    host: lines[5] || undefined,
    status: lines[7] || undefined,
  }
}
