import { Cause, Effect, Exit, Random } from "effect"
import { Metrics, Saturation } from "@weir/runtime"
import { random } from "../support/random.ts"

/** Work with registries and a seed of its own. */
export const fresh = <A, E, R>(effect: Effect.Effect<A, E, R>, seed = 1): Effect.Effect<A, E, R> =>
  Effect.suspend(() => {
    const next = random(seed)
    return effect.pipe(
      Effect.provideService(Saturation.Saturation, Saturation.makeUnsafe()),
      Effect.provideService(Metrics.Metrics, Metrics.makeUnsafe()),
      Effect.provideService(Random.Random, {
        nextIntUnsafe: () => Math.floor(next() * 0x7fffffff),
        nextDoubleUnsafe: next,
      }),
    )
  })

export const fork = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.forkChild(effect, { startImmediately: true })

/** The exit as a word: `ok`, the reason of a refusal, the tag or text of an error, or `interrupt`. */
export const word = (exit: Exit.Exit<unknown, unknown>): string => {
  if (Exit.isSuccess(exit)) return "ok"
  const [reason] = exit.cause.reasons
  if (reason === undefined || reason._tag === "Interrupt") return "interrupt"
  const value = reason._tag === "Fail" ? reason.error : reason.defect
  if (typeof value !== "object" || value === null) return String(value)
  if ("reason" in value && typeof value.reason === "string") return value.reason
  return "_tag" in value ? String(value._tag) : Cause.pretty(exit.cause)
}

/** Runs an effect so many times, and says how each of them ended. */
export const repeat = <A, E, R>(
  n: number,
  effect: Effect.Effect<A, E, R>,
): Effect.Effect<ReadonlyArray<string>, never, R> =>
  Effect.forEach(
    Array.from({ length: n }),
    () => Effect.map(Effect.exit(effect), word),
  )

/** How often each word is there. */
export const tally = (words: ReadonlyArray<string>): Readonly<Record<string, number>> => {
  const counts: Record<string, number> = {}
  for (const each of words) counts[each] = (counts[each] ?? 0) + 1
  return counts
}
