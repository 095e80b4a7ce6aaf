/**
 * A service whose work is done by actors, as a process. It tells on standard output what its actors
 * did, one line each. Read from the environment, beside what every service reads: `FIXTURE_NOTE_MS`
 * (how long a note takes), `FIXTURE_GRACE_MS` (of an actor), `FIXTURE_ACTORS_MS` (of all of them),
 * `FIXTURE_CLOSE_MS` (of the handlers and the resources),
 * `FIXTURE_IN_HANDLERS=1` (the actors are given with the handlers, not as resources).
 */
import { Effect, Layer, Option, Schema } from "effect"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { Rpc } from "effect/rpc"
import {
  Actor,
  ActorSystem,
  CancelReason,
  Policy,
  Service,
  Supervised,
} from "../../../src/index.ts"

const millis = (name: string, otherwise: number) =>
  `${Number(Deno.env.get(`FIXTURE_${name}`) ?? otherwise)} millis` as const

const say = (line: string) =>
  Effect.sync(() => {
    // Synchronous: a line that was said is there, however the process ends.
    Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`))
  })

/** Absolute milliseconds with fractions; the tests compare it with their own. */
const now = () => performance.timeOrigin + performance.now()

const why = Effect.map(
  CancelReason.current,
  Option.match({ onNone: () => "none", onSome: (reason) => reason._tag }),
)

/** What became of one ask whose client left. */
const Ask = Schema.Struct({
  token: Schema.String,
  /** Whether its handler had been started when the ask was over, and whether it ever was. */
  ran: Schema.Boolean,
  everRan: Schema.Boolean,
  /** What the handler's finalizer read; what the request's did. */
  handlerReason: Schema.NullOr(Schema.String),
  requestReason: Schema.String,
  releasedAt: Schema.Number,
})
type Ask = typeof Ask.Type

const seen = {
  running: 0,
  ran: new Map<string, string | null>(),
  asks: new Array<Omit<Ask, "everRan" | "handlerReason">>(),
}

const Work = Rpc.make("Work", {
  payload: { token: Schema.String, forMs: Schema.NullOr(Schema.Number) },
})
const Worker = Actor.make("Worker", [Work])
const WorkerLive = Worker.toLayer({
  Work: ({ payload: { token, forMs } }) =>
    Effect.suspend(() => {
      seen.running++
      seen.ran.set(token, null)
      return forMs === null ? Effect.never : Effect.sleep(forMs)
    }).pipe(
      Effect.onInterrupt(() =>
        Effect.map(why, (reason) => {
          seen.ran.set(token, reason)
        })
      ),
      Effect.ensuring(Effect.sync(() => {
        seen.running--
      })),
    ),
})

const Note = Rpc.make("Note", { payload: { n: Schema.Int } })
const options = { grace: millis("GRACE_MS", 5000) }
const Archive = Actor.single("Archive", [Note], options)
const Notes = Actor.single("Notes", [Note], options)

// Each note is filed by another actor, which must still be there while this one drains.
const NotesLive = Notes.toLayer(Effect.gen(function* () {
  const archive = yield* Archive.client
  yield* Effect.addFinalizer(() => say("closed: Notes"))
  return Notes.of({
    Note: ({ payload }) =>
      Effect.sleep(millis("NOTE_MS", 10)).pipe(
        Effect.andThen(Effect.orDie(archive.tell.Note(payload))),
      ),
  })
}))
const ArchiveLive = Archive.toLayer(Effect.gen(function* () {
  yield* Effect.addFinalizer(() => say("closed: Archive"))
  return Archive.of({ Note: ({ payload }) => say(`filed: ${payload.n}`) })
}))

class Api extends HttpApi.make("actors").add(
  HttpApiGroup.make("actors").add(
    HttpApiEndpoint.get("notes", "/notes/:count", {
      params: { count: Schema.NumberFromString },
      success: Schema.String,
    }),
    HttpApiEndpoint.get("ask", "/ask/:key/:token", {
      params: { key: Schema.String, token: Schema.String },
      query: { forMs: Schema.optionalKey(Schema.NumberFromString) },
      success: Schema.String,
    }),
    HttpApiEndpoint.get("seen", "/seen", {
      success: Schema.Struct({
        running: Schema.Number,
        asks: Schema.Array(Ask),
        accounts: Schema.Array(Schema.Unknown),
      }),
    }),
    HttpApiEndpoint.get("clock", "/clock", { success: Schema.Number }),
  ).annotate(Policy.Policy, { deadline: "60 seconds" }),
).middleware(Supervised.Supervised) {}

const handlers = HttpApiBuilder.group(
  Api,
  "actors",
  Effect.fnUntraced(function* (handlers) {
    const notes = yield* Notes.client
    const worker = yield* Worker.client
    const system = yield* ActorSystem.ActorSystem
    yield* Effect.addFinalizer(() => say("closed: handlers"))
    return handlers.handleAll({
      notes: ({ params }) =>
        Effect.as(
          Effect.forEach(
            Array.from({ length: params.count }, (_, n) => n),
            (n) => notes.tell.Note({ n }),
            { discard: true },
          ),
          "told",
        ),
      ask: ({ params: { key, token }, query: { forMs = null } }) =>
        worker(key).ask.Work({ token, forMs }).pipe(
          Effect.as("done"),
          Effect.onInterrupt(() =>
            Effect.map(why, (requestReason) => {
              const ran = seen.ran.has(token)
              seen.asks.push({ token, ran, requestReason, releasedAt: now() })
            })
          ),
        ),
      seen: () =>
        Effect.map(system.kinds, (kinds) => ({
          running: seen.running,
          asks: seen.asks.map((ask) => ({
            ...ask,
            everRan: seen.ran.has(ask.token),
            handlerReason: seen.ran.get(ask.token) ?? null,
          })),
          accounts: kinds.map(({ name, account }) => ({ name, ...account })),
        })),
      clock: () => Effect.sync(now),
    })
  }),
)

const actors = Layer.mergeAll(NotesLive, WorkerLive).pipe(Layer.provide(ArchiveLive))
const within = Deno.env.get("FIXTURE_IN_HANDLERS") !== undefined

Service.run(Api, {
  handlers: within ? Layer.provide(handlers, actors) : handlers,
  resources: within ? Layer.empty : actors,
  drain: { actors: millis("ACTORS_MS", 25_000), close: millis("CLOSE_MS", 5000) },
})
