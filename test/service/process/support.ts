/** Load on a service process, and what it shows of itself, on HTTP and on its database. */
import { Effect, Exit, type Redacted, Scope } from "effect"
import { join } from "node:path"
import * as TestDatabase from "../../support/database.ts"
import * as Process from "../../support/process.ts"

/** Starts requests now and collects their answers later. */
export const begin = (service: Process.Service, count: number, path: string) =>
  Effect.forkScoped(
    Effect.all(Array.from({ length: count }, () => Process.get(service, path)), {
      concurrency: "unbounded",
    }),
    { startImmediately: true },
  )

/** How many answers there were of each kind: `200`, `503 refused`; `0` for none. */
export const tally = (
  answers: ReadonlyArray<Process.Answer>,
): Readonly<Record<string, number>> => {
  const counts: Record<string, number> = {}
  for (const { status, problem } of answers) {
    const key = problem === undefined ? String(status) : `${status} ${problem}`
    counts[key] = (counts[key] ?? 0) + 1
  }
  return counts
}

interface Line {
  readonly name: string
  readonly inUse: number
  readonly waiting: number
  readonly capacity: number
  readonly queueCapacity: number
  readonly highWater: number
}

/** Every bounded thing of the service. */
export const saturation = (service: Process.Service): Effect.Effect<ReadonlyArray<Line>> =>
  Effect.map(
    Process.get(service, "/saturation"),
    ({ body }) => (JSON.parse(body) as { readonly bounded: ReadonlyArray<Line> }).bounded,
  )

const used = (service: Process.Service, name: string): Effect.Effect<number> =>
  Effect.map(saturation(service), (lines) => {
    const line = lines.find((line) => line.name === name)!
    return line.inUse + line.waiting
  })

/** Requests that hold or wait for a connection. */
export const busy = (service: Process.Service): Effect.Effect<number> => used(service, "database")

/** Requests that were admitted and have not ended. */
export const live = (service: Process.Service): Effect.Effect<number> => used(service, "admission")

/** Asks the database, past every service. */
export const ask = (url: Redacted.Redacted, sql: string): Effect.Effect<number> =>
  Effect.scoped(
    Effect.flatMap(
      TestDatabase.connection(url),
      (admin) => Effect.map(Effect.orDie(admin.query(sql)), ({ rows }) => Number(rows[0]?.["n"])),
    ),
  )

const count = (condition: string) =>
  "select count(*)::int as n from pg_stat_activity where application_name = 'weir' and " +
  `datname = current_database() and ${condition}`

/** Queries of services that run on the server. */
export const active = (url: Redacted.Redacted): Effect.Effect<number> =>
  ask(url, count("state <> 'idle'"))

/** Connections of services. */
export const sessions = (url: Redacted.Redacted): Effect.Effect<number> => ask(url, count("true"))

/** Keeps every query of the fixture from ending, until the returned effect has run. */
export const closeGate = (url: Redacted.Redacted) =>
  Effect.gen(function* () {
    const scope = yield* Scope.fork(yield* Effect.scope)
    const admin = yield* Scope.provide(TestDatabase.connection(url), scope)
    yield* Effect.orDie(admin.query("select pg_advisory_lock(4711)"))
    return Scope.close(scope, Exit.void)
  })

/** Asks again and again, `concurrency` requests at a time; ends with its scope. */
export const keepAsking = (service: Process.Service, path: string, concurrency: number) =>
  Effect.gen(function* () {
    const answers: Array<Process.Answer> = []
    const once = Effect.map(
      Process.get(service, path, { headers: { "request-timeout": "5000" } }),
      (answer) => {
        answers.push(answer)
      },
    )
    yield* Effect.forkScoped(
      Effect.all(Array.from({ length: concurrency }, () => Effect.forever(once)), {
        concurrency: "unbounded",
      }),
      { startImmediately: true },
    )
    return answers
  })

/** The first process of the embedded server on that directory, and its port. */
export const postmaster = (directory: string) =>
  Effect.promise(async () => {
    const text = await Deno.readTextFile(join(directory, "data", "postmaster.pid")).catch(() => "")
    const lines = text.split("\n")
    return text === "" ? undefined : { pid: Number(lines[0]), port: Number(lines[3]) }
  })
