import { Cause, Config, Console, type Context, Effect, Exit, Layer, Logger } from "effect"

/**
 * Runs a layer as the process: until SIGINT or SIGTERM, then until its finalizers are done. A second
 * signal exits at once. Effect's own `NodeRuntime.runMain` needs node's process, ignores a second
 * signal and exits 130 also after a clean drain.
 */
export const runMain = <A, E>(
  layer: Layer.Layer<A, E>,
  started: (services: Context.Context<A>) => Effect.Effect<void>,
  stopping: (services: Context.Context<A>) => Effect.Effect<void>,
): void => {
  let running: Context.Context<A> | undefined
  const program = Effect.scoped(Effect.flatMap(Layer.build(layer), (services) => {
    running = services
    return Effect.andThen(started(services), Effect.never)
  })).pipe(Effect.provide(logging))
  const fiber = Effect.runFork(program)
  const stopOn = (signal: Deno.Signal, code: number) => {
    let asked = false
    Deno.addSignalListener(signal, () => {
      if (asked || stopped) Deno.exit(code)
      asked = stopped = true
      const announce = running === undefined ? Effect.void : stopping(running)
      Effect.runFork(Effect.provide(announce, logging)).addObserver(() => fiber.interruptUnsafe())
    })
  }
  let stopped = false
  stopOn("SIGINT", 130)
  stopOn("SIGTERM", 143)
  fiber.addObserver((exit) => {
    if (Exit.isSuccess(exit) || (stopped && Cause.hasInterruptsOnly(exit.cause))) Deno.exit(0)
    Effect.runFork(
      Console.error(explain(exit.cause, running === undefined ? "Cannot start" : "Stopped")),
    ).addObserver(() => Deno.exit(1))
  })
}

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
