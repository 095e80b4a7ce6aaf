import { Cause, Clock, Config, Console, type Context, Effect, Exit, Layer, Logger } from "effect"
import { Fatal } from "../task/fatal.ts"

/**
 * Runs a layer as the process: until SIGINT or SIGTERM, or until a part of it cannot go on, then until
 * its finalizers are done. A second signal, a second later or more, exits at once. Effect's own
 * `NodeRuntime.runMain` needs node's process, ignores a second signal and exits 130 also after a clean
 * drain.
 */
export const runMain = <A, E>(
  layer: Layer.Layer<A, E>,
  started: (services: Context.Context<A>) => Effect.Effect<void>,
  stopping: (services: Context.Context<A>) => Effect.Effect<void>,
): void => {
  let running: Context.Context<A> | undefined
  let fatal: Error | undefined
  let stop = (): void => {}
  const stopFor = (error: Error): void => {
    if (fatal !== undefined) return
    fatal = error
    stop()
  }
  const program = Effect.scoped(Effect.flatMap(Layer.build(layer), (services) => {
    running = services
    return Effect.andThen(started(services), Effect.never)
  })).pipe(Effect.provideService(Fatal, stopFor), Effect.provide(logging))
  const fiber = Effect.runFork(program)
  stop = () => fiber.interruptUnsafe()
  // It may have come to that before there was a fiber to interrupt.
  if (fatal !== undefined) stop()
  const clock = Clock.Clock.defaultValue()
  let stoppedAt: bigint | undefined
  const stopOn = (signal: Deno.Signal, code: number) =>
    Deno.addSignalListener(signal, () => {
      const now = clock.monotonicTimeNanosUnsafe()
      if (stoppedAt !== undefined) {
        if (now - stoppedAt > oneSecond) Deno.exit(code)
        return
      }
      stoppedAt = now
      const announce = running === undefined ? Effect.void : stopping(running)
      Effect.runFork(Effect.provide(announce, logging)).addObserver(stop)
    })
  stopOn("SIGINT", 130)
  stopOn("SIGTERM", 143)
  fiber.addObserver((exit) => {
    if (fatal !== undefined) {
      Effect.runFork(Console.error(`Stopped: ${inside(fatal.message)}`))
        .addObserver(() => Deno.exit(1))
      return
    }
    if (Exit.isSuccess(exit) || (stoppedAt !== undefined && Cause.hasInterruptsOnly(exit.cause))) {
      Deno.exit(0)
    }
    Effect.runFork(
      Console.error(explain(exit.cause, running === undefined ? "Cannot start" : "Stopped")),
    ).addObserver(() => Deno.exit(1))
  })
}

/**
 * One Ctrl+C arrives more than once: the terminal sends it to the whole process group, and `deno
 * task` and `npx` pass it on as well. What comes within this time is the same wish.
 */
const oneSecond = BigInt(1_000_000_000)

/** A sentence as a part of another one. */
const inside = (sentence: string): string => sentence.charAt(0).toLowerCase() + sentence.slice(1)

/** One sentence for what the user can mend; the whole cause for a bug. */
export const explain = (cause: Cause.Cause<unknown>, what: string): string => {
  for (const reason of cause.reasons) {
    const error = reason._tag === "Fail"
      ? reason.error
      : reason._tag === "Die"
      ? reason.defect
      : undefined
    if (error instanceof Config.ConfigError) {
      return `${what}: a setting is wrong: ${setting(error)}. Correct or unset the variable.`
    }
    const missing = error instanceof Error
      ? /^Service not found: (\S+)/.exec(error.message)?.[1]
      : undefined
    if (missing !== undefined) {
      return `${what}: nothing provides ${missing}. Add its layer to \`resources\`.`
    }
    if (error instanceof Deno.errors.NotCapable) {
      return `${what}: ${error.message.replace(/\.?$/, ".")} Or use -A, which allows everything.`
    }
    if (error instanceof Error && (reason._tag === "Fail" || "_tag" in error)) {
      return `${what}: ${error.message}`
    }
  }
  return `${what}; this is a bug:\n${Cause.pretty(cause)}`
}

const setting = (error: Config.ConfigError): string =>
  error.message.replace(/^SchemaError\(([^]*)\)$/, "$1").replaceAll(/\s*\n\s*/g, ", ")

// `Logger.consoleLogFmt` writes to standard output, whatever `LogToStderr` says.
const logFmt = Logger.withConsoleError(Logger.formatLogFmt)

/** Readable on a terminal, one line per entry elsewhere; stdout stays free for data. */
export const logging: Layer.Layer<never> = Layer.merge(
  Layer.suspend(() => Logger.layer([Deno.stderr.isTerminal() ? Logger.consolePretty() : logFmt])),
  Layer.succeed(Logger.LogToStderr, true),
)
