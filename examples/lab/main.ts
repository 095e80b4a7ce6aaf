/**
 * The laboratory: `deno task lab`. See `docs/learn/lab.md`.
 *
 * Exit code 0 when it ran, 1 when it could not or found what cannot be, 2 for a mistake in the
 * arguments, 130 after Ctrl+C.
 *
 * @module
 */
import { Cause, Effect, Exit, Fiber } from "effect"
import { main } from "./command.ts"

const fiber = Effect.runFork(main(Deno.args.filter((arg) => arg !== "--")))

let asked = false
const stop = () => {
  if (asked) Deno.exit(130)
  asked = true
  console.error("\nStops: ends the queries and the database. Press Ctrl+C again to leave at once.")
  Effect.runFork(Fiber.interrupt(fiber)).addObserver(() => {})
}
for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, stop)

fiber.addObserver((exit) => {
  if (Exit.isSuccess(exit)) return Deno.exit(exit.value)
  if (asked || Cause.hasInterruptsOnly(exit.cause)) return Deno.exit(130)
  console.error(`This is a bug of the laboratory:\n${Cause.pretty(exit.cause)}`)
  Deno.exit(1)
})
