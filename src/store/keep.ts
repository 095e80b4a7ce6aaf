/** Starts a server again that has ended while it was needed. */
import { Cause, Clock, Effect, Exit } from "effect"
import * as Task from "../task/Task.ts"
import { DatabaseStartError } from "./DatabaseStartError.ts"

/** What is kept running. */
export interface Kept {
  /** For the log, such as `PostgreSQL in /srv/shop/.weir/postgres`. */
  readonly name: string
  readonly pid: number
  /** Asked twice a second; the looks at one process are counted from 0. */
  readonly alive: (pid: number, look: number) => Effect.Effect<boolean>
  /** Starts it again, or finds that somebody else has; its new process. */
  readonly revive: Effect.Effect<number, DatabaseStartError>
}

/** How often its process is looked at. */
const lookEveryMs = 500

/** The wait before each attempt. */
const pausesMs = [0, 500, 1000, 2000, 4000, 8000, 16_000, 30_000] as const

/** After this time in one piece all attempts are there again: what comes then is another trouble. */
const calmMs = 60_000

/** Ends when the process has. */
const untilDead = (kept: Kept, pid: number): Effect.Effect<void> => {
  let look = 0
  return Effect.ignore(Task.forever(Effect.flatMap(
    Effect.suspend(() => kept.alive(pid, look++)),
    (alive) => alive ? Effect.sleep(lookEveryMs) : Effect.fail("dead"),
  )))
}

/** Never ends by itself while an attempt is left; runs one attempt at a time. */
export const keep = Effect.fnUntraced(function* (kept: Kept): Effect.fn.Return<void> {
  const clock = yield* Clock.Clock
  let pid = kept.pid
  let attempts = 0
  for (;;) {
    const since = clock.currentTimeMillisUnsafe()
    yield* untilDead(kept, pid)
    if (clock.currentTimeMillisUnsafe() - since >= calmMs) attempts = 0
    let trouble = `${kept.name} has ended (process ${pid})`
    let remedy = "Read server.log in that directory"
    for (;;) {
      const pauseMs = pausesMs[attempts++]
      if (pauseMs === undefined) {
        return yield* Effect.logError(
          `${trouble}. It is not started again after ${pausesMs.length} attempts, and work that ` +
            `needs it fails. ${remedy}, and start the service again.`,
        )
      }
      yield* Effect.logWarning(
        `${trouble}. Starting it again${pauseMs === 0 ? "" : ` in ${pauseMs} ms`} ` +
          `(attempt ${attempts} of ${pausesMs.length}).`,
      )
      yield* Effect.sleep(pauseMs)
      const exit = yield* Effect.exit(kept.revive)
      if (Exit.isSuccess(exit)) {
        pid = exit.value
        break
      }
      const error = Cause.squash(exit.cause)
      if (error instanceof DatabaseStartError) remedy = error.next
      trouble = error instanceof DatabaseStartError ? `${error.what}: ${error.why}` : String(error)
    }
    yield* Effect.logInfo(`${kept.name} runs again (process ${pid}).`)
  }
})
