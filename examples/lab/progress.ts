/**
 * One line on standard error that the next one replaces; nothing where nobody could see it.
 *
 * @module
 */
import type { Tell } from "./run.ts"

/** The shortest time between two lines, in milliseconds: ten a second. */
const pauseMs = 100

const bar = (done: number, of: number): string => {
  const full = Math.round(8 * done / Math.max(1, of))
  return "▇".repeat(full) + "▁".repeat(8 - full)
}

/** The line, and how to take it away at the end. */
export const progress = (
  options: {
    /** Whether there is somebody to see it. */
    readonly visible: boolean
    readonly write: (text: string) => void
    /** Milliseconds of a clock. */
    readonly now: () => number
  },
): { readonly tell: Tell; readonly clear: () => void } => {
  const begin = options.now()
  let last = -Infinity
  const tell: Tell = (what, done, of) => {
    const now = options.now()
    if (!options.visible || now - last < pauseMs) return
    last = now
    const part = done === undefined || of === undefined ? "" : `  ${done}/${of}  ${bar(done, of)}`
    options.write(`\r\x1b[2Klab  ${((now - begin) / 1000).toFixed(1)} s  ${what}${part}`)
  }
  return { tell, clear: () => options.visible ? options.write("\r\x1b[2K") : undefined }
}
