/**
 * The live line.
 */
import type { Glance } from "./engine.ts"
import type { Records } from "./records.ts"

/** Counts what ended since it was last called, and writes that to stderr. */
export const progressLine = (): (glance: Glance, records: Records) => void => {
  // Rows end out of order, so the ones still open are looked at again.
  let seen = 0
  let open: Array<number> = []
  let before = 0
  return ({ atMs, open: waiting, connections }, records) => {
    const counts: Record<string, number> = {}
    let late = 0
    const still: Array<number> = []
    const look = (row: number): void => {
      if (records.isOpen(row)) return void still.push(row)
      const outcome = records.outcomeOf(row)
      counts[outcome] = (counts[outcome] ?? 0) + 1
    }
    for (const row of open) look(row)
    const from = seen
    for (; seen < records.length; seen++) {
      late = Math.max(late, records.sentMs[seen]! - records.intendedMs[seen]!)
      look(seen)
    }
    open = still
    const perSecond = 1000 / Math.max(1, atMs - before)
    before = atMs
    const rate = (count: number) => Math.round(count * perSecond)
    const ended = Object.entries(counts).sort(([a], [b]) => a < b ? -1 : 1)
      .map(([name, count]) => `${name} ${rate(count)}`).join(", ")
    write(
      `${(atMs / 1000).toFixed(0).padStart(4)} s  sent ${rate(seen - from)}/s  ${ended || "–"}  ` +
        `open ${waiting}  connections ${connections}  at most ${late.toFixed(2)} ms late`,
    )
  }
}

/** Replaces the line on a terminal; on a pipe a line each. */
export const write = (line: string): void => {
  const text = Deno.stderr.isTerminal() ? `\r\x1b[2K${line}` : `${line}\n`
  Deno.stderr.writeSync(new TextEncoder().encode(text))
}
