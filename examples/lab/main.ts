/**
 * The laboratory: `deno task lab`. See `docs/learn/lab.md`.
 *
 * Exit code 0 when it ran, 1 when it could not or found what cannot be, 2 for a mistake in the
 * arguments, 130 after Ctrl+C.
 *
 * @module
 */
import { Cause, Clock, Effect, Exit, Fiber } from "effect"
import { main } from "./command.ts"
import { onSignal } from "./stop.ts"

const fiber = Effect.runFork(main(Deno.args.filter((arg) => arg !== "--")))

let asked = false
const clock = Clock.Clock.defaultValue()
const signalled = onSignal({
  now: () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6,
  stop: () => {
    asked = true
    console.error(
      "\nStops: ends the queries and the database. Ctrl+C once more, after a second, leaves at once.",
    )
    Effect.runFork(Fiber.interrupt(fiber)).addObserver(() => {})
  },
  leave: () => Deno.exit(130),
})
for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, signalled)

fiber.addObserver((exit) => {
  if (Exit.isSuccess(exit)) return Deno.exit(exit.value)
  if (asked || Cause.hasInterruptsOnly(exit.cause)) return Deno.exit(130)
  console.error(`This is a bug of the laboratory:\n${Cause.pretty(exit.cause)}`)
  Deno.exit(1)
})
