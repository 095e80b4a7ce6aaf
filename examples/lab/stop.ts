/**
 * What Ctrl+C does.
 *
 * @module
 */

/** How long a further signal still counts as the first one, in milliseconds. */
const onceMs = 1000

/**
 * The first signal stops, one more than a second later leaves at once. One Ctrl+C arrives twice: from
 * the terminal, and from `npx` or `deno task`, which pass on what they get.
 */
export const onSignal = (
  { leave, now, stop }: {
    /** Milliseconds of a clock. */
    readonly now: () => number
    readonly stop: () => void
    readonly leave: () => void
  },
): () => void => {
  let at: number | undefined
  return () => {
    if (at === undefined) {
      at = now()
      stop()
    } else if (now() - at > onceMs) leave()
  }
}
