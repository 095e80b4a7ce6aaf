/** Services as real processes: started, watched, sent signals, and ended by their id. */
import { Effect, Redacted, Schedule, type Scope } from "effect"
import { fileURLToPath } from "node:url"
import { root } from "./tree.ts"

/** A started program. */
export interface Process {
  readonly pid: number
  /** What it has written so far. */
  readonly out: () => string
  readonly err: () => string
  /** Its exit code; 128 + n when signal n ended it. */
  readonly exit: Effect.Effect<number>
  /** Whether it has ended. */
  readonly ended: () => boolean
  readonly signal: (signal: Deno.Signal) => Effect.Effect<void>
}

/** A process that listens. */
export interface Service extends Process {
  readonly port: number
  readonly url: string
}

const programs = fileURLToPath(new URL("./programs/", import.meta.url))

/** What a service reads from the environment, so that the developer's own settings do not leak in. */
const foreign = /^(DATABASE_URL|WEIR_.*|OTEL_.*|PORT|HOST)$/

/** Starts a program below `test/support/programs`; it is killed with the scope. */
export const start = (
  program: string,
  env: Readonly<Record<string, string>> = {},
  permissions: ReadonlyArray<string> = ["-A"],
): Effect.Effect<Process, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const inherited = Object.entries(Deno.env.toObject())
        .filter(([name]) => !foreign.test(name))
      const child = new Deno.Command(Deno.execPath(), {
        args: ["run", ...permissions, "--no-prompt", "--quiet", `${programs}${program}.ts`],
        cwd: root,
        clearEnv: true,
        env: { ...Object.fromEntries(inherited), NO_COLOR: "1", ...env },
        stdin: "null",
        stdout: "piped",
        stderr: "piped",
      }).spawn()
      const out = collect(child.stdout)
      const err = collect(child.stderr)
      let ended = false
      const exit = Promise.all([child.status, out.done, err.done]).then(([{ code }]) => {
        ended = true
        return code
      })
      return {
        pid: child.pid,
        out: out.text,
        err: err.text,
        exit: Effect.promise(() => exit),
        ended: () => ended,
        signal: (signal: Deno.Signal) => Effect.sync(() => child.kill(signal)),
      }
    }),
    (process) =>
      Effect.andThen(
        Effect.suspend(() => process.ended() ? Effect.void : process.signal("SIGKILL")),
        process.exit,
      ),
  )

/** Starts a service of `programs`, by default `service.ts`, on a free port; waits until it listens. */
export const service = (
  url: Redacted.Redacted | undefined,
  env: Readonly<Record<string, string>> = {},
  permissions?: ReadonlyArray<string>,
  program = "service",
): Effect.Effect<Service, never, Scope.Scope> =>
  Effect.gen(function* () {
    const process = yield* start(program, {
      PORT: "0",
      ...(url === undefined ? {} : { DATABASE_URL: Redacted.value(url) }),
      ...env,
    }, permissions)
    const listens = / listens on (http:\/\/127\.0\.0\.1:(\d+))/
    yield* eventually(
      Effect.sync(() => process.ended() || listens.test(process.err())),
      (done) => done,
      30,
    )
    const match = listens.exec(process.err())
    if (match === null) return yield* Effect.die(new Error(`No service:\n${process.err()}`))
    return { ...process, url: match[1]!, port: Number(match[2]) }
  })

/** Looks again and again until it is as wanted; says what it saw last when that takes too long. */
export const eventually = <A, E, R>(
  look: Effect.Effect<A, E, R>,
  wanted: (value: A) => boolean,
  seconds = 10,
): Effect.Effect<A, E, R> =>
  Effect.flatMap(
    Effect.repeat(look, {
      until: wanted,
      schedule: Schedule.max([Schedule.spaced("20 millis"), Schedule.recurs(seconds * 50)]),
    }),
    (value) =>
      wanted(value) ? Effect.succeed(value) : Effect.die(
        new Error(`Not as wanted within ${seconds} s; last seen: ${JSON.stringify(value)}`),
      ),
  )

/** Waits until the process has written that. */
export const wrote = (process: Process, stream: "out" | "err", text: string | RegExp) =>
  eventually(
    Effect.sync(process[stream]),
    (all) => typeof text === "string" ? all.includes(text) : text.test(all),
  )

/** An answer, or why there was none. */
export interface Answer {
  /** 0 when there was none. */
  readonly status: number
  readonly body: string
  /** The slug of the problem, when it is one. */
  readonly problem: string | undefined
}

/** Asks for a path; an abort and a broken connection are answers too. */
export const get = (
  service: Service,
  path: string,
  init: RequestInit = {},
): Effect.Effect<Answer> =>
  Effect.promise(async () => {
    try {
      const response = await fetch(`${service.url}${path}`, init)
      const body = await response.text()
      return { status: response.status, body, problem: slugOf(body) }
    } catch (error) {
      return { status: 0, body: String(error), problem: undefined }
    }
  })

const slugOf = (body: string): string | undefined =>
  /"type":"urn:weir:problem:([a-z-]+)"/.exec(body)?.[1]

/** Whether somebody accepts connections on that loopback port. */
export const accepts = (port: number): Effect.Effect<boolean> =>
  Effect.promise(async () => {
    const connection = await Deno.connect({ hostname: "127.0.0.1", port }).catch(() => undefined)
    connection?.close()
    return connection !== undefined
  })

const collect = (stream: ReadableStream<Uint8Array>) => {
  let text = ""
  const done = (async () => {
    for await (const part of stream.pipeThrough(new TextDecoderStream())) text += part
  })()
  return { text: () => text, done }
}
