/**
 * Where prices are asked for: at `PRICE_PROVIDER_URL`, or at a process that the storefront starts by
 * itself, keeps alive, and takes along when it stops.
 *
 * Nobody waits for that process. While there is none there is no address, a call for a price fails at
 * once, and quotes do without (`Quotes.ts`): a provider that cannot start stops nobody.
 *
 * @module
 */
import { Config, Context, Duration, Effect, Layer, Option, Schedule, Schema, Stream } from "effect"
import { Supervisor } from "@weir/runtime"
import { fileURLToPath } from "node:url"

/** There is no provider to ask at the moment. */
export class NoProvider extends Schema.TaggedError<NoProvider>()("NoProvider", {}) {}

/** The process of the provider has ended by itself. */
class Ended extends Schema.TaggedError<Ended>()("Ended", { code: Schema.Int }) {
  override get message() {
    return `The process of the price provider has ended with code ${this.code}.`
  }
}

export class PriceProvider extends Context.Service<PriceProvider, {
  /** Its address, without a slash at the end. */
  readonly url: Effect.Effect<string, NoProvider>
}>()("storefront/PriceProvider") {
  /** A provider that somebody else runs. */
  static readonly at = (url: string) =>
    Layer.succeed(PriceProvider, { url: Effect.succeed(url.replace(/\/+$/, "")) })

  /** A process of our own. */
  static readonly supervised = (program: Program = provider) =>
    Layer.effect(PriceProvider, supervise(program))

  static readonly layer = Layer.unwrap(
    Effect.map(
      Config.option(Config.URL("PRICE_PROVIDER_URL")),
      Option.match({
        onNone: () => PriceProvider.supervised(),
        onSome: (url) => PriceProvider.at(url.href),
      }),
    ),
  )
}

/** What is started. It says on standard error where it listens. */
export interface Program {
  readonly command: string
  readonly args: ReadonlyArray<string>
}

/** May listen and connect on this machine, and see the few variables below: nothing else. */
const provider: Program = {
  command: Deno.execPath(),
  args: [
    "run",
    "--quiet",
    "--no-prompt",
    "--allow-net=127.0.0.1",
    "--allow-env",
    fileURLToPath(new URL("./provider.ts", import.meta.url)),
    "--with-parent",
  ],
}

/** Where Deno keeps what it has compiled; the rest of our environment is not its business. */
const passedOn = ["HOME", "XDG_CACHE_HOME", "DENO_DIR", "LOCALAPPDATA"]

/** 0.25, 0.5, 1, 2, 4 … seconds, at most 30: as often as it takes. */
const policy = Supervisor.restart({
  intensity: Infinity,
  backoff: Schedule.exponential("250 millis").pipe(
    Schedule.modifyDelay(({ duration }) =>
      Effect.succeed(Duration.min(duration, Duration.seconds(30)))
    ),
  ),
})

const supervise = Effect.fn("PriceProvider.supervise")(function* (program: Program) {
  let url: string | undefined
  const listens = (address: string | undefined) => {
    url = address
  }
  yield* Supervisor.make({
    name: "price provider",
    policy,
    children: [{ id: "process", effect: run(program, listens) }],
  }).pipe(Effect.orDie) // its child need not be ready, so it cannot fail to be
  return {
    url: Effect.suspend(() =>
      url === undefined ? Effect.fail(new NoProvider()) : Effect.succeed(url)
    ),
  }
})

/** One life of the process. It fails when that ends. */
const run = (program: Program, listens: (address: string | undefined) => void) =>
  Effect.scoped(Effect.gen(function* () {
    const process = yield* Effect.acquireRelease(spawn(program), kill)
    // Forked below the process: it still listens while that says its last words.
    yield* Effect.forkScoped(follow(process, listens), { startImmediately: true })
    const { code } = yield* Effect.promise(() => process.status).pipe(
      Effect.onInterrupt(() => terminate(process)),
    )
    return yield* new Ended({ code })
  })).pipe(Effect.ensuring(Effect.sync(() => listens(undefined))))

const spawn = ({ args, command }: Program) =>
  Effect.try({
    try: () =>
      new Deno.Command(command, {
        args: [...args],
        clearEnv: true,
        env: {
          HOST: "127.0.0.1",
          PORT: "0",
          NO_COLOR: "1",
          ...Object.fromEntries(passedOn.flatMap((name) => {
            const value = Deno.env.get(name)
            return value === undefined ? [] : [[name, value]]
          })),
        },
        // Its end tells the process that we are no more, even after `kill -9`.
        stdin: "piped",
        stdout: "null",
        stderr: "piped",
        // Ctrl+C in a terminal goes to us alone: quotes are still answered while we drain.
        detached: true,
      }).spawn(),
    catch: (error) => error,
  })

/** Asks it to stop, and waits for a second. */
const terminate = (process: Deno.ChildProcess) =>
  Effect.andThen(
    signal(process, "SIGTERM"),
    Effect.timeoutOption(Effect.promise(() => process.status), "1 second"),
  )

/** Whatever happened: afterwards there is no such process, and no pipe to it. */
const kill = (process: Deno.ChildProcess) =>
  signal(process, "SIGKILL").pipe(
    Effect.andThen(Effect.promise(() => process.status)),
    Effect.andThen(Effect.promise(() => process.stdin.abort().catch(() => {}))),
  )

const signal = (process: Deno.ChildProcess, name: Deno.Signal) =>
  Effect.ignore(Effect.try(() => process.kill(name))) // it may have ended

/** Reads where it listens, and hands on all else that it says, line by line. */
const follow = (process: Deno.ChildProcess, listens: (address: string | undefined) => void) =>
  Stream.fromReadableStream({ evaluate: () => process.stderr, onError: (error) => error }).pipe(
    Stream.decodeText(),
    Stream.splitLines,
    Stream.runForEach((line) => {
      const address = / listens on (http:\S+)/.exec(line)?.[1]
      if (address !== undefined) {
        listens(address)
        return Effect.logInfo(`The price provider listens on ${address}, process ${process.pid}.`)
      }
      return /^\s/.test(line) ? Effect.void : Effect.logInfo(`price provider: ${line}`)
    }),
    Effect.catchCause((cause) => Effect.logWarning("Lost the price provider's log.", cause)),
  )
